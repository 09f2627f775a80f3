package filter

import (
	"encoding/json"
	"strings"

	"github.com/google/cel-go/common/types"

	"github.com/sshark/sshark/dissect"
)

// Columns are fields whose values are read of one call after the other, also of calls of an
// answer, of which there is only what was written down. Not safe for concurrent use.
type Columns struct {
	subject subject
	columns []column
	text    []byte
}

type column struct {
	field *field
	key   string // of a map
	keyed bool
}

// Columns finds fields by their names as filters have them, or as JSON nests them: dst.service
// is dst.service.name, dst is dst.name, and node is the node's name. A key of a map stands behind a dot:
// dst.labels.app, request.headers.host. An error is an *Error, whose Source are the names with
// commas between.
func (l *Language) Columns(names ...string) (*Columns, error) {
	src, at := strings.Join(names, ","), 0
	c := &Columns{columns: make([]column, 0, len(names))}
	c.subject.filter = &Filter{lang: l}
	for _, n := range names {
		col, ok := l.column(n)
		switch f := col.field; {
		case !ok:
			return nil, l.unknownField(src, at, n)
		case f.scope == scopeFlow:
			return nil, errorAt(src, at, "`%s` is a field of flows; calls do not have it", n)
		case f.scope == scopeBody, f.kind == octet, f.kind == kindBody, f.kind == kindTimestamp, f.kind == kindDuration:
			return nil, errorAt(src, at, "`%s` is of type %s, or differs from call to call: nothing can be grouped by it", n, typeName(f.celType()))
		case f.kind == dict && !col.keyed:
			return nil, errorAt(src, at, "`%s` is a map: want a key of it, such as %s.%s", n, n, strings.Trim(f.example, `"`))
		}
		c.columns = append(c.columns, col)
		at += len(n) + 1
	}
	return c, nil
}

// column finds one.
func (l *Language) column(name string) (column, bool) {
	if name == "node" {
		name = "node_name"
	}
	if f := l.fields[name]; f != nil {
		return column{field: f}, true
	}
	if f := l.fields[name+".name"]; f != nil {
		return column{field: f}, true
	}
	for i := range name {
		if name[i] != '.' || i+1 == len(name) {
			continue
		}
		if f := l.fields[name[:i]]; f != nil && f.kind == dict {
			return column{field: f, key: name[i+1:], keyed: true}, true
		}
	}
	return column{}, false
}

// Payload names a column of what was said, as Filter.Payload; "" if there is none.
func (c *Columns) Payload() string {
	for _, col := range c.columns {
		if col.field.said {
			return col.field.name
		}
	}
	return ""
}

// Read appends the columns' values of a call: string, int64 or bool, nil where the call does
// not have it. A list is its texts with commas between.
func (c *Columns) Read(dst []any, call *dissect.Call) []any {
	s := &c.subject
	s.setCall(call)
	s.written = written{}
	if call.Message != nil {
		c.text = call.Message.AppendFields(append(c.text[:0], '{'))
		s.written = parseWritten(c.text)
	}
	for i := range c.columns {
		dst = append(dst, c.columns[i].read(s))
	}
	s.call, s.flow = nil, nil // borrowed
	s.src, s.dst, s.local, s.remote = nil, nil, nil, nil
	return dst
}

func (c *column) read(s *subject) any {
	v, _ := s.value(c.field)
	switch v := v.(type) {
	case types.String:
		return string(v)
	case types.Int:
		return int64(v)
	case types.Bool:
		return bool(v)
	case *mapVal:
		if text, ok := v.lookup(types.String(c.key)); ok {
			return text
		}
	case *listVal:
		if texts, ok := v.Lister.Value().([]string); ok && len(texts) > 0 {
			return strings.Join(texts, ",")
		}
	}
	return nil
}

// written is what dissect.Message.AppendFields wrote, by name.
type written map[string]json.RawMessage

// parseWritten reads `{,"name":value`. What is no JSON has no fields.
func parseWritten(text []byte) written {
	w := written{}
	if len(text) < 2 {
		return w
	}
	text[1] = '{'
	if err := json.Unmarshal(append(text[1:], '}'), &w); err != nil {
		return written{}
	}
	return w
}

// read is a value in the types of dissect.Field.Get; nil if there is none.
func (w written) read(name string) any {
	raw, ok := w[name]
	if !ok {
		return nil
	}
	switch raw[0] {
	case '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	case 't', 'f':
		return raw[0] == 't'
	case '[':
		var s []string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	case '{':
		var m map[string]string
		if json.Unmarshal(raw, &m) == nil {
			return m
		}
	default:
		var n int64
		if json.Unmarshal(raw, &n) == nil && raw[0] != 'n' {
			return n
		}
	}
	return nil
}
