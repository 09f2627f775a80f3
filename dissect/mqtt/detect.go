package mqtt

import "github.com/sshark/sshark/dissect"

// detect wants CONNECT at the beginning of a connection. In its middle it wants packets that
// are right in all their parts, with a topic among them, or a ping and its answer.
func detect(p *dissect.Probe) dissect.Verdict {
	var sides [2]chained
	for d, b := range p.Data {
		if len(b) == 0 {
			continue
		}
		c := chain(b)
		if c.broken || p.FromStart[d] && d == 0 && !c.connects && !c.begun || p.FromStart[d] && d == 1 && b[0]>>4 != connack && b[0]>>4 != auth {
			return dissect.No
		}
		sides[d] = c
	}
	a, b := &sides[0], &sides[1]
	switch {
	case a.connects || b.connects:
		p.Swap = b.connects
		return dissect.Yes
	case a.connects && b.connects, a.client && b.client, a.server && b.server:
		return dissect.No
	case topical(p.Data[0]) || topical(p.Data[1]), a.ping && b.ping, a.packets > 2 && a.sure && b.packets > 0, b.packets > 2 && b.sure && a.packets > 0:
		p.Swap = a.server || b.client
		return dissect.Yes
	case a.packets+b.packets == 0 && !a.begun && !b.begun:
		return dissect.No
	}
	return dissect.Unsure
}

// topical says whether b begins with packets of which one has a topic.
func topical(b []byte) bool {
	for n := 0; len(b) > 0 && n < maxChain; n++ {
		kind, header, rest := fixed(b)
		if header <= 0 {
			return false
		}
		if kind == publish || kind == subscribe || kind == unsubscribe {
			_, strong := right(kind, b[0], b[header:min(len(b), header+rest)], rest)
			return strong
		}
		b = b[min(len(b), header+rest):]
	}
	return false
}
