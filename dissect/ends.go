package dissect

import (
	"net/netip"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// Ends tells whom a packet's flow is between, without dissecting it: as an engine guesses
// before it has read any payload. Not safe for concurrent use.
type Ends struct {
	w worker
	c conn
}

// NewEnds makes one; resolve may be nil.
func NewEnds(resolve func(addr netip.AddrPort, at int64) *Identity) *Ends {
	return &Ends{w: worker{o: &Options{Resolve: resolve}}}
}

// Of is the flow that info tells of, with ID, ends, node, transport and times. It is valid
// until the next call.
func (e *Ends) Of(info *flow.Info) *Flow {
	e.c = conn{w: &e.w, iface: info.Iface, flow: Flow{ID: info.ID, Node: info.Iface.Node, Transport: info.Key.Proto, First: info.First, Last: info.Last}}
	e.c.orient(info)
	return &e.c.flow
}

// OfPacket is the same of a packet's flow.
func (e *Ends) OfPacket(p *pcap.Packet, id flow.ID, opener flow.Opener) *Flow {
	var h flow.Header
	h.Parse(p.Iface.Link, p.Data)
	if opener == flow.UnknownOpener {
		opener = flow.OpenerOf(&h)
	}
	return e.Of(&flow.Info{ID: id, Key: h.Key, Iface: p.Iface, First: p.Time, Last: p.Time, Opener: opener})
}
