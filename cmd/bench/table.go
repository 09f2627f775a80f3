package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// column is one figure of a table.
type column struct {
	name   string
	format string // of one float64
}

// table gathers samples of figures by row, and prints their medians.
type table struct {
	columns []column
	rows    []string               // in the order of their first sample
	samples map[string][][]float64 // row → one list of figures a round
	notes   []string
}

func newTable(columns ...column) *table {
	return &table{columns: columns, samples: map[string][][]float64{}}
}

func (t *table) add(row string, figures ...float64) {
	if _, ok := t.samples[row]; !ok {
		t.rows = append(t.rows, row)
	}
	t.samples[row] = append(t.samples[row], figures)
}

// note adds a line under the table.
func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// median of one figure of a row; ok is false without a sample.
func (t *table) median(row string, col int) (m float64, ok bool) {
	var all []float64
	for _, figures := range t.samples[row] {
		all = append(all, figures[col])
	}
	if len(all) == 0 {
		return 0, false
	}
	return median(all), true
}

func median[T cmp.Ordered](all []T) T {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// ratio notes how the row a compares with b in a column: a divided by b.
func (t *table) ratio(a, b, col string) {
	i := slices.IndexFunc(t.columns, func(c column) bool { return c.name == col })
	if i < 0 {
		return
	}
	x, ok1 := t.median(a, i)
	y, ok2 := t.median(b, i)
	if !ok1 || !ok2 || y == 0 {
		return
	}
	digits := 2
	if x/y < 0.1 {
		digits = 4
	}
	t.note("%s: %s is %.*f times %s", col, a, digits, x/y, b)
}

// goal is a budget: what a column is to reach.
type goal struct {
	col       string
	must, aim float64 // aim 0: there is none
	most      bool    // not more than that; otherwise at least that
}

// goal notes whether rows reach a goal.
func (t *table) goal(g goal, rows ...string) {
	i := slices.IndexFunc(t.columns, func(c column) bool { return c.name == g.col })
	if i < 0 {
		return
	}
	format := t.columns[i].format
	text := fmt.Sprintf("%s: budget "+format, g.col, g.must)
	if g.aim != 0 {
		text += fmt.Sprintf(", aim "+format, g.aim)
	}
	reached := func(got, want float64) bool { return got == want || got < want == g.most }
	sep := ": "
	for _, row := range rows {
		got, ok := t.median(row, i)
		if !ok {
			continue
		}
		verdict := "missed"
		if g.aim != 0 && reached(got, g.aim) {
			verdict = "aim met"
		} else if reached(got, g.must) {
			verdict = "met"
		}
		text += fmt.Sprintf("%s%s has "+format+", %s", sep, row, got, verdict)
		sep = "; "
	}
	t.note("%s", text)
}

func (t *table) print() { t.write(os.Stdout) }

func (t *table) write(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	fmt.Fprintf(w, "\t%s\t\n", strings.Join(names, "\t"))
	for _, row := range t.rows {
		fmt.Fprintf(w, "%s\t", row)
		for i, c := range t.columns {
			m, _ := t.median(row, i)
			fmt.Fprintf(w, c.format+"\t", m)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	for _, n := range t.notes {
		fmt.Fprintln(out, "  "+n)
	}
}
