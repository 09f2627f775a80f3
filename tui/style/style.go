// Package style owns how things look: the colours for 256 and 16 colours and for none, on
// dark and on light, and how text from the wire is made safe for a terminal.
//
// Styles are values: each session has its own. Red means an error and nothing else; grey
// recedes; everything else keeps the terminal's own colour. Where there is no colour,
// reverse, bold and signs say the same.
package style

import (
	"image/color"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
)

// Styles is the look of one session.
type Styles struct {
	Colors bool // there are any
	Dark   bool

	Text   lipgloss.Style // the terminal's own
	Strong lipgloss.Style
	Dim    lipgloss.Style // secondary
	Faint  lipgloss.Style // rules, axes, what is unknown
	Accent lipgloss.Style // where one is, what can be done
	Good   lipgloss.Style
	Warn   lipgloss.Style // a state one should know of: paused, behind
	Error  lipgloss.Style // an error, a loss

	Brand      lipgloss.Style
	Heading    lipgloss.Style // column titles
	Mark       lipgloss.Style
	FilterIdle lipgloss.Style
	FilterGood lipgloss.Style
	FilterBad  lipgloss.Style
	Popup      lipgloss.Style
	PopupSel   lipgloss.Style

	Key    lipgloss.Style // of a field, of JSON
	String lipgloss.Style
	Number lipgloss.Style

	ChartCall    lipgloss.Style
	ChartError   lipgloss.Style
	ChartBoth    lipgloss.Style // errors below, calls above, in one cell
	ChartPicked  lipgloss.Style
	ChartUnknown lipgloss.Style

	selected, idle lipgloss.Style // row backgrounds, with and without focus
	cell           lipgloss.Style
	mix            bool // a background can be put under any foreground
	looks          map[look]around
}

// palette is one colour for each role; nil is the terminal's own.
type palette struct {
	dim, faint, accent, good, warn, err    color.Color
	selected, idle, cell                   color.Color
	goodBg, goodFg, badBg, badFg, filterBg color.Color
	popup, popupSel, key, str, number      color.Color
	chart, picked                          color.Color
}

func indexed(n uint8) color.Color { return lipgloss.ANSIColor(n) }

var (
	dark256 = palette{
		dim: indexed(246), faint: indexed(240), accent: indexed(110), good: indexed(108), warn: indexed(179), err: indexed(203),
		selected: indexed(237), idle: indexed(235), cell: indexed(240),
		goodBg: indexed(22), goodFg: indexed(194), badBg: indexed(52), badFg: indexed(224), filterBg: indexed(235),
		popup: indexed(236), popupSel: indexed(239), key: indexed(110), str: indexed(151), number: indexed(180), chart: indexed(67), picked: indexed(238),
	}
	light256 = palette{
		dim: indexed(242), faint: indexed(249), accent: indexed(25), good: indexed(29), warn: indexed(130), err: indexed(160),
		selected: indexed(253), idle: indexed(255), cell: indexed(250),
		goodBg: indexed(194), goodFg: indexed(22), badBg: indexed(224), badFg: indexed(88), filterBg: indexed(255),
		popup: indexed(254), popupSel: indexed(251), key: indexed(25), str: indexed(28), number: indexed(94), chart: indexed(74), picked: indexed(252),
	}
	dark16 = palette{
		dim: indexed(7), faint: indexed(8), accent: indexed(6), good: indexed(2), warn: indexed(3), err: indexed(9),
		goodBg: indexed(2), goodFg: indexed(0), badBg: indexed(1), badFg: indexed(15),
		key: indexed(6), str: indexed(2), number: indexed(3), chart: indexed(6),
	}
	light16 = palette{
		dim: indexed(8), faint: indexed(8), accent: indexed(4), good: indexed(2), warn: indexed(5), err: indexed(1),
		goodBg: indexed(2), goodFg: indexed(15), badBg: indexed(1), badFg: indexed(15),
		key: indexed(4), str: indexed(2), number: indexed(5), chart: indexed(4),
	}
)

// New makes the styles for a terminal. A profile below 16 colours (also: NO_COLOR) has none.
func New(profile colorprofile.Profile, dark bool) Styles {
	switch {
	case profile <= colorprofile.ASCII:
		return build(palette{}, false, dark)
	case profile == colorprofile.ANSI && dark:
		return build(dark16, true, dark)
	case profile == colorprofile.ANSI:
		return build(light16, true, dark)
	case dark:
		return build(dark256, true, dark)
	}
	return build(light256, true, dark)
}

func build(p palette, colors, dark bool) Styles {
	fg := func(c color.Color) lipgloss.Style {
		if c == nil {
			return lipgloss.NewStyle()
		}
		return lipgloss.NewStyle().Foreground(c)
	}
	on := func(s lipgloss.Style, bg color.Color) lipgloss.Style {
		if bg == nil {
			return s
		}
		return s.Background(bg)
	}
	s := Styles{
		Colors: colors, Dark: dark, mix: p.selected != nil, looks: map[look]around{},
		Text: fg(nil), Strong: fg(nil).Bold(true), Dim: fg(p.dim), Faint: fg(p.faint),
		Accent: fg(p.accent), Good: fg(p.good), Warn: fg(p.warn), Error: fg(p.err),
		Brand: fg(p.accent).Bold(true), Heading: fg(p.dim), Mark: fg(p.warn),
		FilterIdle: on(fg(nil), p.filterBg), FilterGood: on(fg(p.goodFg), p.goodBg), FilterBad: on(fg(p.badFg), p.badBg),
		Popup: on(fg(nil), p.popup), PopupSel: on(fg(nil), p.popupSel).Bold(true),
		Key: fg(p.key), String: fg(p.str), Number: fg(p.number),
		ChartCall: fg(p.chart), ChartError: fg(p.err), ChartBoth: on(fg(p.err), p.chart),
		ChartPicked: on(fg(p.accent).Bold(true), p.picked), ChartUnknown: fg(p.faint),
		selected: on(fg(nil), p.selected), idle: on(fg(nil), p.idle), cell: on(fg(nil), p.cell),
	}
	if !s.mix { // 16 colours or none
		s.selected = fg(nil).Reverse(true)
		s.idle = fg(nil).Underline(true)
		s.cell = fg(nil).Reverse(true).Bold(true)
		s.PopupSel = fg(nil).Reverse(true)
		s.ChartPicked = fg(p.accent).Reverse(true)
	}
	if !colors {
		s.Error, s.Heading = fg(nil).Bold(true), fg(nil).Underline(true)
		s.ChartError = fg(nil)
	}
	return s
}

// Row is how a row lies on its background.
type Row uint8

// The backgrounds of a row.
const (
	Plain    Row = iota
	Idle         // selected, in a pane without focus
	Selected     // selected
	Cell         // the cell of the selected row that actions take
)

// On puts a foreground on a row's background.
func (s *Styles) On(fg lipgloss.Style, row Row) lipgloss.Style {
	var under *lipgloss.Style
	switch row {
	case Idle:
		under = &s.idle
	case Selected:
		under = &s.selected
	case Cell:
		under = &s.cell
	default:
		return fg
	}
	if s.mix {
		return fg.Background(under.GetBackground())
	}
	return under.Inherit(fg)
}
