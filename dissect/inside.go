package dissect

import (
	"github.com/sshark/sshark/dissect/keylog"
	"github.com/sshark/sshark/pcap/flow"
)

// Nester is a Sink for parsers of streams that carry streams, encrypted: a parser may ask whether
// its sink is one. The engine's is.
type Nester interface {
	Sink
	// Secrets are what the asker has to decrypt with; nil: nothing.
	Secrets() *keylog.Store
	// Inside begins the two streams that the flow's were decrypted to: they are shown to the
	// protocols as a flow is, and their calls are calls of the flow, marked as decrypted. The
	// parser goes on with its own stream beside. It returns nil if streams are nested too deep.
	Inside() Inside
}

// Inside takes what was decrypted, as a Parser takes what was captured; whoever began it must
// close it, which its own parser's Close is the last place for.
type Inside interface {
	Data(d flow.Dir, b []byte, at Stamp)
	Gap(d flow.Dir, n int64, at Stamp)
	Close(at Stamp)
}

// maxDepth is how deep streams may be nested: TLS to a proxy, and through that to a server.
const maxDepth = 3

// Secrets is the sink's.
func (c *conn) Secrets() *keylog.Store { return c.w.o.Secrets }

// Inside is the sink's. What is inside is a conn of its own, of which the flow is a copy.
func (c *conn) Inside() Inside {
	depth := 0
	for o := c; o.outer != nil; o = o.outer {
		depth++
	}
	if depth == maxDepth || c.flow.Transport != flow.TCP {
		return nil
	}
	in := &conn{w: c.w, outer: c, flow: c.flow, key: c.key, iface: c.iface, opened: true, fixed: true}
	in.flow.Protocol, in.flow.Payload, in.flow.Lost = nil, [2]uint64{}, [2]uint64{}
	return (*inside)(in)
}

// inside is a conn as its outer parser sees it, whose directions are client to server.
type inside conn

func (i *inside) Data(d flow.Dir, b []byte, at Stamp) {
	c := (*conn)(i)
	c.last = max(c.last, at.Time)
	c.outermost().flow.Decrypted = true
	c.Data(d, b, at.Time)
}

func (i *inside) Gap(d flow.Dir, n int64, at Stamp) {
	c := (*conn)(i)
	c.last = max(c.last, at.Time)
	c.Gap(d, n, at.Time)
}

func (i *inside) Close(at Stamp) {
	c := (*conn)(i)
	c.last = max(c.last, at.Time)
	c.finish()
}

// outermost is the flow that was captured.
func (c *conn) outermost() *conn {
	for c.outer != nil {
		c = c.outer
	}
	return c
}
