package frames

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// lengths is a format for tests: '#', a digit for the length, and so many bytes.
type lengths struct{}

func (lengths) Size(b []byte) int64 {
	switch {
	case b[0] != '#', len(b) > 1 && (b[1] < '0' || b[1] > '9'):
		return -1
	case len(b) < 2:
		return 0
	}
	return 2 + int64(b[1]-'0')
}

func (f lengths) Begins(b []byte) bool { return len(b) >= 2 && f.Size(b) > 0 }

// feed gives a reader bytes, as "text", and holes, as "-3"; what it tells is a list of frames:
// "data/size", with a mark where it is cut.
func feed(r *Reader, limit int, parts ...string) (got []string) {
	note := func() {
		f := &r.Frame
		s := fmt.Sprintf("%s/%d@%d-%d", f.Data, f.Size, f.First, f.Last)
		if f.Cut {
			s = "~" + s
		}
		got = append(got, s)
	}
	for i, part := range parts {
		now := int64(i + 1)
		var gap int64
		if n, err := fmt.Sscanf(part, "-%d", &gap); n == 1 && err == nil {
			if r.Gap(gap, now) {
				note()
			}
			continue
		}
		for b := []byte(part); len(b) > 0; {
			n, done := r.Next(lengths{}, b, now, limit)
			if b = b[n:]; done {
				note()
			}
		}
	}
	if r.Close(99) {
		note()
	}
	return got
}

func TestReader(t *testing.T) {
	for _, test := range []struct {
		name  string
		limit int
		parts []string
		want  string
		bad   int
	}{
		{"one piece", 100, []string{"#3abc#0#1x"}, "#3abc/5@1-1 #0/2@1-1 #1x/3@1-1", 0},
		{"pieces", 100, []string{"#", "3a", "bc#", "1x"}, "#3abc/5@1-3 #1x/3@3-4", 0},
		{"limit, in one piece", 3, []string{"#5abcde#1x"}, "#5a/7@1-1 #1x/3@1-1", 0},
		{"limit, in pieces", 3, []string{"#5ab", "cde#1x"}, "#5a/7@1-2 #1x/3@2-2", 0},
		{"hole within", 100, []string{"#5ab", "-2", "e#1x"}, "~#5ab/7@1-3 #1x/3@3-3", 0},
		{"hole up to the end", 100, []string{"#5ab", "-3", "#1x"}, "~#5ab/7@1-2 #1x/3@3-3", 0},
		{"hole beyond the end", 100, []string{"#5ab", "-4", "yz#1x"}, "~#5ab/7@1-2 #1x/3@3-3", 0},
		{"hole of unknown size", 100, []string{"#5ab", "-0", "yz#1x"}, "~#5ab/7@1-2 #1x/3@3-3", 0},
		{"hole between", 100, []string{"#1x", "-7", "yz#1x"}, "#1x/3@1-1 #1x/3@3-3", 0},
		{"hole in a header", 100, []string{"#1x#", "-7", "yz#1x"}, "#1x/3@1-1 #1x/3@3-3", 0},
		{"end within", 100, []string{"#5ab"}, "~#5ab/7@1-99", 0},
		{"end in a header", 100, []string{"#"}, "", 0},
		{"no frame", 100, []string{"#1xgarbage#1y"}, "#1x/3@1-1 #1y/3@1-1", 1},
		{"no frame, in pieces", 100, []string{"#", "x", "#1y"}, "#1y/3@3-3", 1},
	} {
		r := &Reader{}
		if got := strings.Join(feed(r, test.limit, test.parts...), " "); got != test.want || r.Bad != test.bad {
			t.Errorf("%s: %s, %d bad; want %s", test.name, got, r.Bad, test.want)
		}
	}
}

// TestEndlessHeader: a format that never knows the length is given up.
func TestEndlessHeader(t *testing.T) {
	r := &Reader{}
	for range 100 {
		for b := bytes.Repeat([]byte("x"), 10); len(b) > 0; {
			n, done := r.Next(never{}, b, 1, 1000)
			if b = b[n:]; done {
				t.Fatal("a frame")
			}
		}
	}
	if r.Bad == 0 || len(r.buf) > maxHeader {
		t.Errorf("%d bad, %d bytes held", r.Bad, len(r.buf))
	}
}

type never struct{}

func (never) Size([]byte) int64  { return 0 }
func (never) Begins([]byte) bool { return false }

func TestWaiting(t *testing.T) {
	var w Waiting[int, string]
	for k := range 5 {
		i := w.Get()
		i.Value = fmt.Sprint("v", k)
		w.Add(k, i)
	}
	for _, k := range []int{2, 0, 4} {
		i := w.Find(k)
		if i == nil || i.Key() != k || i.Value != fmt.Sprint("v", k) {
			t.Fatalf("%d: %v", k, i)
		}
		w.Remove(i)
		w.Put(i)
	}
	var left []int
	for i := w.Oldest(); i != nil; i = w.Oldest() {
		left = append(left, i.Key())
		w.Remove(i)
	}
	if !slices.Equal(left, []int{1, 3}) || w.Len() != 0 || w.Find(1) != nil {
		t.Errorf("left %v, %d wait", left, w.Len())
	}
}
