package text

import "strings"

// The arms of a line's cell.
const (
	up = 1 << iota
	down
	left
	right
)

var lineRunes = [16]rune{
	0: ' ', up: '│', down: '│', up | down: '│', left: '─', right: '─', left | right: '─',
	down | right: '╭', down | left: '╮', up | right: '╰', up | left: '╯',
	up | down | right: '├', up | down | left: '┤', left | right | down: '┬', left | right | up: '┴',
	up | down | left | right: '┼',
}

// cell is one character. A line from left to right and one from top to bottom may cross in
// it; they belong to the nets across and along, 0: none.
type cell struct {
	text          rune // shown before any line
	arms          uint8
	across, along int
	color         string
	colored       bool
}

type canvas struct {
	w, h  int
	cells []cell
}

func newCanvas(w, h int) *canvas { return &canvas{w, h, make([]cell, w*h)} }

func (c *canvas) at(x, y int) *cell { return &c.cells[y*c.w+x] }

// tint colours a cell of a line; one that two colours share has none.
func (c *cell) tint(color string) {
	switch {
	case !c.colored:
		c.color, c.colored = color, true
	case c.color != color:
		c.color = mixed
	}
}

// horizontal draws a net's line over the cells from x1 to x2.
func (c *canvas) horizontal(net, x1, x2, y int, color string) {
	if x1 > x2 {
		x1, x2 = x2, x1
	}
	for x := x1; x <= x2; x++ {
		k := c.at(x, y)
		if x > x1 {
			k.arms |= left
		}
		if x < x2 {
			k.arms |= right
		}
		if k.along == 0 || k.along == net { // else the other one passes in front
			k.tint(color)
		}
		k.across = net
	}
}

// vertical draws a net's line over the cells from y1 to y2.
func (c *canvas) vertical(net, x, y1, y2 int, color string) {
	if y1 > y2 {
		y1, y2 = y2, y1
	}
	for y := y1; y <= y2; y++ {
		k := c.at(x, y)
		if y > y1 {
			k.arms |= up
		}
		if y < y2 {
			k.arms |= down
		}
		if k.across != 0 && k.across != net {
			k.colored = k.along != 0
		}
		k.tint(color)
		k.along = net
	}
}

// text writes at a place, over whatever is there, and returns where it ended.
func (c *canvas) text(x, y int, s, color string) int {
	for _, r := range s {
		if x >= c.w {
			break
		}
		k := c.at(x, y)
		k.text, k.color, k.colored = r, color, true
		x++
	}
	return x
}

func (k *cell) rune() rune {
	switch {
	case k.text != 0:
		return k.text
	case k.across != 0 && k.along != 0 && k.across != k.along:
		return '│' // a crossing: what goes across passes behind
	}
	return lineRunes[k.arms&15]
}

// lines are the canvas's lines without trailing blanks.
func (c *canvas) lines(color bool) []string {
	out := make([]string, c.h)
	var b strings.Builder
	for y := range c.h {
		b.Reset()
		end := c.w
		for end > 0 && c.at(end-1, y).rune() == ' ' {
			end--
		}
		now := ""
		for x := range end {
			k := c.at(x, y)
			r := k.rune()
			if color && k.color != now && r != ' ' {
				if now != "" {
					b.WriteString("\x1b[0m")
				}
				if k.color != "" {
					b.WriteString("\x1b[" + k.color + "m")
				}
				now = k.color
			}
			b.WriteRune(r)
		}
		if now != "" {
			b.WriteString("\x1b[0m")
		}
		out[y] = b.String()
	}
	return out
}
