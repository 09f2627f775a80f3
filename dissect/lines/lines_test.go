package lines

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// counted are lines like "N" that are followed by N bytes, and "." that is not.
type counted struct{}

func (counted) Rest(line []byte) int64 {
	switch {
	case string(line) == ".":
		return 0
	case len(line) == 1 && line[0] >= '1' && line[0] <= '9':
		return int64(line[0]-'0') + 2
	}
	return -1
}

func (f counted) Begins(line []byte, _ bool) bool { return f.Rest(line) > 0 }

// read feeds pieces, of which "" is a hole that nobody knows the size of, and returns the
// messages, with "~" before those that are cut and "?" before those that others may have been
// lost before.
func read(pieces ...string) (got []string) {
	var r Reader
	note := func() {
		m := &r.Message
		mark := ""
		if m.Missed {
			mark = "?"
		}
		if m.Cut {
			mark += "~"
		}
		got = append(got, mark+string(m.Text())+":"+string(m.Body()))
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
			n, done := r.Next(counted{}, b, now, 100, opens)
			if done {
				note()
			}
			b = b[n:]
		}
	}
	if r.Close(int64(len(pieces))) {
		note()
	}
	return got
}

func TestReader(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"messages", ".\r\n3\r\nabc\r\n.\n", ".: 3:abc .:"},
		{"in pieces", ".\r|\n3|\r\na|bc\r|\n", ".: 3:abc"},
		{"another length", "3\r\nabcd\r\n2\r\nxy\r\n", "~3:abc ?2:xy"},
		{"a hole in a line", ".\r\n3||3\r\nabc\r\n.\r\n", ".: ~3: ?3:abc .:"},
		{"a hole in what is counted", "9\r\nab||cd\r\n3\r\nxyz\r\n", "~9:ab ?3:xyz"},
		{"none that is sure", "||.\r\n.\r\n1\r\nx\r\n.\r\n", "?1:x .:"},
		{"the end", "3\r\nab", "~3:ab"},
		{"a line that is none", "no\r\n1\r\nx\r\n", "?1:x"},
	} {
		pieces := strings.Split(tt.in, "|")
		if got := strings.Join(read(pieces...), " "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestKnownHole: a hole of known size within what is counted keeps the reader in step.
func TestKnownHole(t *testing.T) {
	var r Reader
	r.Next(counted{}, []byte("9\r\nab"), 1, 100, true)
	r.Next(counted{}, []byte("\n"), 1, 100, false)
	if r.Gap(6, 2) || r.Lost() {
		t.Error("the message is not over")
	}
	n, done := r.Next(counted{}, []byte("\r\n.\r\n"), 3, 100, true)
	if n != 2 || !done || !r.Message.Cut || r.Message.Size != 14 || r.Message.Last != 3 {
		t.Errorf("%d, %v, %+v", n, done, r.Message)
	}
}

func TestLimits(t *testing.T) {
	var r Reader
	long := bytes.Repeat([]byte{'x'}, 1000)
	for i := range 10 * MaxLine / len(long) {
		for b := long; len(b) > 0; {
			n, _ := r.Next(counted{}, b, int64(i), 100, true)
			b = b[n:]
		}
	}
	if cap(r.buf) > 4*MaxLine {
		t.Errorf("%d bytes are held", cap(r.buf))
	}
}

func TestShorten(t *testing.T) {
	for in, want := range map[string]string{"abc": "abc", "abcdef": "abcd…", "abcäf": "abc…", "€€€": "€…"} {
		if got := string(Shorten([]byte("x"+in), 1, 4)); got != "x"+want || !utf8.ValidString(got) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for n := range 8 {
		Shorten([]byte("\xff\xff\x80\x80\x80\x80\x80\x80\x80"), 0, n)
	}
}
