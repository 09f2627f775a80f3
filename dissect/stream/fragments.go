package stream

import (
	"encoding/binary"

	"github.com/sshark/sshark/pcap/flow"
)

// Limits on fragments that wait for their missing parts (RFC 791 allows 15 s and more).
const (
	maxFragmentTime   = int64(30e9)
	maxFragmentHeld   = 4 << 20
	maxFragmentParts  = 256
	maxFragmentPacket = 65535 + 40
)

type fragmentKey struct {
	key     flow.Key
	dir     flow.Dir
	id      uint32
	vantage uint32
}

type fragments struct {
	first  int64 // time of the first part
	head   []byte
	total  int // payload bytes, 0: the last part was not seen
	parts  []chunk
	copied int
}

// Fragments puts IP fragments together (RFC 791 3.2, RFC 8200 4.5). Of parts that overlap
// the first to come counts. It is bounded: the oldest incomplete packets are given up.
type Fragments struct {
	waiting map[fragmentKey]*fragments
	held    int
	lost    uint64
	out     []byte
}

// Lost is the number of fragmented packets that were given up incomplete.
func (f *Fragments) Lost() uint64 { return f.lost }

// Add takes a packet whose header says Fragments. When it completes one, that packet is
// returned, beginning with its IP header (link type raw), valid until the next Add.
func (f *Fragments) Add(packet []byte, h *flow.Header, vantage uint32, time int64) []byte {
	if h.Truncated || h.Transport > h.End {
		return nil
	}
	k := fragmentKey{h.Key, h.Dir, h.Fragment.ID, vantage}
	w := f.waiting[k]
	if w == nil || time-w.first > maxFragmentTime {
		if f.waiting == nil {
			f.waiting = make(map[fragmentKey]*fragments)
		}
		if w != nil {
			f.forget(k, w)
		}
		w = &fragments{first: time}
		f.waiting[k] = w
	}
	body := packet[h.Transport:h.End]
	off := int(h.Fragment.Offset)
	if off+len(body) > maxFragmentPacket || len(w.parts) >= maxFragmentParts || len(body) == 0 {
		f.forget(k, w)
		return nil
	}
	if off == 0 && w.head == nil {
		w.head = append([]byte(nil), packet[h.Network:h.Transport]...)
	}
	if !h.Fragment.More {
		w.total = off + len(body)
	}
	w.parts = append(w.parts, chunk{seq: uint32(off), data: append([]byte(nil), body...)})
	w.copied += len(body)
	f.held += len(body)
	if out := f.assemble(w); out != nil {
		f.held -= w.copied
		delete(f.waiting, k)
		return out
	}
	if f.held > maxFragmentHeld {
		f.forgetOldest()
	}
	return nil
}

func (f *Fragments) forget(k fragmentKey, w *fragments) {
	f.held -= w.copied
	f.lost++
	delete(f.waiting, k)
}

func (f *Fragments) forgetOldest() {
	var key fragmentKey
	var oldest *fragments
	for k, w := range f.waiting {
		if oldest == nil || w.first < oldest.first {
			key, oldest = k, w
		}
	}
	if oldest != nil {
		f.forget(key, oldest)
	}
}

// assemble returns the whole packet if no part is missing.
func (f *Fragments) assemble(w *fragments) []byte {
	if w.total == 0 || w.head == nil || w.copied < w.total {
		return nil
	}
	head := len(w.head)
	if cap(f.out) < head+w.total {
		f.out = make([]byte, head+w.total)
	}
	out := f.out[:head+w.total]
	copy(out, w.head)
	filled := 0
	for filled < w.total {
		progress := false
		for i := range w.parts {
			p := &w.parts[i]
			end := int(p.seq) + len(p.data)
			if int(p.seq) <= filled && end > filled {
				n := min(end, w.total)
				copy(out[head+filled:head+n], p.data[filled-int(p.seq):])
				filled, progress = n, true
			}
		}
		if !progress {
			return nil
		}
	}
	return plain(out, head)
}

// plain makes the header say that the packet is whole.
func plain(out []byte, head int) []byte {
	if out[0]>>4 == 4 {
		binary.BigEndian.PutUint16(out[2:], uint16(min(len(out), 65535)))
		binary.BigEndian.PutUint16(out[6:], 0)
		return out
	}
	// The fragment header is the last of the extension headers kept: it becomes an empty
	// one, with neither offset nor more to come, which Parse passes over.
	if head >= 48 {
		binary.BigEndian.PutUint16(out[4:], uint16(min(len(out)-40, 65535)))
		binary.BigEndian.PutUint16(out[head-8+2:], 0)
	}
	return out
}
