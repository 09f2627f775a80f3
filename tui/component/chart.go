package component

import (
	"math"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/tui/style"
)

// Chart draws a Series as columns, errors at their foot, above an axis of time. Columns are
// as wide in time as the window needs; what is not known (older than the rows that were sent)
// is dotted, not drawn as zero.
type Chart struct {
	Styles       *style.Styles
	Location     *time.Location
	Since, Until int64      // window, ns
	Known        int64      // since when the series is complete, ns
	From, To     int64      // picked part, ns; To 0: none
	Cursor       int64      // a moment that is marked on the axis, ns; 0: none
	Dated        bool       // the axis says which day it is
	Note         style.Text // said where nothing is known, if there is room for it

	Bin int64 // of the series, ns

	width, height int // height of the columns, the axis not included
}

// labelWidth is the room left of the columns for the scale.
const labelWidth = 8

// SetSize says how many cells there are, the axis line included.
func (c *Chart) SetSize(w, h int) { c.width, c.height = w, max(0, h-1) }

func (c *Chart) columns() int { return max(1, c.width-labelWidth-1) }

// step is the time that one column stands for: some whole bins.
func (c *Chart) step() int64 {
	bin := max(1, c.Bin)
	return max(1, ceilDiv(ceilDiv(c.Until-c.Since, int64(c.columns())), bin)) * bin
}

// start is the time at the left edge of the first column.
func (c *Chart) start() int64 {
	step := c.step()
	return (ceilDiv(c.Until, step) - int64(c.columns())) * step
}

// At is the span of time at cell x; ok is false outside the columns.
func (c *Chart) At(x int) (since, until int64, ok bool) {
	n := x - labelWidth
	if n < 0 || n >= c.columns() || c.Until <= c.Since {
		return 0, 0, false
	}
	step := c.step()
	since = c.start() + int64(n)*step
	if since+step <= c.Since {
		return 0, 0, false
	}
	return since, since + step, true
}

var eighths = [...]string{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}

// Step is the time that one column stands for, ns.
func (c *Chart) Step() int64 { return c.step() }

// unknown is how many columns at the left are in the window, but not known, and where they
// begin.
func (c *Chart) unknown(n int, step, start int64, counts []Count) (from, w int) {
	for from < n && start+int64(from+1)*step <= c.Since {
		from++
	}
	for i := from; i < n && start+int64(i+1)*step <= c.Known && counts[i].All == 0; i++ {
		w++
	}
	return from, w
}

// View draws the chart.
func (c *Chart) View(s *Series) []string {
	n, step, start := c.columns(), c.step(), c.start()
	counts := make([]Count, n)
	var top uint64
	for i := range counts {
		at := start + int64(i)*step
		counts[i] = s.Sum(at, at+step)
		top = max(top, counts[i].All)
	}
	lines := make([]string, 0, c.height+1)
	from, note := c.unknown(n, step, start, counts)
	if note < c.Note.Width()+2 || c.Note == "" {
		note = 0
	}
	var b strings.Builder
	for y := range c.height {
		b.Reset()
		label := style.Text("")
		if y == 0 && top > 0 {
			label = rate(float64(top) * 1e9 / float64(step))
		}
		b.WriteString(c.Styles.Dim.Render(label.FitRight(labelWidth - 1)))
		b.WriteByte(' ')
		var run strings.Builder
		var last *lipgloss.Style
		flush := func() {
			if run.Len() > 0 {
				b.WriteString(last.Render(run.String()))
				run.Reset()
			}
		}
		for i := range counts {
			at := start + int64(i)*step
			if note > 0 && y == (c.height-1)/2 && i >= from && i < from+note {
				if i == from {
					flush()
					b.WriteString(c.Styles.ChartUnknown.Render(style.Text(" " + c.Note).Fit(note)))
				}
				continue
			}
			glyph, st := c.cell(counts[i], top, c.height-1-y, at, step)
			if st != last {
				flush()
				last = st
			}
			run.WriteString(glyph)
		}
		flush()
		b.WriteString(style.Blank(c.width - labelWidth - n))
		lines = append(lines, b.String())
	}
	return append(lines, c.axis(n, step, start))
}

// cell is what one column looks like at one height above the axis.
func (c *Chart) cell(v Count, top uint64, level int, at, step int64) (string, *lipgloss.Style) {
	st := c.Styles
	picked := c.To > 0 && at < c.To && at+step > c.From
	if at+step <= c.Since {
		return " ", &st.Text
	}
	if v.All == 0 && at+step <= c.Known {
		if level == 0 {
			return "·", &st.ChartUnknown
		}
		return " ", pick(picked, &st.ChartPicked, &st.Text)
	}
	if top == 0 {
		return " ", pick(picked, &st.ChartPicked, &st.Text)
	}
	eighth := func(n uint64) int { // what is not zero is seen
		if n == 0 {
			return 0
		}
		return max(1, int(math.Round(float64(n)*float64(c.height*8)/float64(top))))
	}
	all := max(0, min(8, eighth(v.All)-level*8))
	bad := max(0, min(8, eighth(v.Errors)-level*8))
	switch {
	case all == 0:
		return " ", pick(picked, &st.ChartPicked, &st.Text)
	case bad == 0:
		return eighths[all], pick(picked, &st.ChartPicked, &st.ChartCall)
	case !st.Colors:
		if bad*2 >= all {
			return "▒", &st.ChartError
		}
		return eighths[all], &st.ChartCall
	case bad >= all:
		return eighths[all], &st.ChartError
	case all == 8:
		return eighths[bad], &st.ChartBoth
	case bad*2 >= all:
		return eighths[all], &st.ChartError
	}
	return eighths[all], &st.ChartCall
}

func pick(yes bool, a, b *lipgloss.Style) *lipgloss.Style {
	if yes {
		return a
	}
	return b
}

// axis is the line of times: one at the left, one at the right, and what a column stands for.
func (c *Chart) axis(n int, step, start int64) string {
	layout := "15:04:05"
	if span := c.Until - c.Since; span >= int64(24*time.Hour) {
		layout = "01-02 15:04"
	} else if span < int64(5*time.Second) {
		layout = "15:04:05.000"
	}
	clock := func(t int64) string { return time.Unix(0, t).In(c.Location).Format(layout) }
	left := labelWidth
	if c.Since > start {
		left += int((c.Since - start) / step)
	}
	line := make([]rune, c.width)
	for i := range line {
		line[i] = ' '
	}
	put := func(x int, s string) {
		for _, r := range s {
			if x >= 0 && x < len(line) {
				line[x] = r
				x++
			}
		}
	}
	right := clock(c.Until)
	end := labelWidth + n - len(right)
	first := clock(c.Since)
	if c.Dated && !strings.Contains(layout, "-") {
		first = time.Unix(0, c.Since).In(c.Location).Format("2006-01-02 ") + first
	}
	mid := "1 column = " + Duration(time.Duration(step))
	if left+len(first) < end-1 {
		put(left, first)
		if left+len(first)+len(mid)+4 < end {
			put((left+len(first)+end-len([]rune(mid)))/2, mid)
		}
	}
	put(end, right)
	if x := labelWidth + int((c.Cursor-start)/step); c.Cursor >= max(start, c.Since) && c.Cursor < c.Until && x < len(line) {
		for i := x; i < len(line) && line[i] != ' '; i++ { // half a time would be a wrong one
			line[i] = ' '
		}
		for i := x - 1; i >= 0 && line[i] != ' '; i-- {
			line[i] = ' '
		}
		return c.Styles.Faint.Render(string(line[:x])) + c.Styles.Accent.Render("▲") + c.Styles.Faint.Render(string(line[x+1:]))
	}
	return c.Styles.Faint.Render(string(line))
}

// rate is a number per second in seven cells.
func rate(r float64) style.Text { return style.Text(Number(r)) + "/s" }

// Number is a number of at least zero in five cells or fewer: 0, 0.25, 9.5, 812, 4.2k, 31M.
func Number(v float64) string {
	unit := ""
	for _, u := range []string{"k", "M", "G", "T"} {
		if v < 999.5 {
			break
		}
		v /= 1000
		unit = u
	}
	switch {
	case v == 0 || v >= 99.5 || unit == "" && v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64) + unit
	case v >= 0.995:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + unit
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Bytes is a size in seven cells or fewer: 0 B, 812 B, 4.2 KiB, 31 GiB.
func Bytes(n uint64) string {
	if n < 1024 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, unit := float64(n), ""
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"} {
		if v < 1000 {
			break
		}
		v /= 1024
		unit = u
	}
	if v >= 99.5 {
		return strconv.FormatFloat(v, 'f', 0, 64) + " " + unit
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + " " + unit
}

// Duration is a time span of at least zero in six cells or fewer: 12µs, 1.23ms, 45.6s, 12m5s.
func Duration(d time.Duration) string {
	digits := func(v float64) string {
		switch {
		case v == math.Trunc(v):
			return strconv.FormatFloat(v, 'f', 0, 64)
		case v >= 99.95:
			return strconv.FormatFloat(v, 'f', 0, 64)
		case v >= 9.995:
			return strconv.FormatFloat(v, 'f', 1, 64)
		}
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	switch {
	case d < time.Microsecond:
		return strconv.Itoa(int(d)) + "ns"
	case d < time.Millisecond:
		return strconv.Itoa(int(d.Microseconds())) + "µs"
	case d < time.Second-500*time.Microsecond:
		return digits(float64(d)/1e6) + "ms"
	case d < 2*time.Minute:
		return digits(d.Seconds()) + "s"
	case d < 100*time.Minute:
		d = d.Truncate(time.Second)
		return strconv.Itoa(int(d.Minutes())) + "m" + strconv.Itoa(int(d.Seconds())%60) + "s"
	case d < 100*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h" + strconv.Itoa(int(d.Minutes())%60) + "m"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}
