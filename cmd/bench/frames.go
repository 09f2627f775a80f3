package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"net/netip"
	"time"
)

// mss is the payload of a full TCP segment on Ethernet with timestamps.
const mss = 1448

// frames writes Ethernet frames with IPv4 as a classic pcap file with nanoseconds
// (draft-ietf-opsawg-pcap). Errors stick and come out at close.
type frames struct {
	w    *bufio.Writer
	now  time.Time
	step time.Duration // between two packets
	buf  []byte
	ipID uint16

	packets, bytes int64 // written so far; bytes with the file's own headers
	err            error
}

func newFrames(w io.Writer, step time.Duration) *frames {
	f := &frames{w: bufio.NewWriterSize(w, 1<<20), now: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC), step: step}
	head := make([]byte, 24)
	binary.LittleEndian.PutUint32(head, 0xa1b23c4d)
	binary.LittleEndian.PutUint16(head[4:], 2)
	binary.LittleEndian.PutUint16(head[6:], 4)
	binary.LittleEndian.PutUint32(head[16:], 262144)
	binary.LittleEndian.PutUint32(head[20:], 1) // Ethernet
	f.put(head)
	return f
}

func (f *frames) put(p []byte) {
	if f.err == nil {
		_, f.err = f.w.Write(p)
		f.bytes += int64(len(p))
	}
}

func (f *frames) close() error {
	if f.err != nil {
		return f.err
	}
	return f.w.Flush()
}

// record writes the frame in f.buf.
func (f *frames) record() {
	f.now = f.now.Add(f.step)
	var head [16]byte
	binary.LittleEndian.PutUint32(head[0:], uint32(f.now.Unix()))
	binary.LittleEndian.PutUint32(head[4:], uint32(f.now.Nanosecond()))
	binary.LittleEndian.PutUint32(head[8:], uint32(len(f.buf)))
	binary.LittleEndian.PutUint32(head[12:], uint32(len(f.buf)))
	f.put(head[:])
	f.put(f.buf)
	f.packets++
}

// ipv4 begins a frame; the transport is appended to f.buf, then seal is called.
func (f *frames) ipv4(src, dst netip.Addr, proto byte, length int) {
	s, d := src.As4(), dst.As4()
	f.ipID++
	// Locally administered addresses that nobody has: sent out for real, nobody answers.
	f.buf = append(f.buf[:0], 2, 0x77, d[0], d[1], d[2], d[3], 2, 0x77, s[0], s[1], s[2], s[3], 8, 0)
	f.buf = append(f.buf, 0x45, 0)
	f.buf = binary.BigEndian.AppendUint16(f.buf, uint16(20+length))
	f.buf = binary.BigEndian.AppendUint16(f.buf, f.ipID)
	f.buf = append(f.buf, 0x40, 0, 64, proto, 0, 0)
	f.buf = append(append(f.buf, s[:]...), d[:]...)
	binary.BigEndian.PutUint16(f.buf[24:], ^sum(f.buf[14:34], 0))
}

// seal sets the transport's checksum, at its given offset, and writes the frame.
func (f *frames) seal(proto byte, at int) {
	l4 := f.buf[34:]
	pseudo := uint32(sum(f.buf[26:34], 0)) + uint32(proto) + uint32(len(l4))
	binary.BigEndian.PutUint16(l4[at:], ^sum(l4, pseudo))
	f.record()
}

// sum is the Internet checksum (RFC 1071) without its final complement.
func sum(p []byte, start uint32) uint16 {
	s := uint64(start)
	for len(p) >= 4 {
		s += uint64(binary.BigEndian.Uint32(p))
		p = p[4:]
	}
	if len(p) >= 2 {
		s += uint64(binary.BigEndian.Uint16(p))
		p = p[2:]
	}
	if len(p) == 1 {
		s += uint64(p[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// udp writes one datagram.
func (f *frames) udp(src, dst netip.AddrPort, payload []byte) {
	f.ipv4(src.Addr(), dst.Addr(), 17, 8+len(payload))
	f.buf = binary.BigEndian.AppendUint16(f.buf, src.Port())
	f.buf = binary.BigEndian.AppendUint16(f.buf, dst.Port())
	f.buf = binary.BigEndian.AppendUint16(f.buf, uint16(8+len(payload)))
	f.buf = append(append(f.buf, 0, 0), payload...)
	f.seal(17, 6)
}

// TCP flags (RFC 9293, 3.1).
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// conn is one TCP connection; index 0 is the client.
type conn struct {
	f    *frames
	ends [2]netip.AddrPort
	seq  [2]uint32
}

func (f *frames) dial(client, server netip.AddrPort) *conn {
	c := &conn{f, [2]netip.AddrPort{client, server}, [2]uint32{uint32(client.Port()) << 12, uint32(client.Port()) << 13}}
	c.segment(0, syn, nil)
	c.segment(1, syn|ack, nil)
	c.segment(0, ack, nil)
	return c
}

// send writes payload from one end in full segments, acknowledged every second one.
func (c *conn) send(from int, payload []byte) {
	for n := 1; len(payload) > 0; n++ {
		part := payload[:min(mss, len(payload))]
		payload = payload[len(part):]
		flags := byte(ack)
		if len(payload) == 0 {
			flags |= psh
		}
		c.segment(from, flags, part)
		if n%2 == 0 || len(payload) == 0 {
			c.segment(1-from, ack, nil)
		}
	}
}

func (c *conn) close() {
	c.segment(0, fin|ack, nil)
	c.segment(1, fin|ack, nil)
	c.segment(0, ack, nil)
}

func (c *conn) segment(from int, flags byte, payload []byte) {
	f, to := c.f, 1-from
	f.ipv4(c.ends[from].Addr(), c.ends[to].Addr(), 6, 32+len(payload))
	f.buf = binary.BigEndian.AppendUint16(f.buf, c.ends[from].Port())
	f.buf = binary.BigEndian.AppendUint16(f.buf, c.ends[to].Port())
	f.buf = binary.BigEndian.AppendUint32(f.buf, c.seq[from])
	acked := c.seq[to]
	if flags&ack == 0 {
		acked = 0
	}
	f.buf = binary.BigEndian.AppendUint32(f.buf, acked)
	f.buf = append(f.buf, 8<<4, flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 8, 10) // ports to urgent pointer, two NOPs, timestamps
	millis := uint32(f.now.UnixMilli())
	f.buf = binary.BigEndian.AppendUint32(f.buf, millis)
	f.buf = binary.BigEndian.AppendUint32(f.buf, millis)
	f.buf = append(f.buf, payload...)
	f.seal(6, 16)
	c.seq[from] += uint32(len(payload))
	if flags&(syn|fin) != 0 {
		c.seq[from]++
	}
}
