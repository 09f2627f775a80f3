package view

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// The columns that every list of calls has. A column of a field is colField.
const (
	colTime = iota
	colSource
	colDestination
	colProtocol
	colSummary
	colStatus
	colLatency
	colField
)

var columnNames = [...]string{"time", "source", "destination", "protocol", "summary", "status", "latency"}

var ownColumns = [...]component.Column{
	colTime:        {Title: "TIME", Min: 8, Max: 12, Weight: 3, Sort: 0},
	colSource:      {Title: "SOURCE", Min: 11, Max: 32, Weight: 4, Sort: 0},
	colDestination: {Title: "DESTINATION", Min: 11, Max: 32, Weight: 4, Sort: 0},
	colProtocol:    {Title: "PROTO", Min: 5, Max: 10, Weight: 1, Sort: 0},
	colSummary:     {Title: "SUMMARY", Min: 10, Weight: 14, Sort: 1},
	colStatus:      {Title: "STATUS", Min: 7, Max: 10, Weight: 1, Sort: 2},
	colLatency:     {Title: "LATENCY", Min: 7, Max: 8, Right: true, Sort: 0},
}

// column is one column of the list of calls, as it was chosen.
type column struct {
	kind  int    // colTime … colField
	field string // of colField, as in filters: request.headers["x-id"]
	width int    // cells; 0: as there is room
	off   bool
}

func (c *column) name() string {
	if c.kind == colField {
		return c.field
	}
	return columnNames[c.kind]
}

// component is the column as the table has it.
func (c *column) component() component.Column {
	out := component.Column{Title: style.Clean(strings.ToUpper(c.label())), Min: 8, Max: 32, Weight: 3, Sort: -1}
	if c.kind != colField {
		out = ownColumns[c.kind]
	}
	if c.width > 0 {
		out.Min, out.Max, out.Weight = c.width, c.width, 0
	}
	return out
}

// label is the end of a field's name that tells it: x-id of request.headers["x-id"].
func (c *column) label() string {
	s := strings.TrimSuffix(c.field, `"]`)
	if i := strings.LastIndex(s, `["`); i >= 0 {
		return s[i+2:]
	}
	return s
}

// Columns are the columns that were chosen in a session, in their order; the zero Columns are
// those that a list begins with.
type Columns struct{ list []column }

// maxColumns bounds how many fields are shown.
const maxColumns = 24

func (c *Columns) get() []column {
	if c.list == nil {
		for k := range ownColumns {
			c.list = append(c.list, column{kind: k})
		}
	}
	return slices.Clone(c.list)
}

// fields are the names of the fields that are shown, as Backend.Columns takes them.
func fieldsOf(list []column) []string {
	var out []string
	for _, c := range list {
		if c.kind == colField && !c.off {
			out = append(out, dotted(c.field))
		}
	}
	return out
}

// dotted is a field's name with the key of a map behind a dot.
func dotted(name string) string {
	if i := strings.Index(name, "["); i > 0 && strings.HasSuffix(name, "]") {
		if key, err := strconv.Unquote(name[i+1 : len(name)-1]); err == nil {
			return name[:i] + "." + key
		}
	}
	return name
}

// ColumnReader appends the values of some fields of a call: string, int64, bool, or nil where
// the call does not have it. One goroutine uses it.
type ColumnReader func(dst []any, c *dissect.Call) []any

// maxValue is how many bytes of a field's value a row keeps.
const maxValue = 300

// bounded keeps rows small.
func bounded(values []any) []any {
	for i, v := range values {
		if s, ok := v.(string); ok && len(s) > maxValue {
			values[i] = strings.Clone(s[:maxValue])
		}
	}
	return values
}

// valueText is the value of a field as it is shown.
func valueText(v any) style.Text {
	switch v := v.(type) {
	case string:
		return style.Clean(v)
	case int64:
		return style.Text(strconv.FormatInt(v, 10))
	case bool:
		return style.Text(strconv.FormatBool(v))
	}
	return ""
}

// valueFilter selects calls with the value of a field; why says why there is none.
func valueFilter(field string, v any) (filter, why string) {
	switch v := v.(type) {
	case string:
		if len(v) >= maxValue {
			return field + ".startsWith(" + dissect.Quote(strings.ToValidUTF8(v, "")) + ")", ""
		}
		return field + " == " + dissect.Quote(v), ""
	case int64:
		return field + " == " + strconv.FormatInt(v, 10), ""
	case bool:
		if !v {
			field = "!" + field
		}
		return field, ""
	}
	return "", "this call does not have " + field
}

// compareValues orders the values of a field: what is not there first, numbers by size.
func compareValues(a, b any) int {
	x, okX := a.(int64)
	y, okY := b.(int64)
	if okX && okY {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(valueText(a), valueText(b))
}
