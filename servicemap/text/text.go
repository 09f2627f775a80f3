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
}

// Drawing is a drawn map.
type Drawing struct {
	Lines []string // without trailing blanks; with SGR codes of the 16 colours if asked for
	Boxes []Box    // none in a tree
	// Map is what was drawn: the one that was given, or its namespaces.
	Map *servicemap.Map
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
	{name: 40, latency: true}, {name: 30}, {name: 20, tight: true}, {name: 13, tight: true},
	{name: 11, tight: true, bare: true},
}

// Draw draws a map.
func Draw(m *servicemap.Map, o Options) *Drawing {
	what := o.What
	if what == "" {
		what = "node"
	}
	ls := links(m)
	title := count(len(m.Nodes), what) + ", " + count(len(ls), "edge")
	if ns, one := oneNamespace(m); one {
		title += "; namespace " + safe(ns)
	}
	if d := boxes(m, ls, o, title); d != nil {
		return d
	}
	g := m.ByNamespace()
	groups := links(g)
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
func boxes(m *servicemap.Map, ls []link, o Options, title string) *Drawing {
	if len(m.Nodes) > maxBoxes || len(ls) > maxLinks {
		return nil
	}
	for _, lv := range levels {
		for _, packed := range []bool{false, true} {
			l := newLayout(m, ls, lv)
			l.arrange(packed)
			l.route()
			if o.Width > 0 && l.width > o.Width {
				break
			}
			if o.Height > 0 && l.height+1 > o.Height {
				continue
			}
			if lv.tight && slices.ContainsFunc(ls, func(k link) bool { return k.edge.Errors > 0 }) {
				title += "; !: part that failed"
			}
			return l.draw(o, title)
		}
	}
	return nil
}

// link is all edges between two nodes.
type link struct {
	from, to int
	protocol string // the main one, or "tcp/5432"
	more     int    // other protocols
	edge     servicemap.Edge
	shared   bool // edge.Latency is that of the map, not to be changed
}

// links puts the edges between the same two nodes together, in the order of the map.
func links(m *servicemap.Map) []link {
	at := map[[2]int]int{}
	var out []link
	best := map[int]uint64{}
	for i := range m.Edges {
		e := &m.Edges[i]
		k := [2]int{e.From, e.To}
		j, ok := at[k]
		if !ok {
			j = len(out)
			at[k] = j
			out = append(out, link{from: e.From, to: e.To, protocol: protocol(e), more: -1})
			best[j] = e.Calls<<32 + e.Flows
			out[j].edge.Latency, out[j].shared = e.Latency, true
		}
		l := &out[j]
		if weight := e.Calls<<32 + e.Flows; weight > best[j] {
			best[j], l.protocol = weight, protocol(e)
		}
		l.edge.Flows += e.Flows
		l.edge.Bytes += e.Bytes
		l.edge.Calls += e.Calls
		l.edge.Errors += e.Errors
		switch {
		case !ok:
		case l.shared:
			var own quantile.Histogram
			own.Merge(&l.edge.Latency)
			l.edge.Latency, l.shared = own, false
			fallthrough
		default:
			l.edge.Latency.Merge(&e.Latency)
		}
		if ps := names(e); len(ps) > 0 {
			for _, p := range ps {
				if !slices.Contains(l.edge.Protocols, p) {
					l.edge.Protocols = append(l.edge.Protocols, p)
				}
			}
		}
	}
	for i := range out {
		out[i].more = len(out[i].edge.Protocols) - 1
	}
	return out
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
func (l *link) label(lv level) (plain, bad, tail string) {
	plain = safe(l.protocol)
	if l.more > 0 {
		plain += fmt.Sprintf("+%d", l.more)
	}
	switch {
	case lv.bare:
	case l.edge.Calls == 0:
		plain += " " + short(l.edge.Bytes) + "B"
	default:
		plain += " " + short(l.edge.Calls)
	}
	if l.edge.Errors > 0 {
		bad = percent(l.edge.Errors, l.edge.Calls)
		if lv.tight {
			bad = "!" + bad
		} else {
			bad = "err " + bad
		}
	}
	if lv.latency && l.edge.Latency.Count() > 0 {
		tail = "p90 " + elapsed(l.edge.Latency.Quantile(0.9))
	}
	return plain, bad, tail
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

// short is a number in four characters or so: 999, 1.2k, 34k, 5.6M.
func short(n uint64) string {
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

// percent never rounds an error away, nor a success.
func percent(part, of uint64) string {
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

// cut leaves n characters of an ASCII text: its beginning and its end, which tell names apart.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if n < 2 {
		return cutMark
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

func (l *link) color() string {
	if c, ok := palette[l.protocol]; ok && l.more == 0 {
		return c
	}
	return mixed
}
