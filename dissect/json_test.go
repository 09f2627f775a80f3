package dissect

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendString(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", `""`},
		{"plain", "GET /cart", `"GET /cart"`},
		{"quote and backslash", `a"b\c`, `"a\"b\\c"`},
		{"line ends and tab", "a\r\n\tb", `"a\r\n\tb"`},
		{"escape sequence", "\x1b[31m", `"\u001b[31m"`},
		{"delete", "a\x7f", `"a\u007f"`},
		{"umlaut stays", "Käse", `"Käse"`},
		{"beyond the basic plane stays", "🦈", `"🦈"`},
		{"no UTF-8", "a\xffb", `"a\ufffdb"`},
		{"cut UTF-8", "a\xc3", `"a\ufffd"`},
		{"replacement character stays", "\ufffd", "\"\ufffd\""},
		{"C1 control", "\u009b31m", `"\u009b31m"`},
		{"writing turned round", "a\u202eb", `"a\u202eb"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(AppendString([]byte("x"), tt.in)); got != "x"+tt.want {
				t.Errorf("got %s, want x%s", got, tt.want)
			}
			if got := string(AppendBytes(nil, []byte(tt.in))); got != tt.want {
				t.Errorf("of bytes: got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAppendStrings(t *testing.T) {
	if got := string(AppendStrings(nil, []string{"a", `"`})); got != `["a","\""]` {
		t.Error(got)
	}
	if got := string(AppendStrings(nil, nil)); got != `[]` {
		t.Error(got)
	}
	if got := string(AppendKey([]byte("{}"), "host")); got != `{},"host":` {
		t.Error(got)
	}
}

// FuzzAppendString: what comes out is what encoding/json reads back, whatever went in.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a\"\\\n", "\xff\xfe", "\u2028\u202e", "🦈\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := AppendString(nil, s)
		if !utf8.Valid(out) {
			t.Fatalf("not UTF-8: %q", out)
		}
		var back string
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if want := string([]rune(s)); back != want {
			t.Fatalf("got %q, want %q", back, want)
		}
		for _, r := range string(out) {
			if r < 0x20 || r == 0x7f || steers(r) && r > 0x7f {
				t.Fatalf("%q goes out raw in %q", r, out)
			}
		}
	})
}

func BenchmarkAppendString(b *testing.B) {
	s := []byte(strings.Repeat("/api/v1/orders?id=17&", 5))
	var dst []byte
	b.SetBytes(int64(len(s)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendBytes(dst[:0], s)
	}
}
