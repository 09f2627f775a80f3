package dissect

import (
	"net/netip"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// Ends tells whom a packet's flow is between, without dissecting it: as an engine guesses
// before it has read any payload. Not safe for concurrent use.
type Ends struct{ w worker }

// NewEnds makes one; resolve may be nil.
func NewEnds(resolve func(addr netip.Addr, at int64) *Identity) *Ends {
	return &Ends{worker{o: &Options{Resolve: resolve}}}
}

// Of is the flow of a packet, with ID, ends, node, transport and the time of this packet. It
// is the caller's.
func (e *Ends) Of(p *pcap.Packet, id flow.ID, opener flow.Opener) *Flow {
	var h flow.Header
	h.Parse(p.Iface.Link, p.Data)
	if opener == flow.UnknownOpener {
		opener = flow.OpenerOf(&h)
	}
	c := e.w.open(&item{packet: *p, header: h}, &flow.Info{ID: id, Key: h.Key, Iface: p.Iface, Opener: opener})
	return &c.flow
}
