package style

import (
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
)

// TestDraw: it is what lipgloss draws, the first time and from what is remembered.
func TestDraw(t *testing.T) {
	for _, profile := range []colorprofile.Profile{colorprofile.ASCII, colorprofile.ANSI, colorprofile.ANSI256, colorprofile.TrueColor} {
		for _, dark := range []bool{true, false} {
			s := New(profile, dark)
			all := []lipgloss.Style{s.Text, s.Strong, s.Dim, s.Faint, s.Accent, s.Good, s.Warn, s.Error, s.Brand, s.Heading, s.Mark,
				s.FilterIdle, s.FilterGood, s.FilterBad, s.Popup, s.PopupSel, s.Key, s.ChartBoth, s.ChartPicked,
				lipgloss.NewStyle().Italic(true), lipgloss.NewStyle().Strikethrough(true)}
			for range 2 {
				for i, fg := range all {
					for _, row := range []Row{Plain, Idle, Selected, Cell} {
						for _, text := range []string{"", " ", "GET /a b", "  世 ", "x"} {
							if got, want := s.Draw(fg, row, text), s.On(fg, row).Render(text); got != want {
								t.Fatalf("%v, dark %v, style %d, row %d, %q: %q, want %q", profile, dark, i, row, text, got, want)
							}
						}
					}
				}
			}
		}
	}
}
