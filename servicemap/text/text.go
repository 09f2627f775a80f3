// Package text draws a service map in characters, and writes it as JSON, DOT and Mermaid.
//
// The drawing is in layers from left to right, callers before those they call. A box has the
// node's name in its upper border and its namespace in the lower one; each line that comes in
// has a row of its own in the box, with an arrow head before it and, inside, what came: the
// protocol, calls (or bytes, where no calls are known), the part that failed and how long it
// took. All lines of one caller are one net, drawn in one piece; nets never join: where two
// cross, the one from left to right passes behind the other (─│─), while ┼ and ┬ are branches
// of the same net. A call against the direction (of a cycle) is a net of its own, from the
// left side of its caller to the right side of the other, headed ◀.
//
// What does not fit the width and height is drawn with a box for each namespace, what does
// not fit then as a matrix, and what is too much for that as a tree; the first line says so.
//
// Drawings are ASCII but for lines, heads and the mark of what was cut: what a terminal might
// obey in a name, or whose width is in doubt, is written by number. All is pure.
package text

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sshark/sshark/dissect/quantile"
	"github.com/sshark/sshark/servicemap"
)

// Options say how a map is drawn.
type Options struct {
	Width, Height int // in characters; 0: no bound
	Color         bool
	What          string // what the nodes are ("workload"), for the first line

	// For Arrange. Amount says in ASCII how much went over a link, nil: the calls, or bytes where
	// none are known. Room is kept for so many characters of it, and for errors, so that numbers
	// may grow without anything moving.
	Amount func(*Link) string
	Room   int
}

// Drawing is a drawn map.
type Drawing struct {
	Lines []string // without trailing blanks; with SGR codes of the 16 colours if asked for
	Boxes []Box    // none in a tree
	// Map is what was drawn: the one that was given, or its namespaces.
	Map *servicemap.Map

	canvas *canvas
}

// Box is where a node was drawn; row 0 is the first line.
type Box struct {
	Node       int // index of Drawing.Map.Nodes
	X, Y, W, H int
}

// Beyond this many boxes or links nobody follows a line, and a tree is better.
const (
	maxBoxes = 120
	maxLinks = 360
)

// level is how much is said, from all to what must be said.
type level struct {
	name    int  // characters of a name
	latency bool // in labels
	tight   bool // no blanks beside labels, and "!3%" for "err 3%"
	bare    bool // no numbers but errors
}

var levels = []level{
	{name: 40, latency: true}, {name: 30, latency: true, tight: true}, {name: 30}, {name: 20, tight: true}, {name: 13, tight: true},
	{name: 11, tight: true, bare: true},
}

// Draw draws a map.
func Draw(m *servicemap.Map, o Options) *Drawing {
	what := o.What
	if what == "" {
		what = "node"
	}
	ls := Links(m)
	title := count(len(m.Nodes), what) + ", " + count(len(ls), "edge")
	if ns, one := oneNamespace(m); one {
		title += "; namespace " + safe(ns)
	}
	if d := boxes(m, ls, o, title); d != nil {
		return d
	}
	g := m.ByNamespace()
	groups := Links(g)
	if len(g.Nodes) < len(m.Nodes) && len(g.Nodes) > 2 {
		d := boxes(g, groups, o, fmt.Sprintf("%s; each namespace is one box: all %d do not fit", title, len(m.Nodes)))
		if d != nil {
			return d
		}
	}
	if o.Width > 0 {
		const legend = "rows call columns; !: part that failed"
		if d := matrix(m, ls, o, fmt.Sprintf("%s; %s", title, legend)); d != nil {
			return d
		}
		// A tree says more than namespaces do, if it may be as long as it wants.
		if o.Height > 0 {
			if d := matrix(g, groups, o, fmt.Sprintf("%s, by namespace; %s", title, legend)); d != nil {
				return d
			}
		}
	}
	return tree(m, ls, o, title+"; as a tree, since boxes do not fit")
}

func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	default:
		return fmt.Sprintf("%d %ss", n, what)
	}
}

// oneNamespace says whether all nodes that have a namespace have the same.
func oneNamespace(m *servicemap.Map) (ns string, one bool) {
	for _, n := range m.Nodes {
		if n.Namespace != "" && ns != "" && n.Namespace != ns {
			return "", false
		}
		if n.Namespace != "" {
			ns = n.Namespace
		}
	}
	return ns, ns != ""
}

// boxes draws layers of boxes with as much said as fits; nil: it does not fit at all.
func boxes(m *servicemap.Map, ls []Link, o Options, title string) *Drawing {
	if len(m.Nodes) > maxBoxes || len(ls) > maxLinks || o.Height == 1 {
		return nil
	}
	l := newLayout(m, ls, o)
	l.arrange()
	if !l.fit(o.Width, max(o.Height-1, 0)) {
		return nil
	}
	if l.level.tight && slices.ContainsFunc(ls, func(k Link) bool { return k.Edge.Errors > 0 }) {
		title += "; !: part that failed"
	}
	d := l.draw()
	for i := range d.Boxes { // below the title
		d.Boxes[i].Y++
	}
	if o.Width > 0 {
		title = cut(title, o.Width)
	}
	d.Lines = append([]string{title}, d.canvas.lines(o.Color)...)
	return d
}

// Link is all edges from one node to another.
type Link struct {
	From, To int    // indices of Map.Nodes
	Protocol string // the main one, or "tcp/5432"
	More     int    // other protocols
	Edge     servicemap.Edge
	shared   bool // Edge.Latency is that of the map, not to be changed
}

// Links puts the edges between the same two nodes together, in the order of the map. They
// share memory with it, and are to be read only.
func Links(m *servicemap.Map) []Link {
	at := make(map[[2]int]int, len(m.Edges))
	out := make([]Link, 0, len(m.Edges))
	best := make([]uint64, 0, len(m.Edges))
	for i := range m.Edges {
		e := &m.Edges[i]
		k := [2]int{e.From, e.To}
		weight := e.Calls<<32 + e.Flows
		j, ok := at[k]
		if !ok {
			at[k] = len(out)
			out = append(out, Link{From: e.From, To: e.To, Protocol: protocol(e), More: -1, Edge: *e, shared: true})
			best = append(best, weight)
			l := &out[len(out)-1]
			l.Edge.Protocols = slices.Clip(names(e))
			continue
		}
		l := &out[j]
		if weight > best[j] {
			best[j], l.Protocol = weight, protocol(e)
		}
		l.Edge.Flows += e.Flows
		l.Edge.Packets += e.Packets
		l.Edge.Bytes += e.Bytes
		l.Edge.Calls += e.Calls
		l.Edge.Errors += e.Errors
		if l.Edge.Port != e.Port {
			l.Edge.Port = 0
		}
		if l.shared {
			var own quantile.Histogram
			own.Merge(&l.Edge.Latency)
			l.Edge.Latency, l.shared = own, false
		}
		l.Edge.Latency.Merge(&e.Latency)
		for _, p := range names(e) {
			if !slices.Contains(l.Edge.Protocols, p) {
				l.Edge.Protocols = append(l.Edge.Protocols, p)
			}
		}
	}
	for i := range out {
		out[i].More = len(out[i].Edge.Protocols) - 1
	}
	return out
}

// LinkOf is one edge alone.
func LinkOf(e *servicemap.Edge) Link {
	l := Link{From: e.From, To: e.To, Protocol: protocol(e), Edge: *e, shared: true}
	l.Edge.Protocols = names(e)
	l.More = len(l.Edge.Protocols) - 1
	return l
}

// names are what the edge's protocols are called.
func names(e *servicemap.Edge) []string {
	if len(e.Protocols) > 0 {
		return e.Protocols
	}
	return []string{protocol(e)}
}

// protocol is the L7 protocol of an edge, else transport and port.
func protocol(e *servicemap.Edge) string {
	switch {
	case e.Protocol != "":
		return e.Protocol
	case e.Port == 0:
		return e.Transport.String()
	}
	return fmt.Sprintf("%s/%d", e.Transport, e.Port)
}

// label is what is said of a link, and bad the part of it that speaks of errors.
func (l *Link) label(lv level, o *Options) (plain, bad, tail string) {
	plain = safe(l.Protocol)
	if l.More > 0 {
		plain += fmt.Sprintf("+%d", l.More)
	}
	if !lv.bare {
		plain += " " + l.amount(o)
	}
	if l.Edge.Errors > 0 {
		bad = Percent(l.Edge.Errors, l.Edge.Calls)
		if lv.tight {
			bad = "!" + bad
		} else {
			bad = "err " + bad
		}
	}
	if lv.latency && l.Edge.Latency.Count() > 0 {
		tail = "p90 " + elapsed(l.Edge.Latency.Quantile(0.9))
	}
	return plain, bad, tail
}

func (l *Link) amount(o *Options) string {
	switch {
	case o.Amount != nil:
		return o.Amount(l)
	case l.Edge.Calls == 0:
		return Number(l.Edge.Bytes) + "B"
	}
	return Number(l.Edge.Calls)
}

// room is how many characters a label takes, or may take later.
func (l *Link) room(lv level, o *Options) int {
	plain, bad, tail := l.label(lv, o)
	w := labelWidth(plain, bad, tail)
	if o.Room == 0 {
		return w
	}
	if !lv.bare {
		w += max(0, o.Room-len(l.amount(o)))
	}
	if tail != "" {
		w += max(0, len("p90 999ms")-len(tail))
	}
	if bad != "" {
		w += max(0, len("!99%")-len(bad))
	}
	return w
}

// said is as much of a label as fits into so many characters: errors rather than all else.
func (l *Link) said(lv level, o *Options, room int) (plain, bad, tail string) {
	plain, bad, tail = l.label(lv, o)
	if labelWidth(plain, bad, tail) <= room {
		return plain, bad, tail
	}
	if labelWidth(plain, bad) <= room {
		return plain, bad, ""
	}
	bad = strings.Replace(bad, "err ", "!", 1)
	if labelWidth(plain, bad) > room {
		plain, _, _ = strings.Cut(plain, " ")
	}
	switch left := room - len(bad) - 1; {
	case bad == "":
		plain = cut(plain, room)
	case left < 1:
		plain, bad = "", cut(bad, room)
	default:
		plain = cut(plain, left)
	}
	return plain, bad, ""
}

// labelWidth is how many characters a label takes, its parts one blank apart.
func labelWidth(parts ...string) int {
	w := 0
	for _, p := range parts {
		if p != "" {
			w += len(p) + 1
		}
	}
	return max(w-1, 0)
}

// Number is a number in four characters or fewer: 999, 1.2k, 34k, 5.6M.
func Number(n uint64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	v := float64(n)
	for _, unit := range "kMGTPE" {
		v /= 1000
		switch {
		case v < 9.95:
			return fmt.Sprintf("%.1f%c", v, unit)
		case v < 999.5:
			return fmt.Sprintf("%.0f%c", v, unit)
		}
	}
	return fmt.Sprintf("%.0fE", v)
}

// Percent never rounds an error away, nor a success.
func Percent(part, of uint64) string {
	p := 100 * float64(part) / float64(of)
	switch {
	case part == of:
		return "100%"
	case p < 1:
		return "<1%"
	}
	return fmt.Sprintf("%.0f%%", min(p, 99))
}

func elapsed(ns int64) string {
	switch v := float64(ns); {
	case v < 1e6:
		return fmt.Sprintf("%.0fus", v/1e3)
	case v < 1e7:
		return fmt.Sprintf("%.1fms", v/1e6)
	case v < 1e9:
		return fmt.Sprintf("%.0fms", v/1e6)
	}
	return fmt.Sprintf("%.1fs", float64(ns)/1e9)
}

// safe writes all that is not printable ASCII by number.
func safe(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			q := fmt.Sprintf("%+q", s)
			return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
		}
	}
	return s
}

const cutMark = "…"

// Cut leaves n characters of a name, which is written as drawings do: its beginning and its
// end, which tell names apart.
func Cut(name string, n int) string { return cut(safe(name), n) }

// cut leaves n characters of an ASCII text.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if n < 2 {
		return cutMark[:len(cutMark)*max(n, 0)]
	}
	tail := (n - 1) / 2
	return s[:n-1-tail] + cutMark + s[len(s)-tail:]
}

// palette are SGR codes of protocols; none of them is red, which is for errors.
var palette = map[string]string{
	"http": "32", "http2": "32", "grpc": "36", "gql": "92", "ws": "96", "dns": "33", "redis": "35", "memcached": "35",
	"postgresql": "34", "mysql": "34", "mongodb": "94", "cassandra": "94", "kafka": "95", "amqp": "95", "nats": "95", "mqtt": "95",
	"tlsx": "93", "quic": "93",
}

const (
	red = "31"
	dim = "2"
	// mixed is the colour of what carries several protocols: none.
	mixed = ""
)

// Color is the SGR code of a link's protocol, "" for none.
func (l *Link) Color() string {
	if c, ok := palette[l.Protocol]; ok && l.More == 0 {
		return c
	}
	return mixed
}
