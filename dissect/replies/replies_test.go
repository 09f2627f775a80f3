package replies

import (
	"strings"
	"testing"
)

func read(pieces ...string) (got []string) {
	var r Reader
	note := func() {
		mark := ""
		if r.Reply.Cut {
			mark = "~"
		}
		got = append(got, mark+string(Text(r.Reply.Data)))
	}
	for i, p := range pieces {
		now := int64(i + 1)
		if p == "" {
			if r.Gap(0, now) {
				note()
			}
			continue
		}
		opens := true
		for b := []byte(p); len(b) > 0; opens = false {
			n, done := r.Next(b, now, opens)
			if b = b[n:]; done {
				note()
			}
		}
	}
	if r.Close(int64(len(pieces))) {
		note()
	}
	return got
}

func TestReader(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"one line", "220 hi\r\n250\r\n", "hi,"},
		{"in pieces", "2|20 h|i\r|\n", "hi"},
		{"several lines", "250-a\r\n250-b\r\n250 c\r\n220 d\r\n", "c,d"},
		{"lines of anything", "211-a\r\n b\r\n220 c\r\n211 d\r\n", "d"},
		{"a hole", "250-a\r\n25||0 b\r\n250 c\r\n", "~a,~c"},
		{"the end", "250 half", "~half"},
		{"none", "hello\r\n250 a\r\n", "~a"},
	} {
		if got := strings.Join(read(strings.Split(tt.in, "|")...), ","); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestLimits(t *testing.T) {
	line := "250-" + strings.Repeat("x", 1000) + "\r\n"
	var r Reader
	for range 100 {
		r.Next([]byte(line), 1, true)
	}
	if _, done := r.Next([]byte("250 end\r\n"), 2, true); !done || string(Text(r.Reply.Data)) != "end" || len(r.Reply.Data) > 2*maxKept || r.Reply.Size != uint64(100*len(line)+9) {
		t.Errorf("%v, %d bytes of %d", done, len(r.Reply.Data), r.Reply.Size)
	}
}

func TestCode(t *testing.T) {
	for in, want := range map[string]int{"220 x": 220, "220-x": 220, "220": 220, "22": 0, "2200": 0, "999 x": 0, "abc": 0, "": 0} {
		if got := Code([]byte(in)); got != want {
			t.Errorf("%q: %d", in, got)
		}
	}
}
