package view

import (
	"slices"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
)

// memory is what the session remembers.
func (m *Calls) memory() *Memory {
	if m.host.Memory != nil {
		return m.host.Memory
	}
	return &m.own
}

// lay gives the table its columns.
func (m *Calls) lay(list []column) {
	picked := column{kind: colSummary}
	if m.table.Picked < len(m.columns) {
		picked = m.columns[m.table.Picked]
	}
	m.columns = slices.DeleteFunc(slices.Clone(list), func(c column) bool { return c.off })
	m.table.Columns = nil
	for i := range m.columns {
		m.table.Columns = append(m.table.Columns, m.columns[i].component())
	}
	m.table.Picked = max(0, m.indexOf(&picked))
	if m.sorted != nil {
		if m.table.Sorted = m.indexOf(m.sorted); m.table.Sorted < 0 {
			m.sorted = nil
		}
	}
	w := m.layout().list.w
	m.table.SetSize(0, 0) // so that widths are shared anew
	m.table.SetSize(w, m.layout().list.h)
	m.table.To(m.table.Cursor, len(m.shown))
}

// indexOf is where a column is in the table, -1 if it is not shown.
func (m *Calls) indexOf(c *column) int {
	return slices.IndexFunc(m.columns, func(o column) bool { return o.kind == c.kind && o.field == c.field })
}

// setColumns shows other columns, which the session remembers. Fields that were not read
// before are asked for.
func (m *Calls) setColumns(list []column) tea.Cmd {
	m.memory().Columns.list = list
	m.lay(list)
	if fields := fieldsOf(m.columns); !slices.Equal(fields, m.feed.columns) {
		was := m.selected
		cmd := m.restart()
		m.keep(was)
		return cmd
	}
	return nil
}

// keep lets a call be the selected one when it comes again.
func (m *Calls) keep(r *row) {
	if r != nil && !m.follow {
		m.selected = r
	}
}

// fieldColumn makes the field under the cursor of the details a column.
func (m *Calls) fieldColumn() tea.Cmd {
	field := m.Detail.field()
	if field == "" {
		return refuse("this line is no field: go to one with j and k")
	}
	if err := m.host.checkColumn(field); err != nil {
		return refuse("%s", firstLine(err.Error()))
	}
	list, refused := addColumn(m.memory().Columns.get(), field)
	if refused != nil {
		return refused
	}
	return tea.Batch(m.setColumns(list), flash("%s is a column now; C chooses columns", field))
}

// cellFilter is the filter of the picked cell.
func (m *Calls) cellFilter() (filter, why string) {
	c := &m.columns[m.table.Picked]
	if c.kind != colField {
		return cellFilter(m.selected, c.kind)
	}
	return valueFilter(c.field, m.selected.value(slices.Index(m.feed.columns, dotted(c.field))))
}

// sortBy sorts by a column of the table: up, down, and no more.
func (m *Calls) sortBy(at int) tea.Cmd {
	if at < 0 {
		return refuse("this column is not shown: C shows it")
	}
	c := m.columns[at]
	down := c.kind == colLatency // the slowest first
	switch {
	case m.sorted == nil || *m.sorted != c:
		m.sorted, m.table.Sorted, m.table.Reverse = &c, at, down
	case m.table.Reverse == down:
		m.table.Reverse = !m.table.Reverse
	default:
		m.sorted, m.table.Sorted, m.table.Reverse = nil, -1, false
	}
	m.follow = false
	m.order()
	m.table.To(0, len(m.shown))
	if len(m.shown) > 0 {
		m.selected = m.shown[0]
	}
	if m.sorted == nil {
		return flash("in the order of time")
	}
	return flash("sorted by %s", c.name())
}

// fieldCell draws the value of a field.
func (m *Calls) fieldCell(r *row, c *column) component.Cell {
	return component.Cell{Text: valueText(r.value(slices.Index(m.feed.columns, dotted(c.field)))), Style: m.host.Styles.Text}
}
