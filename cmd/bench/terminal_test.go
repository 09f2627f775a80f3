package main

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

func TestTerminal(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"text", "ab\r\ncd", "ab|cd||"},
		{"no colours", "\x1b[1;38;5;200ma\x1b[0mb", "ab|||"},
		{"titles and queries", "\x1b]2;a title\x07\x1b[?2026$p\x1b[>4;2mx", "x|||"},
		{"cursor", "\x1b[3;4Hx\x1b[2Ay\x1b[Dz", "    z||   x|"},
		{"columns and rows", "\x1b[4Gx\x1b[2dy", "   x|    y||"},
		{"erase line", "abcdef\x1b[3D\x1b[K\r\nabcdef\x1b[3D\x1b[1K", "abc|    ef||"},
		{"erase cells", "abcdef\x1b[5D\x1b[2X", "a  def|||"},
		{"erase below", "a\r\nb\r\nc\x1b[2;1H\x1b[J", "a|||"},
		{"insert and delete cells", "abc\x1b[2D\x1b[2@\r\nabc\x1b[2D\x1b[P", "a  bc|ac||"},
		{"insert lines", "a\r\nb\r\nc\x1b[2;1H\x1b[L", "a||b|c"},
		{"delete lines", "a\r\nb\r\nc\x1b[1;1H\x1b[2M", "c|||"},
		{"scroll a part", "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[S\x1b[r", "a|c||d"},
		{"scroll at the end", "a\r\nb\r\nc\r\nd\r\ne", "b|c|d|e"},
		{"reverse index", "a\x1b[H\x1bMb", "b|a||"},
		{"wraps with the next", "12345678\r\nx", "12345678|x||"},
		{"wraps", "123456789", "12345678|9||"},
		{"does not wrap", "\x1b[?7l123456789", "12345679|||"},
		{"repeats", "a\x1b[3b", "aaaa|||"},
		{"tabs", "\ta", "       a|||"},
		{"wide", "a世b", "a世b|||"},
		{"the other screen is empty", "abc\x1b[?1049h", "|||"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			term := newTerminal(8, 4)
			term.Write([]byte(tt.in))
			if got := strings.TrimSuffix(strings.ReplaceAll(term.String(), "\n", "|"), "|"); got != tt.want {
				t.Errorf("%q shows %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// TestTerminalFollows: what the product's own renderer draws by differences is what is seen.
func TestTerminalFollows(t *testing.T) {
	const w, h = 60, 20
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(7, seed))
		var out bytes.Buffer
		draw := uv.NewTerminalRenderer(&out, []string{"TERM=xterm-256color"})
		draw.SetFullscreen(true)
		draw.SetScrollOptim(true)
		draw.SetBackspace(true)
		draw.SetTabStops(w)
		draw.EnterAltScreen()
		want := uv.NewRenderBuffer(w, h)
		screen := newTerminal(w, h)
		colors := []uv.Style{{}, {Bg: ansi.IndexedColor(236)}, {Fg: ansi.IndexedColor(9), Attrs: uv.AttrBold}}
		put := func(y int) {
			x, style := r.IntN(w), colors[r.IntN(len(colors))]
			letters := []string{"a", "b", " ", "▌", "█", "e"}
			same := letters[r.IntN(len(letters))]
			for range r.IntN(w - x + 1) {
				if r.IntN(6) == 0 {
					same = letters[r.IntN(len(letters))]
				}
				want.SetCell(x, y, &uv.Cell{Content: same, Width: 1, Style: style})
				x++
			}
		}
		for frame := range 60 {
			switch y := r.IntN(h); r.IntN(5) {
			case 0:
				want.DeleteLine(y, 1+r.IntN(3), nil)
			case 1:
				want.InsertLine(y, 1+r.IntN(3), nil)
			case 2:
				for y := range h {
					put(y)
				}
			default:
				for range r.IntN(4) {
					put(r.IntN(h))
				}
			}
			draw.Render(want)
			if err := draw.Flush(); err != nil {
				t.Fatal(err)
			}
			sent := out.String()
			out.WriteTo(screen)
			for y := range h {
				var line strings.Builder
				for x := range w {
					line.WriteString(want.CellAt(x, y).Content)
				}
				if got := string(screen.lines[y]); got != line.String() {
					t.Fatalf("seed %d, frame %d, line %d:\n%q, want\n%q after\n%q", seed, frame, y, got, line.String(), sent)
				}
			}
		}
	}
}
