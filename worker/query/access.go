package query

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/servicemap/identity"
)

// ErrRefused: Request.Access forbids what was asked for.
var ErrRefused = errors.New("refused")

// errStream: a stream is nothing but what was said.
var errStream = fmt.Errorf("%w: the asker may not see what was said", ErrRefused)

// Tells says whether an answer may speak of a flow. Who is not known is in no namespace.
func (a *Access) Tells(f *dissect.Flow) bool {
	return !a.Limited || touches(f, a.Namespaces)
}

// Hides says whether an answer must keep back what was said in a flow that it speaks of.
func (a *Access) Hides(f *dissect.Flow) bool {
	return a.Metadata && !touches(f, a.Payload)
}

// touches says whether one end of a flow is in a namespace.
func touches(f *dissect.Flow, namespaces []string) bool {
	return within(f.Client.Identity, namespaces) || within(f.Server.Identity, namespaces)
}

func within(i *dissect.Identity, namespaces []string) bool {
	return i != nil && i.Namespace != "" && slices.Contains(namespaces, i.Namespace)
}

// TellsPacket judges a packet of a flow, seen at an interface: what has no ends (ARP and the
// like) is its interface's; what a pod only overhears (multicast) does not tell that pod.
func (a *Access) TellsPacket(f *dissect.Flow, i *pcap.Interface) bool {
	switch own := i.Pod.Namespace != "" && slices.Contains(a.Namespaces, i.Pod.Namespace); {
	case !a.Limited || own && f.Transport == 0:
		return true
	case f.Transport == 0:
		return false
	default:
		return a.Tells(f) && (own || i.Pod == (pcap.Pod{}) || isPod(f.Client.Identity, i.Pod) || isPod(f.Server.Identity, i.Pod))
	}
}

func isPod(id *dissect.Identity, p pcap.Pod) bool {
	return id != nil && (p.UID != "" && id.PodUID == p.UID || p.Name != "" && id.Pod == p.Name && id.Namespace == p.Namespace)
}

// check refuses a filter that would be an oracle: who may not see what was said could have it
// guessed by asking which calls match.
func (a *Access) check(f *filter.Filter) error {
	if field := f.Payload(); a.Metadata && field != "" {
		return fmt.Errorf("%w: the filter asks for %s, which is something that was said; the asker may see only who speaks with whom", ErrRefused, field)
	}
	return nil
}

// maxCode is how long a status is that can be told without what was said, in bytes.
const maxCode = 24

// codeOf is a status where it is a code (200, NXDOMAIN); a text may quote what was said.
func codeOf(status []byte) []byte {
	if len(status) > maxCode {
		return nil
	}
	for _, c := range status {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_' && c != '-' {
			return nil
		}
	}
	return status
}

// Introducer is a PacketSink that hands on packets and, before the first one of each end, that
// end's name: the names of others are not told. Not safe for concurrent use.
type Introducer struct {
	out    PacketSink
	owner  func(at netip.AddrPort, when int64) identity.Owner
	header flow.Header
	told   map[netip.AddrPort]*dissect.Identity // port 0: at all ports but those that are here too
}

// maxIntroduced bounds what is remembered to have been told; then it is told again.
const maxIntroduced = 1 << 16

// NewIntroducer makes one. owner says who an address is, and who is at the port; of other ports
// it says nothing.
func NewIntroducer(out PacketSink, owner func(at netip.AddrPort, when int64) identity.Owner) *Introducer {
	return &Introducer{out: out, owner: owner, told: map[netip.AddrPort]*dissect.Identity{}}
}

// Packet implements PacketSink.
func (i *Introducer) Packet(p *pcap.Packet) error {
	if i.header.Parse(p.Iface.Link, p.Data) {
		for _, d := range [...]flow.Dir{flow.AtoB, flow.BtoA} {
			if err := i.introduce(i.header.Key.Addr(d), p.Time); err != nil {
				return err
			}
		}
	}
	return i.out.Packet(p)
}

func (i *Introducer) introduce(end netip.AddrPort, at int64) error {
	o := i.owner(end, at)
	id, key := o.Identity, netip.AddrPortFrom(end.Addr(), 0)
	if here := o.Ports[end.Port()]; here != nil {
		id, key = here, end
	}
	if id == nil || identity.Equal(i.told[key], id) {
		return nil
	}
	if len(i.told) >= maxIntroduced {
		clear(i.told)
	}
	i.told[key] = id
	return i.out.Name(pcap.Name{Addr: end.Addr().Unmap(), Names: identity.Encode(o)})
}

// Name implements PacketSink: names of others are told as they are needed.
func (i *Introducer) Name(pcap.Name) error { return nil }

// Flush implements PacketSink.
func (i *Introducer) Flush() error { return i.out.Flush() }

// OwnerAt is the part of what tables know of an address that concerns one of its ports: a
// node's address belongs to many. The first table that knows somebody counts.
func OwnerAt(end netip.AddrPort, at int64, tables ...*identity.Table) identity.Owner {
	for _, t := range tables {
		o := t.Owner(end.Addr(), at)
		if id := o.Ports[end.Port()]; id != nil {
			return identity.Owner{Identity: o.Identity, Ports: map[uint16]*dissect.Identity{end.Port(): id}}
		}
		if id := t.Resolve(end, at); id != nil {
			return identity.Owner{Identity: id}
		}
	}
	return identity.Owner{}
}

// guarded is where the packets of an answer go, and the names: all of them, or those of the
// ends that the asker may see.
func (q *reading) guarded(out PacketSink) (PacketSink, func(pcap.Name) error) {
	return q.r.Access.guarded(out, func(end netip.AddrPort, at int64) identity.Owner {
		return OwnerAt(end, at, q.names, q.s.o.Names)
	})
}

func (a *Access) guarded(out PacketSink, owner func(netip.AddrPort, int64) identity.Owner) (PacketSink, func(pcap.Name) error) {
	if !a.Limited {
		return out, out.Name
	}
	return NewIntroducer(out, owner), nil
}

// Bare is a call without what was said, as Access.Metadata has it; had says that there was
// something to leave out. The call is valid as long as c.
func Bare(c *dissect.Call) (bare *dissect.Call, had bool) {
	if c.Message == nil {
		return c, false
	}
	whole := c.Message.AppendStatus(nil)
	status := codeOf(whole)
	had = len(status) < len(whole) || len(c.Message.AppendSummary(nil)) > 0 || len(c.Message.AppendFields(nil)) > 0 ||
		c.Message.Body(0) != nil || c.Message.Body(1) != nil
	if !had {
		return c, false
	}
	own := *c
	own.Message = &Kept{Status: status}
	return &own, true
}

// LearnInterface makes an interface's addresses its pod's, where nobody better is known.
func LearnInterface(t *identity.Table, i *pcap.Interface, from int64) { learnInterface(t, i, from) }
