package guard

import (
	"net/netip"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/worker/query"
)

// sink is where the packets of an answer go: judged and counted.
func (q *asking) sink(out query.PacketSink) query.PacketSink {
	c := &counted{out, q}
	if !q.request.Access.Limited {
		return c
	}
	j := &judge{q: q, names: identity.New(), seen: map[*pcap.Interface]bool{}, verdicts: map[verdict]bool{}}
	j.ends = dissect.NewEnds(j.names.Resolve)
	j.out = query.NewIntroducer(c, func(end netip.AddrPort, at int64) identity.Owner { return query.OwnerAt(end, at, j.names) })
	return j
}

// counted counts what is handed on.
type counted struct {
	query.PacketSink
	q *asking
}

func (c *counted) Packet(p *pcap.Packet) error {
	if err := c.q.spend(len(p.Data)); err != nil {
		return err
	}
	c.q.asked.Told++
	return c.PacketSink.Packet(p)
}

// judge looks at whose each packet is, by the names that came with the answer, and hands on
// the packets that its user may see and the names of their ends.
type judge struct {
	q        *asking
	out      query.PacketSink
	names    *identity.Table
	ends     *dissect.Ends
	now      int64 // time of the last packet
	last     *pcap.Interface
	seen     map[*pcap.Interface]bool
	header   flow.Header
	verdicts map[verdict]bool
}

// verdict is what a judgement depends on, but for the names.
type verdict struct {
	key   flow.Key
	iface *pcap.Interface
}

// maxVerdicts bounds what is remembered.
const maxVerdicts = 1 << 16

// Name implements query.PacketSink.
func (j *judge) Name(n pcap.Name) error {
	j.names.Learn(n.Addr, j.now, identity.Decode(n.Names))
	clear(j.verdicts)
	return nil
}

// Packet implements query.PacketSink.
func (j *judge) Packet(p *pcap.Packet) error {
	j.now = p.Time
	if p.Iface != j.last {
		j.last = p.Iface
		if !j.seen[p.Iface] {
			j.seen[p.Iface] = true
			query.LearnInterface(j.names, p.Iface, p.Time)
			clear(j.verdicts)
		}
	}
	j.header.Parse(p.Iface.Link, p.Data)
	v := verdict{j.header.Key, p.Iface}
	ok, known := j.verdicts[v]
	if !known {
		ok = j.q.request.Access.TellsPacket(j.ends.OfPacket(p, 0, flow.UnknownOpener), p.Iface)
		if len(j.verdicts) >= maxVerdicts {
			clear(j.verdicts)
		}
		j.verdicts[v] = ok
	}
	if !ok {
		j.q.withheld.Add(1)
		return nil
	}
	return j.out.Packet(p)
}

// Flush implements query.PacketSink.
func (j *judge) Flush() error { return j.out.Flush() }

// streamSink counts the bytes of a stream.
type streamSink struct {
	q   *asking
	out query.StreamSink
}

func (s *streamSink) Data(d flow.Dir, b []byte, at int64) error {
	if err := s.q.spend(len(b)); err != nil {
		return err
	}
	s.q.asked.Told++
	return s.out.Data(d, b, at)
}

func (s *streamSink) Gap(d flow.Dir, n, at int64) error { return s.out.Gap(d, n, at) }
