package dissect

import (
	"github.com/sshark/sshark/pcap/flow"
)

// How often detection starts over on a flow whose beginning was not seen: at each change of
// direction, since that is where messages begin; and on the first datagrams of a flow.
const (
	maxProbes    = 32
	maxDatagrams = 16
)

// piece is a stretch of buffered bytes, or a gap, in the order of arrival.
type piece struct {
	d    flow.Dir
	gap  int64 // -1: bytes
	n    int
	time int64
}

// prober holds the beginning of a flow until a protocol claims it or none can.
type prober struct {
	buf     [2][]byte
	pieces  []piece
	last    flow.Dir
	started bool
	gapped  [2]bool
	waiting bool // for a change of direction
	changed bool // the flow spoke another protocol before: both streams begin anew
	tries   uint16
}

// data shows bytes to the protocols, direction d of the key.
func (p *prober) data(c *conn, d flow.Dir, b []byte, time int64) {
	if p.waiting && d == p.last && c.seen[d.Other()] {
		return
	}
	if p.started && d != p.last && p.full(d.Other()) {
		if proto, swap, verdict := p.ask(c, true); verdict == Yes {
			p.claimed(c, proto, swap)
			c.Data(d, b, time)
			c.count(d, -len(b), time) // it was counted when it came
			return
		}
		p.restart()
	}
	p.started, p.last, p.waiting = true, d, false
	p.buf[d] = append(p.buf[d], b...)
	p.pieces = append(p.pieces, piece{d: d, gap: -1, n: len(b), time: time})
	last := p.full(0) && p.full(1) || len(p.pieces) > 256 || len(p.buf[d]) > 64<<10
	switch proto, swap, verdict := p.ask(c, last); verdict {
	case Yes:
		p.claimed(c, proto, swap)
	case No:
		p.failed(c)
	}
}

// full says that detection has been shown all that it may see of a side.
func (p *prober) full(d flow.Dir) bool { return len(p.buf[d]) >= ProbeSize }

// gap: what came before it has to do, and what follows is not the beginning of anything known.
func (p *prober) gap(c *conn, d flow.Dir, n int64, time int64) {
	if p.started {
		if proto, swap, verdict := p.ask(c, true); verdict == Yes {
			p.claimed(c, proto, swap)
			c.Gap(d, n, time)
			c.flow.Lost[d^c.client] -= uint64(n) // it was counted when it came
			return
		}
		p.gapped[d] = true
		p.failed(c)
	}
	if c.phase == probing {
		p.gapped[d] = true
		p.pieces = append(p.pieces, piece{d: d, gap: n, time: time})
	}
}

// ask goes through the protocols in their order. The first Yes wins; as long as one that
// stands before it is unsure, the flow waits. If this is the last time, who is unsure says no.
func (p *prober) ask(c *conn, last bool) (*Protocol, bool, Verdict) {
	probe := &c.w.scratch
	*probe = Probe{}
	for d := range flow.Dir(2) {
		b := p.buf[d^c.client]
		probe.Data[d] = b[:min(len(b), ProbeSize)]
		probe.FromStart[d] = (c.opened || p.changed) && !p.gapped[d^c.client]
	}
	return c.detect(probe, last)
}

// detect shows a probe, of which only the bytes are filled in, to the protocols.
func (c *conn) detect(probe *Probe, last bool) (*Protocol, bool, Verdict) {
	probe.Transport, probe.Opened = c.flow.Transport, c.opened
	probe.Ports = [2]uint16{c.flow.Client.Addr.Port(), c.flow.Server.Addr.Port()}
	defer func() { probe.Data = [2][]byte{} }()
	verdict := No
	for _, proto := range c.w.byProto[c.flow.Transport] {
		probe.Swap = false
		switch proto.Detect(probe) {
		case Yes:
			if verdict == No {
				return proto, probe.Swap, Yes
			}
			return nil, false, Unsure
		case Unsure:
			if !last {
				verdict = Unsure
			}
		}
	}
	return nil, false, verdict
}

// claimed replays what was held to the parser.
func (p *prober) claimed(c *conn, proto *Protocol, swap bool) {
	held := *p
	c.claim(proto, swap)
	var off [2]int
	for _, x := range held.pieces {
		if x.gap >= 0 {
			if c.phase == parsing {
				if err := c.parser.Gap(x.d^c.client, x.gap, Stamp{Time: x.time}); err != nil {
					c.giveUp(err)
				}
			}
			continue
		}
		b := held.buf[x.d][off[x.d] : off[x.d]+x.n]
		off[x.d] += x.n
		switch c.phase {
		case parsing:
			c.feed(x.d^c.client, b, x.time)
		case probing: // the parser has switched
			c.Data(x.d, b, x.time)
			c.count(x.d, -len(b), x.time) // it was counted when it came
		}
	}
}

// failed lets the flow go on as bytes, unless its beginning is missing: then the next change
// of direction may be the beginning of a message.
func (p *prober) failed(c *conn) {
	if p.tries >= maxProbes || c.opened && !p.gapped[0] && !p.gapped[1] {
		c.phase, c.probe = ignored, nil
		c.unheard = p.tries == 0 && (len(p.buf[0]) == 0 || len(p.buf[1]) == 0)
		return
	}
	p.restart()
	p.waiting = true
}

// restart forgets what was shown so far: what follows is in the middle of the streams.
func (p *prober) restart() {
	*p = prober{buf: [2][]byte{p.buf[0][:0], p.buf[1][:0]}, pieces: p.pieces[:0], last: p.last,
		tries: p.tries + 1, gapped: [2]bool{true, true}, changed: p.changed}
}

// datagram shows each of the first datagrams by itself.
func (c *conn) datagram(d flow.Dir, b []byte, time int64) {
	probe := &c.w.scratch
	*probe = Probe{}
	probe.Data[d^c.client] = b[:min(len(b), ProbeSize)]
	proto, swap, verdict := c.detect(probe, true)
	if verdict == Yes {
		c.claim(proto, swap)
		c.feed(d^c.client, b, time)
		return
	}
	if c.tries++; c.tries >= maxDatagrams {
		c.phase = ignored
	}
}

// settle decides with what there is, at the flow's end.
func (p *prober) settle(c *conn) {
	if len(p.buf[0])+len(p.buf[1]) == 0 {
		return
	}
	if proto, swap, verdict := p.ask(c, true); verdict == Yes {
		p.claimed(c, proto, swap)
	}
}
