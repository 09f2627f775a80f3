package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// body is a picture without what all pictures have.
func body(t *testing.T, text string) string {
	t.Helper()
	b := svg(text, "a title")
	wellFormed(t, b)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[3:len(lines)-1], "\n")
}

func wellFormed(t *testing.T, b []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, b)
		}
	}
}

func TestSVG(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"blank", "   ", ``},
		{"words stand at their columns", "ab  c", `<text x="14" y="28" textLength="18">ab</text>
<text x="50" y="28" textLength="9">c</text>`},
		{"second line", "\nab", `<text x="14" y="47" textLength="18">ab</text>`},
		{"markup", "<&>", `<text x="14" y="28" textLength="27">&lt;&amp;&gt;</text>`},
		{"16 colours", "\x1b[31ma\x1b[91mb", `<text x="14" y="28" textLength="9" fill="#800000">a</text>
<text x="23" y="28" textLength="9" fill="#ff0000">b</text>`},
		{"256 colours", "\x1b[38;5;203mab\x1b[39mc", `<text x="14" y="28" textLength="18" fill="#ff5f5f">ab</text>
<text x="32" y="28" textLength="9">c</text>`},
		{"RGB", "\x1b[38;2;1;2;255ma", `<text x="14" y="28" textLength="9" fill="#0102ff">a</text>`},
		{"ground, over blanks too", "\x1b[48;5;22ma  \x1b[49m ", `<rect x="14" y="14" width="27" height="19" fill="#005f00" shape-rendering="crispEdges"/>
<text x="14" y="28" textLength="9">a</text>`},
		{"bold", "\x1b[1ma\x1b[0mb", `<text x="14" y="28" textLength="9" font-weight="bold">a</text>
<text x="23" y="28" textLength="9">b</text>`},
		{"underline", "\x1b[4ma b", `<rect x="14" y="30" width="9" height="1" fill="#d4d7e0" shape-rendering="crispEdges"/>
<rect x="23" y="30" width="9" height="1" fill="#d4d7e0" shape-rendering="crispEdges"/>
<rect x="32" y="30" width="9" height="1" fill="#d4d7e0" shape-rendering="crispEdges"/>
<text x="14" y="28" textLength="9">a</text>
<text x="32" y="28" textLength="9">b</text>`},
		{"reverse", "\x1b[7ma", `<rect x="14" y="14" width="9" height="19" fill="#d4d7e0" shape-rendering="crispEdges"/>
<text x="14" y="28" textLength="9" fill="#15171e">a</text>`},
		{"bars that touch are one", "██▄", `<rect x="14" y="14" width="18" height="19" fill="#d4d7e0" shape-rendering="crispEdges"/>
<rect x="32" y="24" width="9" height="9" fill="#d4d7e0" shape-rendering="crispEdges"/>`},
		{"posts do not", "││", `<rect x="18" y="14" width="1" height="19" fill="#d4d7e0" shape-rendering="crispEdges"/>
<rect x="27" y="14" width="1" height="19" fill="#d4d7e0" shape-rendering="crispEdges"/>`},
		{"left half", "▌", `<rect x="14" y="14" width="4" height="19" fill="#d4d7e0" shape-rendering="crispEdges"/>`},
		{"shade", "▒", `<rect x="14" y="14" width="9" height="19" fill="#d4d7e0" opacity="0.50" shape-rendering="crispEdges"/>`},
		{"wide letters take two columns", "猫a", `<text x="14" y="28" textLength="18">猫</text>
<text x="32" y="28" textLength="9">a</text>`},
		{"letters of other fonts stand alone", "7µs", `<text x="14" y="28" textLength="9">7</text>
<text x="23" y="28" textLength="9">µ</text>
<text x="32" y="28" textLength="9">s</text>`},
		{"other sequences are nothing", "\x1b]0;title\x07a\x1b[2J", `<text x="14" y="28" textLength="9">a</text>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := body(t, tt.text); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestSVGScreen(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "screen.ansi"))
	if err != nil {
		t.Fatal(err)
	}
	got := svg(string(text), `a "screen" & its title`)
	wellFormed(t, got)
	golden := filepath.Join("testdata", "screen.svg")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the picture is not as in %s; look at it, and write it with -update", golden)
	}
}

func FuzzSVG(f *testing.F) {
	f.Add("\x1b[1;31;48;5;22ma█猫\x1b[7m\n<│\x00\xff")
	f.Fuzz(func(t *testing.T, text string) { wellFormed(t, svg(text, text)) })
}
