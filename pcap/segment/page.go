package segment

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

const (
	windowBytes = 1 << 20
	gapBytes    = 32 << 10 // what is rather read than skipped
	guessBytes  = 2 << 10  // what is read of a block that a page ends with, at first
	packetBlock = 6        // type of a block that is a packet (pcapng, 4.3)
)

// wanted is a flow with packets in the page in hand.
type wanted struct {
	flow uint32 // number in flows
	port uint32 // of both ends, to tell most from each other
	left int
}

// Next fills p, borrowed until the next Next. It returns io.EOF at the end, and ErrIndex if
// the index does not fit the segment.
func (c *Cursor) Next(p *pcap.Packet) error {
	for c.left > 0 || c.turn() {
		off := c.at
		id, err := c.packet(p)
		if err != nil {
			return err
		}
		if id < 0 || !c.takes(p.Data, id, c.number-1) || p.Time < c.q.Since || c.q.Until != 0 && p.Time >= c.q.Until {
			continue
		}
		for len(c.names) > 0 && c.names[0].Offset < off {
			c.q.OnName(c.names[0].Name)
			c.names = c.names[1:]
		}
		p.Iface = c.ifaces[id]
		return nil
	}
	return io.EOF
}

// turn goes to the next page that has wanted packets; it is false if there is none.
func (c *Cursor) turn() bool {
	if c.next == len(c.recs) {
		return false
	}
	c.page = uint32(c.recs[c.next] >> 32)
	c.wanted = c.wanted[:0]
	for ; c.next < len(c.recs) && uint32(c.recs[c.next]>>32) == c.page; c.next++ {
		n := uint32(c.recs[c.next])
		if last := len(c.wanted) - 1; last >= 0 && c.wanted[last].flow == n {
			c.wanted[last].left++
		} else {
			key := &c.flows[n].key
			c.wanted = append(c.wanted, wanted{n, ports(key), 1})
		}
		c.left++
	}
	m := c.pages[c.page]
	c.at, c.number = int64(m.offset)<<2, uint64(m.number)
	return true
}

func ports(k *flow.Key) uint32 { return uint32(k.PortA)<<16 | uint32(k.PortB) }

// packet reads the block in hand, and goes to the next one. It returns the number of the packet's
// interface, or a number below 0 if the block is no packet or the page is over.
func (c *Cursor) packet(p *pcap.Packet) (int64, error) {
	if c.more && c.number >= c.end { // those of the page that may be read were read
		c.left = 0
		return -1, nil
	}
	if end, _ := c.behind(c.page); c.at >= end {
		return 0, fmt.Errorf("%w: %d packets are not in the page before byte %d", ErrIndex, c.left, c.at)
	}
	b, err := c.read(c.at, 8)
	if err != nil {
		return 0, err
	}
	kind, size := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if size < 12 || size&3 != 0 || size > pcapng.MaxBlock {
		return 0, fmt.Errorf("%w: no block at byte %d", ErrIndex, c.at)
	}
	if kind != packetBlock {
		c.at += int64(size)
		return -1, nil
	}
	id, n := pcapng.DecodePacket(b, p)
	if n == 0 {
		if b, err = c.read(c.at, int64(size)); err != nil {
			return 0, err
		}
		if id, n = pcapng.DecodePacket(b, p); n == 0 {
			return 0, fmt.Errorf("%w: no packet at byte %d", ErrIndex, c.at)
		}
	}
	if int64(id) >= int64(len(c.ifaces)) {
		return 0, fmt.Errorf("%w: packet without interface at byte %d", ErrIndex, c.at)
	}
	c.at += int64(n)
	c.number++
	return int64(id), nil
}

// takes says whether a packet is of a wanted flow, and notes which.
func (c *Cursor) takes(data []byte, id int64, number uint64) bool {
	c.h.Parse(c.ifaces[id].Link, data)
	var found *wanted
	port, latest := ports(&c.h.Key), uint32(0)
	for n := range c.wanted {
		w := &c.wanted[n]
		if w.port != port || w.left == 0 {
			continue
		}
		f := &c.flows[w.flow]
		if f.vantage == c.vantages[id] && f.key == c.h.Key && uint64(f.number) <= number && f.number >= latest {
			found, latest = w, f.number
		}
	}
	if found == nil {
		return false
	}
	found.left--
	c.left--
	c.id = c.flows[found.flow].id
	return true
}

// behind is where a page ends, and the number of the packet there.
func (c *Cursor) behind(page uint32) (offset int64, number uint64) {
	if int(page)+1 < len(c.pages) {
		m := c.pages[page+1]
		return int64(m.offset) << 2, uint64(m.number)
	}
	return c.size, c.end
}

// read is what there is from off on: at least need bytes.
func (c *Cursor) read(off, need int64) ([]byte, error) {
	if skip := off - c.from; skip >= 0 && skip+need <= int64(len(c.window)) {
		return c.window[skip:], nil
	}
	size := int(min(max(need, c.plan(off)-off), c.size-off))
	if int64(size) < need {
		return nil, fmt.Errorf("%w: the segment ends before byte %d", ErrIndex, off+need)
	}
	if cap(c.buf) < size {
		c.buf = make([]byte, size, min(max(size, 2*cap(c.buf)), pcapng.MaxBlock))
	}
	n, err := c.src.ReadAt(c.buf[:size], off)
	c.from, c.window = off, c.buf[:n]
	if n < size && err != io.EOF {
		return nil, fmt.Errorf("read segment at byte %d: %w", off, err)
	}
	if int64(n) < need {
		return nil, fmt.Errorf("%w: the segment ends before byte %d", ErrIndex, off+need)
	}
	return c.window, nil
}

// plan is how far it is worth to read from off on: to the end of the pages that come one after
// the other. Of a large packet that ends a page it leaves out the end.
func (c *Cursor) plan(off int64) int64 {
	end := off
	for n := c.next - 1; n < len(c.recs); n++ {
		page := uint32(c.recs[n] >> 32)
		from := int64(c.pages[page].offset) << 2
		to, number := c.behind(page)
		if number > uint64(c.pages[page].number)+1 {
			to = min(to, from+markBytes+guessBytes)
		}
		if to <= end {
			continue
		}
		if from-end > gapBytes && end > off || to-off > windowBytes {
			break
		}
		end = to
	}
	return max(end, off+guessBytes)
}
