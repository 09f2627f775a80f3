package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/color"
	"strings"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// A cell of the picture in pixels. Letters of the usual fixed fonts are 0.6 em wide.
const (
	cellWidth  = 9
	cellHeight = 19
	fontSize   = 15
	baseline   = 14 // from the cell's top
	margin     = 14
)

// The terminal's own colours.
var (
	ink   = color.RGBA{0xd4, 0xd7, 0xe0, 0xff}
	paper = color.RGBA{0x15, 0x17, 0x1e, 0xff}
)

const fonts = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"

// picture is an SVG that grows.
type picture struct{ b bytes.Buffer }

// svg draws lines of a terminal, styled with SGR sequences. Each word stands at its column
// and has the length that its columns have, so that it looks the same whatever fonts there
// are; bars and rules are drawn, as fonts leave gaps between them.
func svg(text, title string) []byte {
	styled := uv.NewStyledString(strings.TrimRight(text, "\n"))
	area := styled.Bounds()
	screen := uv.NewScreenBuffer(area.Dx(), area.Dy())
	screen.Method = ansi.GraphemeWidth
	styled.Draw(screen, area)
	p := &picture{}
	w, h := area.Dx()*cellWidth+2*margin, area.Dy()*cellHeight+2*margin
	fmt.Fprintf(&p.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" font-family="%s" font-size="%d" fill="%s">`+"\n",
		w, h, w, h, fonts, fontSize, hex(ink))
	fmt.Fprintf(&p.b, "<title>%s</title>\n", escaped(title))
	fmt.Fprintf(&p.b, `<rect width="%d" height="%d" rx="10" fill="%s"/>`+"\n", w, h, hex(paper))
	for y, line := range screen.Lines {
		for x := 1; x < len(line); x++ { // the second half of a wide letter has the first's style
			if line[x].Width == 0 {
				line[x].Style = line[x-1].Style
			}
		}
		p.grounds(line, y)
		p.shapes(line, y)
		p.words(line, y)
	}
	p.b.WriteString("</svg>\n")
	return p.b.Bytes()
}

// grounds draws the colours behind a line's letters.
func (p *picture) grounds(line uv.Line, y int) {
	for from := 0; from < len(line); {
		_, ground := colours(&line[from].Style)
		to := from + 1
		for to < len(line) && behind(&line[to]) == behind(&line[from]) {
			to++
		}
		if ground != paper {
			p.rect(rect{from * cellWidth, y * cellHeight, (to - from) * cellWidth, cellHeight}, ground, 1)
		}
		from = to
	}
}

// behind is what a cell has behind its letter.
func behind(c *uv.Cell) color.RGBA {
	_, ground := colours(&c.Style)
	return ground
}

// shapes draws bars, rules and underlines.
func (p *picture) shapes(line uv.Line, y int) {
	for from := 0; from < len(line); {
		c := &line[from]
		to := from + 1
		for to < len(line) && line[to].Content == c.Content && line[to].Style.Equal(&c.Style) {
			to++
		}
		front, _ := colours(&c.Style)
		cells := rect{from * cellWidth, y * cellHeight, (to - from) * cellWidth, cellHeight}
		if s, ok := shape(c.Content); ok {
			for i := range to - from {
				if s.w == cellWidth { // those that touch are one
					p.rect(rect{cells.x, cells.y + s.y, cells.w, s.h}, front, s.opacity)
					break
				}
				p.rect(rect{cells.x + i*cellWidth + s.x, cells.y + s.y, s.w, s.h}, front, s.opacity)
			}
		}
		if c.Style.Underline != uv.UnderlineNone {
			p.rect(rect{cells.x, cells.y + baseline + 2, cells.w, 1}, front, 1)
		}
		from = to
	}
}

// solid is the part of a cell that a letter fills.
type solid struct {
	rect
	opacity float64
}

// shape says how the letters of Unicode's Block Elements (U+2580-259F) and Box Drawing
// (U+2500-257F) that are bars and rules are drawn.
func shape(letter string) (solid, bool) {
	r := []rune(letter)
	if len(r) != 1 {
		return solid{}, false
	}
	switch c := r[0]; {
	case c >= '▁' && c <= '█': // eighths, from below
		h := (int(c-'▁') + 1) * cellHeight / 8
		return solid{rect{0, cellHeight - h, cellWidth, h}, 1}, true
	case c >= '▉' && c <= '▏': // eighths, from the left
		return solid{rect{0, 0, max(1, int('▐'-c)*cellWidth/8), cellHeight}, 1}, true
	case c == '▀':
		return solid{rect{0, 0, cellWidth, cellHeight / 2}, 1}, true
	case c == '▐':
		return solid{rect{cellWidth / 2, 0, cellWidth - cellWidth/2, cellHeight}, 1}, true
	case c >= '░' && c <= '▓':
		return solid{rect{0, 0, cellWidth, cellHeight}, float64(c-'░'+1) / 4}, true
	case c == '─':
		return solid{rect{0, cellHeight / 2, cellWidth, 1}, 1}, true
	case c == '│':
		return solid{rect{cellWidth / 2, 0, 1, cellHeight}, 1}, true
	}
	return solid{}, false
}

// words draws a line's letters. ASCII letters of one style go together; any other letter may
// come from another font, with another width, and stands alone.
func (p *picture) words(line uv.Line, y int) {
	for from := 0; from < len(line); {
		c := &line[from]
		to := from + max(1, c.Width)
		if _, drawn := shape(c.Content); drawn || strings.TrimSpace(c.Content) == "" {
			from = to
			continue
		}
		word := c.Content
		for to < len(line) && ascii(word) && ascii(line[to].Content) && line[to].Style.Equal(&c.Style) {
			word += line[to].Content
			to++
		}
		front, _ := colours(&c.Style)
		fmt.Fprintf(&p.b, `<text x="%d" y="%d" textLength="%d"`, margin+from*cellWidth, margin+y*cellHeight+baseline, (to-from)*cellWidth)
		if front != ink {
			fmt.Fprintf(&p.b, ` fill="%s"`, hex(front))
		}
		if c.Style.Attrs&uv.AttrBold != 0 {
			p.b.WriteString(` font-weight="bold"`)
		}
		if c.Style.Attrs&uv.AttrItalic != 0 {
			p.b.WriteString(` font-style="italic"`)
		}
		if c.Style.Attrs&uv.AttrFaint != 0 {
			p.b.WriteString(` opacity="0.6"`)
		}
		if c.Style.Attrs&uv.AttrStrikethrough != 0 {
			p.b.WriteString(` text-decoration="line-through"`)
		}
		fmt.Fprintf(&p.b, ">%s</text>\n", escaped(word))
		from = to
	}
}

// escaped is a text as XML may have it: what it may not have is U+FFFD.
func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// ascii: all of it is, and none of it blank.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// rect is a rectangle in pixels.
type rect struct{ x, y, w, h int }

func (p *picture) rect(r rect, fill color.RGBA, opacity float64) {
	fmt.Fprintf(&p.b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"`, margin+r.x, margin+r.y, r.w, r.h, hex(fill))
	if opacity < 1 {
		fmt.Fprintf(&p.b, ` opacity="%.2f"`, opacity)
	}
	p.b.WriteString(` shape-rendering="crispEdges"/>` + "\n")
}

// colours are those of a style's letters and of what is behind them.
func colours(s *uv.Style) (front, ground color.RGBA) {
	front, ground = plain(s.Fg, ink), plain(s.Bg, paper)
	if s.Attrs&uv.AttrReverse != 0 {
		front, ground = ground, front
	}
	if s.Attrs&uv.AttrConceal != 0 {
		front = ground
	}
	return front, ground
}

func plain(c color.Color, otherwise color.RGBA) color.RGBA {
	if c == nil {
		return otherwise
	}
	return color.RGBAModel.Convert(c).(color.RGBA)
}

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }
