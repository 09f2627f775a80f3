package view

import (
	"errors"
	"slices"
	"time"

	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// Clock is what a screen needs to know of time: how late it is, and how times are shown.
type Clock struct {
	Now      func() time.Time
	Location *time.Location // of the times shown
	Local    *time.Location // of the session; nil: Location
	Form     TimeForm
}

// TimeForm is what the column of times shows.
type TimeForm uint8

// The forms, in the order in which a key leads through them.
const (
	LocalTime TimeForm = iota
	UTCTime
	Ago           // before now
	SincePrevious // row
	SinceMark     // the first row that is marked, or the first
)

var timeForms = [...]struct{ name, says string }{
	LocalTime: {"local", "local time"}, UTCTime: {"utc", "UTC"}, Ago: {"relative", "relative to now"},
	SincePrevious: {"previous", "since the previous row"}, SinceMark: {"marked", "since the first marked row, or the first"},
}

func (f TimeForm) String() string { return timeForms[f].says }

// TimeForms are the names of the forms.
func TimeForms() []string {
	var out []string
	for _, f := range timeForms {
		out = append(out, f.name)
	}
	return out
}

// Says explains a form by its number in TimeForms.
func (c *Clock) Says(i int) string { return timeForms[i].says }

func (c *Clock) local() *time.Location {
	if c.Local != nil {
		return c.Local
	}
	return c.Location
}

// set shows times in a form.
func (c *Clock) set(f TimeForm) {
	c.Local, c.Form = c.local(), f
	if c.Location = c.Local; f == UTCTime {
		c.Location = time.UTC
	}
}

// Next goes to the next form; UTC is no other one where the local time is UTC.
func (c *Clock) Next() {
	f := (c.Form + 1) % TimeForm(len(timeForms))
	if f == UTCTime && c.local() == time.UTC {
		f++
	}
	c.set(f)
}

var errTimeForm = errors.New("type local, utc, relative, previous, marked, or a zone as Europe/Berlin")

// Set takes a form, or a zone that is local from now on, as it is typed.
func (c *Clock) Set(name string) error {
	if i := slices.Index(TimeForms(), name); i >= 0 {
		c.set(TimeForm(i))
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" {
		return errTimeForm
	}
	c.Local = zone
	c.set(LocalTime)
	return nil
}

// Title is that of a column of times.
func (c *Clock) Title() style.Text {
	switch c.Form {
	case UTCTime:
		return "TIME UTC"
	case Ago:
		return "TIME AGO"
	case SincePrevious:
		return "TIME +"
	case SinceMark:
		return "TIME +●"
	}
	return "TIME"
}

// Row is Cell of row i, where at tells the times of the rows.
func (c *Clock) Row(i int, at func(i int) int64, mark int64, w int) style.Text {
	previous := int64(0)
	if i > 0 {
		previous = at(i - 1)
	}
	return c.Cell(at(i), previous, mark, w)
}

// Cell is a time in a column of w cells; previous and mark are the times of other rows, ns, 0
// where there is none.
func (c *Clock) Cell(at, previous, mark int64, w int) style.Text {
	apart := func(from int64) style.Text {
		switch d := time.Duration(at - from); {
		case from == 0:
			return "-"
		case d < 0:
			return style.Text("-" + component.Duration(-d))
		default:
			return style.Text("+" + component.Duration(d))
		}
	}
	switch c.Form {
	case Ago: // whole seconds: what changes is drawn, and a line to an operator is thin
		d := c.Now().Sub(time.Unix(0, at)).Truncate(time.Second)
		if d < time.Second {
			return "now"
		}
		return style.Text(component.Duration(d))
	case SincePrevious:
		return apart(previous)
	case SinceMark:
		return apart(mark)
	}
	layout := "15:04:05"
	if w >= 15 {
		layout = "15:04:05.000000"
	} else if w >= 12 {
		layout = "15:04:05.000"
	} else if w >= 10 {
		layout = "15:04:05.0"
	}
	return style.Text(time.Unix(0, at).In(c.Location).Format(layout))
}
