package style

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
)

// look is what of a style shows on one line of text.
type look struct {
	fg, bg              color.Color
	bold, faint, invert bool
	row                 Row
}

// around is what stands before and behind a text of one look.
type around [2]string

// Draw is On(fg, row).Render(text) for one line of text without tabs. Cells of tables are drawn
// by the hundred for each frame of each operator, and lipgloss works out borders, margins and
// wrapping for each: what stands around a text is remembered instead. It is for one goroutine.
func (s *Styles) Draw(fg lipgloss.Style, row Row, text string) string {
	if text == "" || fg.GetUnderline() || fg.GetStrikethrough() || fg.GetItalic() || row == Idle && s.idle.GetUnderline() {
		return s.On(fg, row).Render(text) // spaces may be drawn by themselves
	}
	k := look{fg.GetForeground(), fg.GetBackground(), fg.GetBold(), fg.GetFaint(), fg.GetReverse(), row}
	a, ok := s.looks[k]
	if !ok {
		const probe = "x"
		before, after, found := strings.Cut(s.On(fg, row).Render(probe), probe)
		if !found {
			return s.On(fg, row).Render(text)
		}
		a = around{before, after}
		s.looks[k] = a
	}
	return a[0] + text + a[1]
}
