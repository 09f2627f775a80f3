package flow

import "time"

// How long flows live without a packet, in ns of capture time.
const (
	// DatagramIdle ends a flow that is not TCP, and is what the packets of a closed
	// connection may be late by (2 MSL, RFC 9293 3.4.2, rounded down).
	DatagramIdle = int64(60 * time.Second)
	// StreamIdle is when an open but silent connection is forgotten: more than the two hours
	// between keep-alives (RFC 9293, 3.8.4).
	StreamIdle = int64(3 * time.Hour)
)

// Life says whether packets of one key belong to one flow or to the next: a connection lives
// until a SYN begins another one (after FIN or RST, or with another initial sequence number),
// anything else until it was idle. A SYN that is older than what was seen, with the number that
// is known, is a late copy of the one that began it. The zero Life has seen nothing.
type Life struct {
	isn   [2]uint32
	known uint8 // bit d: isn[d] is known
	Flags uint8 // TCP flags of both directions, or-ed
}

// Update notes a packet of the flow.
func (l *Life) Update(h *Header) {
	if h.Key.Proto != TCP {
		return
	}
	l.Flags |= h.Flags
	if h.Flags&SYN != 0 {
		l.isn[h.Dir], l.known = h.Seq, l.known|1<<h.Dir
		if h.Flags&ACK != 0 { // it acknowledges the other's
			d := h.Dir.Other()
			l.isn[d], l.known = h.Ack-1, l.known|1<<d
		}
	}
}

// Ended says that a FIN or RST was seen.
func (l *Life) Ended() bool { return l.Flags&(FIN|RST) != 0 }

// Over says whether a packet, idle ns after the last one, begins another flow.
func (l *Life) Over(h *Header, idle int64) bool {
	if h.Key.Proto != TCP {
		return idle > DatagramIdle
	}
	if h.Flags&SYN == 0 {
		return l.Ended() && idle > DatagramIdle
	}
	same := l.known&(1<<h.Dir) != 0 && l.isn[h.Dir] == h.Seq
	if h.Flags&ACK != 0 {
		return !same && (l.Ended() || l.known&(1<<h.Dir) != 0)
	}
	return l.Ended() && !(same && idle < 0) || !same
}

// Forget says whether nothing more is to be expected of a flow of proto after idle ns.
func (l *Life) Forget(proto Proto, idle int64) bool {
	if proto != TCP || l.Ended() || l.Flags == SYN {
		return idle > DatagramIdle
	}
	return idle > StreamIdle
}

// OpenerOf is what one packet tells about who began its flow.
func OpenerOf(h *Header) Opener {
	if h.Key.Proto == TCP && h.Flags&SYN != 0 {
		if (h.Dir == AtoB) == (h.Flags&ACK == 0) {
			return OpenerA
		}
		return OpenerB
	}
	if h.Dir == AtoB {
		return OpenerAGuess
	}
	return OpenerBGuess
}
