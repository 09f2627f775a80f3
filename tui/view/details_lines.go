package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// keyWidth is the room for names at the left.
const keyWidth = 22

// builder lays a call out as lines of at most w cells.
type builder struct {
	st  *style.Styles
	w   int
	out []component.Line
}

func (b *builder) blank() {
	if len(b.out) > 0 {
		b.out = append(b.out, component.Line{})
	}
}

func (b *builder) heading(name, note string) {
	b.blank()
	b.out = append(b.out, component.Line{Title: true, Spans: []component.Span{
		{Text: style.Clean(name), Style: b.st.Strong}, {Text: "  " + style.Clean(note), Style: b.st.Dim}}})
}

// pair is a name and a value; a long value goes on below.
func (b *builder) pair(name, value, filter string, look lipgloss.Style) {
	b.fieldPair(name, value, filter, "", look)
}

// fieldPair is pair for the value of a field, which can be a column.
func (b *builder) fieldPair(name, value, filter, field string, look lipgloss.Style) {
	n := style.Text(style.Clean(name).Fit(max(keyWidth, min(style.Clean(name).Width(), b.w/2))))
	room := b.w - n.Width() - 1
	for i, part := range component.Wrap(style.Clean(value), room) {
		if i > 0 {
			n = style.Text(style.Blank(n.Width()))
		}
		if i == 12 {
			part = "…"
		}
		b.out = append(b.out, component.Line{Filter: filter, Field: field, Copy: string(style.Clean(value)), Spans: []component.Span{
			{Text: n + " ", Style: b.st.Key}, {Text: part, Style: look}}})
		if i == 12 {
			return
		}
	}
}

// build lays out what is known of the call.
func (d *Details) build(w int) []component.Line {
	b := &builder{st: d.styles, w: max(w, 20)}
	r, st := d.row, d.styles
	result := st.Text
	if r.err {
		result = st.Error
	}
	status := string(r.status)
	if r.cut {
		status = strings.TrimSpace(status + " (cut off: bytes of it are missing)")
	}
	if status != "" {
		b.pair("status", status, "", result)
	}
	b.pair("time", time.Unix(0, r.time).In(d.host.Clock.Location).Format("2006-01-02 15:04:05.000000 MST"), "", st.Text)
	switch {
	case d.err != nil:
		b.heading("No more is known", "")
		for l := range strings.SplitSeq(d.err.Error(), "\n") {
			for _, part := range component.Wrap(style.Clean(l), b.w) {
				b.out = append(b.out, component.Line{Spans: []component.Span{{Text: part, Style: st.Error}}})
			}
		}
		return b.out
	case d.detail == nil:
		b.ends(nil, r)
		b.blank()
		b.out = append(b.out, component.Line{Spans: []component.Span{{Text: "reading …", Style: st.Dim}}})
		return b.out
	}
	if !b.hops(d.detail) {
		b.timing(d.detail)
	}
	b.ends(d.detail, r)
	fields := readFields(d.detail.Fields)
	request, response, other := split(fields)
	b.section("Request", component.Bytes(d.detail.RequestSize), request, d.detail.RequestSize > 0)
	b.body(d.detail.Bodies[0], 0, d.layout)
	b.section("Response", component.Bytes(d.detail.ResponseSize), response, d.detail.ResponseSize > 0)
	b.body(d.detail.Bodies[1], 1, d.layout)
	if len(other) > 0 {
		b.section("Fields", "", other, true)
	}
	return b.out
}

// timing draws how long each part took, as blocks in proportion.
func (b *builder) timing(d *Detail) {
	type part struct {
		name string
		ns   int64
		look lipgloss.Style
		sign string
	}
	var parts []part
	if d.Time != 0 && d.RequestEnd >= d.Time {
		parts = append(parts, part{"request", d.RequestEnd - d.Time, b.st.Dim, "▒"})
	}
	if d.RequestEnd != 0 && d.RespStart != 0 {
		parts = append(parts, part{"wait", max(0, d.RespStart-d.RequestEnd), b.st.Accent, "█"})
	}
	if d.RespStart != 0 && d.RespEnd >= d.RespStart {
		parts = append(parts, part{"response", d.RespEnd - d.RespStart, b.st.Dim, "▒"})
	}
	var total int64
	for _, p := range parts {
		total += p.ns
	}
	if total <= 0 || len(parts) < 2 {
		return
	}
	room := max(8, min(40, b.w-keyWidth-1))
	spans := []component.Span{{Text: style.Text(style.Text("took").Fit(keyWidth)) + " ", Style: b.st.Key}}
	legend := []component.Span{{Text: style.Text(style.Blank(keyWidth + 1)), Style: b.st.Text}}
	for _, p := range parts {
		n := int(p.ns * int64(room) / total)
		if n == 0 && p.ns > 0 {
			n = 1
		}
		spans = append(spans, component.Span{Text: style.Text(strings.Repeat(p.sign, n)), Style: p.look})
		legend = append(legend, component.Span{Text: style.Text(p.name + " "), Style: b.st.Dim},
			component.Span{Text: style.Text(component.Duration(time.Duration(p.ns)) + "   "), Style: b.st.Text})
	}
	spans = append(spans, component.Span{Text: style.Text(" " + component.Duration(time.Duration(total))), Style: b.st.Strong})
	b.out = append(b.out, component.Line{Spans: spans}, component.Line{Spans: legend})
}

// ends tells between whom the call was.
func (b *builder) ends(d *Detail, r *row) {
	for _, e := range []struct {
		name, side string
		p          *peer
	}{{"from", "src", r.src()}, {"to", "dst", r.dst()}} {
		text := string(e.p.full)
		if a := e.p.addr.String(); string(e.p.full) != e.p.addr.Addr().String() {
			text += "  " + a
		} else {
			text = a
		}
		b.pair(e.name, text, endpointFilter(e.side, e.p), b.st.Text)
		var more []string
		if id := e.p.id; id != nil {
			for _, x := range []struct{ name, value string }{{"pod", id.Pod}, {"service", id.Service}, {"workload", id.Workload}, {"node", id.Node}, {"dns", id.DNS}} {
				if x.value != "" && x.value != id.Name() {
					more = append(more, x.name+" "+x.value)
				}
			}
		}
		if len(more) > 0 {
			b.pair("", strings.Join(more, "  "), "", b.st.Dim)
		}
	}
	if d == nil {
		return
	}
	text := d.Stream + "  " + d.Transport
	if d.Node != "" {
		text += "  seen on " + d.Node
	}
	switch {
	case r.flow.both:
		text += ", and at the client's side"
	case d.Vantage != "":
		text += ", " + d.Vantage + "'s side"
	}
	b.pair("stream", text, "stream == "+dissect.Quote(d.Stream), b.st.Text)
}

// field is one filter field and its value.
type field struct {
	name   string // as in filters: request.headers["host"]
	label  string
	value  string
	filter string
	group  string // of the map it was in
}

// readFields reads the JSON pairs of a message, in their order; maps and lists become a field
// for each entry. What cannot be read is left out, and said.
func readFields(pairs []byte) []field {
	pairs = bytes.TrimPrefix(bytes.TrimSpace(pairs), []byte(","))
	if len(pairs) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(slices.Concat([]byte("{"), pairs, []byte("}"))))
	dec.UseNumber()
	var out []field
	if _, err := dec.Token(); err != nil {
		return []field{{label: "fields", value: "cannot be read: " + err.Error()}}
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return append(out, field{label: "fields", value: "cannot be read: " + err.Error()})
		}
		var v any
		if err := dec.Decode(&v); err != nil {
			return append(out, field{label: "fields", value: "cannot be read: " + err.Error()})
		}
		out = appendField(out, fmt.Sprint(name), v)
	}
	return out
}

func appendField(out []field, name string, v any) []field {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			value, lit := literal(v[k])
			path := name + "[" + dissect.Quote(k) + "]"
			out = append(out, field{name: path, label: k, value: value, filter: path + " == " + lit, group: name})
		}
	case []any:
		for i, e := range v {
			value, lit := literal(e)
			label := name
			if i > 0 {
				label = ""
			}
			out = append(out, field{name: name, label: label, value: value, filter: lit + " in " + name})
		}
	default:
		value, lit := literal(v)
		out = append(out, field{name: name, label: name, value: value, filter: name + " == " + lit})
	}
	return out
}

// literal is a JSON value as it is shown and as CEL has it.
func literal(v any) (shown, cel string) {
	switch v := v.(type) {
	case string:
		return v, dissect.Quote(v)
	case json.Number:
		return v.String(), v.String()
	case bool:
		return fmt.Sprint(v), fmt.Sprint(v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "", `""`
	}
	return string(text), dissect.Quote(string(text))
}

// split sorts fields into those of the request, of the response, and others.
func split(fields []field) (request, response, other []field) {
	for _, f := range fields {
		base := f.name
		switch {
		case strings.HasPrefix(base, "request"), base == "method", base == "url", base == "path", base == "host",
			base == "http_version", strings.HasPrefix(base, "query_string"), strings.HasSuffix(base, "_request"),
			strings.Contains(base, "_question"):
			request = append(request, f)
		case strings.HasPrefix(base, "response"), base == "status_code", strings.HasSuffix(base, "_response"),
			strings.Contains(base, "_answer"), strings.Contains(base, "_rcode"), strings.Contains(base, "_error"),
			strings.HasPrefix(base, "grpc_status"), strings.HasPrefix(base, "grpc_message"):
			response = append(response, f)
		default:
			other = append(other, f)
		}
	}
	return request, response, other
}

// section draws fields under a heading: plain ones first, then maps, as headers are.
func (b *builder) section(name, note string, fields []field, always bool) {
	if len(fields) == 0 && !always {
		return
	}
	b.heading(name, note)
	group := ""
	for _, maps := range []bool{false, true} {
		for _, f := range fields {
			if (f.group != "") != maps {
				continue
			}
			if f.group != group {
				group = f.group
				title := group[strings.LastIndexByte(group, '.')+1:]
				b.out = append(b.out, component.Line{Spans: []component.Span{{Text: style.Clean(strings.ReplaceAll(title, "_", " ")), Style: b.st.Dim}}})
			}
			label := f.label
			if maps {
				label = "  " + label
			}
			b.fieldPair(label, f.value, f.filter, f.name, b.st.Text)
		}
	}
}

// body lays out one body: JSON by its structure, text as lines, the rest in hex.
func (b *builder) body(body *dissect.Body, part int, how bodyLayout) {
	if body == nil || len(body.Data) == 0 && body.Size == 0 && body.Err == nil {
		return
	}
	name := [...]string{"Request body", "Response body"}[part]
	note := bodyName(body)
	b.heading(name, note)
	if body.Err != nil {
		b.pair("", "shown as it came: "+body.Err.Error(), "", b.st.Warn)
	}
	var lines []component.Line
	text := component.IsText(body.Data)
	switch {
	case how == inHex || !text:
		lines = component.HexLines(b.st, body.Data, b.w)
	case how == laidOut && component.IsJSON(body.Data):
		lines = component.JSONLines(b.st, body.Data, b.w)
	default:
		lines = component.TextLines(b.st, body.Data, b.w)
	}
	for i := range lines {
		lines[i].Body = 1 + part
	}
	b.out = append(b.out, lines...)
	if body.Truncated {
		b.out = append(b.out, component.Line{Spans: []component.Span{{Text: "… cut here: the screen asks for no more of a body", Style: b.st.Dim}}})
	}
}
