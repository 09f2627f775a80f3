package stream

import (
	"encoding/binary"

	"github.com/sshark/sshark/pcap/flow"
)

// Chunks that are read (RFC 9260, 3.2; RFC 8260, 2.1), and the flags of those that carry data.
const (
	chunkData    = 0
	chunkInit    = 1
	chunkInitAck = 2
	chunkIData   = 64

	flagEnd       = 1 << 0
	flagBegin     = 1 << 1
	flagUnordered = 1 << 2
)

// Limits on what one direction of an association may hold.
const (
	maxParts     = 1024
	maxPartsHeld = 1 << 20
	tsnWindow    = 1024 // transmission sequence numbers that are known to have come
)

// SCTP puts the user messages of one association together (RFC 9260, 6.9), as far as it is
// seen between one pair of addresses. Each is handed on as one piece, as soon as its last part
// was captured and with that part's time: streams are not put in order. What comes twice is
// told once; parts whose message does not become whole are told as a gap. Of a message in one
// part that the capture cut short, what there is is handed on.
//
// It is bounded: parts that have waited longest are given up. The zero value is ready; it is
// used by one goroutine.
type SCTP struct {
	half [2]sctpHalf
}

type sctpHalf struct {
	top   uint32 // highest TSN that came
	known bool   // top is valid
	seen  [tsnWindow / 64]uint64
	parts map[partKey]*part
	order []partKey // oldest first; some may be gone
	held  int
	whole []byte
}

// partKey names a part. Those of one message have consecutive numbers: TSNs, and with
// interleaving (I-DATA) numbers of their own.
type partKey struct {
	stream    uint16
	unordered bool
	mid       uint32 // of I-DATA
	n         uint32
}

type part struct {
	begin, end bool
	data       []byte
	other      uint32 // at an end of a run of parts: number of the other end
}

// Packet takes the chunks of one packet.
func (s *SCTP) Packet(d flow.Dir, b []byte, time int64, r Receiver) {
	for len(b) >= 4 {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 4 {
			return
		}
		cut := n > len(b)
		c := b[:min(n, len(b))]
		b = b[min((n+3)&^3, len(b)):]
		switch c[0] {
		case chunkInit: // a new association
			s.half[0].reset(0, time, r)
			s.half[1].reset(1, time, r)
		case chunkInitAck:
			s.half[d].reset(d, time, r)
		case chunkData, chunkIData:
			s.half[d].data(d, c, cut, time, r)
		}
	}
}

// Close tells what did not become whole.
func (s *SCTP) Close(time int64, r Receiver) {
	for d := range s.half {
		s.half[d].reset(flow.Dir(d), time, r)
	}
}

func (h *sctpHalf) reset(d flow.Dir, time int64, r Receiver) {
	if h.held > 0 {
		r.Gap(d, int64(h.held), time)
	}
	*h = sctpHalf{whole: h.whole[:0]}
}

// data takes a chunk of data, which may be cut.
func (h *sctpHalf) data(d flow.Dir, c []byte, cut bool, time int64, r Receiver) {
	header := 16
	if c[0] == chunkIData {
		header = 20
	}
	if len(c) < header {
		return
	}
	be := binary.BigEndian
	if tsn := be.Uint32(c[4:]); !h.fresh(tsn) {
		return
	}
	p := part{begin: c[1]&flagBegin != 0, end: c[1]&flagEnd != 0, data: c[header:]}
	if len(p.data) == 0 {
		return
	}
	if p.begin && p.end {
		r.Data(d, p.data, time)
		return
	}
	if cut {
		r.Gap(d, int64(len(p.data)), time)
		return
	}
	k := partKey{stream: be.Uint16(c[8:]), unordered: c[1]&flagUnordered != 0, n: be.Uint32(c[4:])}
	if c[0] == chunkIData {
		k.mid, k.n = be.Uint32(c[12:]), be.Uint32(c[16:])
		if p.begin { // the field says what the message is
			k.n = 0
		}
	}
	if h.parts[k] != nil {
		return // I-DATA that is not what it should be
	}
	low, high := h.hold(k, p)
	if b := h.message(k, low, high); b != nil {
		r.Data(d, b, time)
	}
	for len(h.parts) > maxParts || h.held > maxPartsHeld {
		r.Gap(d, int64(h.forget()), time)
	}
}

// fresh notes a TSN, and says whether it had not come before. What is far behind had.
func (h *sctpHalf) fresh(tsn uint32) bool {
	switch ahead := int32(tsn - h.top); {
	case !h.known || ahead >= tsnWindow:
		h.top, h.known, h.seen = tsn, true, [tsnWindow / 64]uint64{}
	case ahead > 0:
		for n := h.top + 1; n != tsn+1; n++ {
			h.seen[n/64%(tsnWindow/64)] &^= 1 << (n % 64)
		}
		h.top = tsn
	case ahead <= -tsnWindow:
		return false
	}
	at, bit := &h.seen[tsn/64%(tsnWindow/64)], uint64(1)<<(tsn%64)
	fresh := *at&bit == 0
	*at |= bit
	return fresh
}

// hold keeps a part, and says from where to where parts of its message are there now.
func (h *sctpHalf) hold(k partKey, p part) (low, high uint32) {
	if h.parts == nil {
		h.parts = map[partKey]*part{}
	}
	p.data = append([]byte(nil), p.data...)
	h.parts[k] = &p
	h.held += len(p.data)
	if len(h.order) > 2*maxParts {
		h.tidy()
	}
	h.order = append(h.order, k)
	low, high = k.n, k.n
	if left := h.at(k, k.n-1); left != nil && !left.end && !p.begin {
		low = left.other
	}
	if right := h.at(k, k.n+1); right != nil && !right.begin && !p.end {
		high = right.other
	}
	if a, b := h.at(k, low), h.at(k, high); a != nil && b != nil {
		a.other, b.other = high, low
	}
	return low, high
}

// at is the part with that number that goes with k.
func (h *sctpHalf) at(k partKey, n uint32) *part {
	k.n = n
	return h.parts[k]
}

// tidy leaves out of the order what is gone.
func (h *sctpHalf) tidy() {
	n := 0
	for _, k := range h.order {
		if h.parts[k] != nil {
			h.order[n] = k
			n++
		}
	}
	h.order = h.order[:n]
}

// message puts together the parts from low to high; nil if they are not all of a message.
func (h *sctpHalf) message(k partKey, low, high uint32) []byte {
	first, last := h.at(k, low), h.at(k, high)
	if first == nil || last == nil || !first.begin || !last.end {
		return nil
	}
	h.whole = h.whole[:0]
	for k.n = low; k.n != high+1; k.n++ {
		p := h.parts[k]
		if p == nil {
			return nil // it was given up
		}
		h.whole = append(h.whole, p.data...)
	}
	for k.n = low; k.n != high+1; k.n++ {
		h.held -= len(h.parts[k].data)
		delete(h.parts, k)
	}
	return h.whole
}

// forget gives the oldest part up and says how many bytes it had.
func (h *sctpHalf) forget() (n int) {
	for len(h.order) > 0 {
		k := h.order[0]
		h.order = h.order[1:]
		if p := h.parts[k]; p != nil {
			n = len(p.data)
			h.held -= n
			delete(h.parts, k)
			return n
		}
	}
	return 0
}
