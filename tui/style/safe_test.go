package style

import (
	"strings"
	"testing"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"ascii", "GET /cart?x=1", "GET /cart?x=1"},
		{"empty", "", ""},
		{"escape", "a\x1b[31mred", `a\x1b[31mred`},
		{"osc", "\x1b]52;c;aGk=\x07", `\x1b]52;c;aGk=\x07`},
		{"c1", "a\u009b31m", `a\u009b31m`},
		{"raw c1", "a\x9b31m", `a\x9b31m`},
		{"line breaks", "a\r\nb\tc", `a\r\nb\tc`},
		{"nul and del", "\x00\x7f", `\x00\x7f`},
		{"bidi override", "user\u202egnp.exe", `user\u202egnp.exe`},
		{"bidi isolate", "\u2066x\u2069", `\u2066x\u2069`},
		{"zero width", "a\u200bb\ufeff", `a\u200bb\ufeff`},
		{"line separator", "a\u2028b", `a\u2028b`},
		{"no-break space", "a\u00a0b", `a\u00a0b`},
		{"tag", "a\U000e0041", `a\U000e0041`},
		{"umlaut", "größe", "größe"},
		{"combining", "e\u0301te", "e\u0301te"},
		{"lone mark", "\u0301x", `\u0301x`},
		{"zalgo", "a\u0301\u0302\u0303\u0304", `a\u0301\u0302\u0303\u0304`},
		{"wide", "商品", "商品"},
		{"emoji", "ok 🎉", "ok 🎉"},
		{"emoji shape", "❤\ufe0f", "❤"},
		{"emoji joined", "👩\u200d💻", `👩\u200d💻`},
		{"flag", "🇩🇪", `\U0001f1e9\U0001f1ea`},
		{"jamo", "\u1112\u1161", `\u1112\u1161`},
		{"invalid", "a\xffb", `a\xffb`},
		{"private", "\ue000", `\ue000`},
		{"thai", "กี่", "กี่"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(Clean(c.in)); got != c.want {
				t.Errorf("Clean(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

// checkSafe says what is wrong with a text that may reach a terminal.
func checkSafe(t *testing.T, in string, got Text) {
	t.Helper()
	for _, r := range string(got) {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar && !strings.ContainsRune(in, r) {
			t.Errorf("Clean(%q) = %q holds %U", in, got, r)
		}
	}
	s := string(got)
	if g, w := ansi.StringWidth(s), ansi.StringWidthWc(s); g != w {
		t.Errorf("Clean(%q) = %q is %d cells in one terminal and %d in another", in, got, g, w)
	}
	if again := Clean(s); again != got {
		t.Errorf("Clean(%q) = %q, and cleaned again %q", in, got, again)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"GET /", "\x1b]0;x\a", "\u202e", "e\u0301\u0301\u0301", "👩\u200d💻", "\xff\xfe", "क्षि", "🇩🇪🇫", "a\u00ad\u0600"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		checkSafe(t, s, got)
		for _, w := range []int{0, 1, 2, 7} {
			if n := ansi.StringWidth(got.Fit(w)); n != w {
				t.Errorf("%q.Fit(%d) = %q: %d cells", got, w, got.Fit(w), n)
			}
		}
	})
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		in          Text
		width       int
		left, right string
	}{
		{"abc", 5, "abc  ", "  abc"},
		{"abcdef", 4, "abc…", "abc…"},
		{"abc", 3, "abc", "abc"},
		{"abc", 0, "", ""},
		{"商品", 4, "商品", "商品"},
		{"商品", 3, "商…", "商…"},
		{"商品", 2, "… ", " …"},
	} {
		if got := c.in.Fit(c.width); got != c.left {
			t.Errorf("%q.Fit(%d) = %q, want %q", c.in, c.width, got, c.left)
		}
		if got := c.in.FitRight(c.width); got != c.right {
			t.Errorf("%q.FitRight(%d) = %q, want %q", c.in, c.width, got, c.right)
		}
	}
}

func BenchmarkClean(b *testing.B) {
	for name, s := range map[string]string{"plain": "GET /api/v1/carts/42/items?limit=10", "hostile": "GET /\x1b[31m/größe/商品/\u202e"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Clean(s)
			}
		})
	}
}
