package stream

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// fragment4 is an IPv4 fragment of a UDP datagram.
func fragment4(id uint16, off int, more bool, body []byte) []byte {
	b := make([]byte, 20, 20+len(body))
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(body)))
	binary.BigEndian.PutUint16(b[4:], id)
	f := uint16(off / 8)
	if more {
		f |= 0x2000
	}
	binary.BigEndian.PutUint16(b[6:], f)
	copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	return append(b, body...)
}

// fragment6 is the same in IPv6.
func fragment6(id uint32, off int, more bool, body []byte) []byte {
	b := make([]byte, 48, 48+len(body))
	b[0], b[6], b[7] = 0x60, 44, 64
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(body)))
	b[8+15], b[24+15] = 1, 2
	b[40] = 17
	f := uint16(off)
	if more {
		f |= 1
	}
	binary.BigEndian.PutUint16(b[42:], f)
	binary.BigEndian.PutUint32(b[44:], id)
	return append(b, body...)
}

func TestFragments(t *testing.T) {
	udp := make([]byte, 8+600)
	binary.BigEndian.PutUint16(udp, 53)
	binary.BigEndian.PutUint16(udp[2:], 4000)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	for i := range udp[8:] {
		udp[8+i] = byte(i)
	}
	v4 := func(from, to int) []byte { return fragment4(7, from, to < len(udp), udp[from:to]) }
	v6 := func(from, to int) []byte { return fragment6(7, from, to < len(udp), udp[from:to]) }
	cases := map[string]struct {
		parts [][]byte
		whole bool
	}{
		"in order":       {[][]byte{v4(0, 200), v4(200, 400), v4(400, 608)}, true},
		"backwards":      {[][]byte{v4(400, 608), v4(200, 400), v4(0, 200)}, true},
		"twice":          {[][]byte{v4(0, 200), v4(0, 200), v4(200, 608)}, true},
		"overlapping":    {[][]byte{v4(0, 304), v4(200, 608)}, true},
		"one is missing": {[][]byte{v4(0, 200), v4(400, 608)}, false},
		"IPv6":           {[][]byte{v6(0, 304), v6(304, 608)}, true},
		"IPv6 backwards": {[][]byte{v6(304, 608), v6(0, 304)}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var f Fragments
			var out []byte
			for i, p := range c.parts {
				var h flow.Header
				if !h.Parse(pcap.LinkRaw, p) || !h.Fragments {
					t.Fatalf("part %d is not a fragment", i)
				}
				if got := f.Add(p, &h, 1, 0); got != nil {
					out = got
				}
			}
			if (out != nil) != c.whole {
				t.Fatalf("whole is %v, want %v", out != nil, c.whole)
			}
			if !c.whole {
				return
			}
			var h flow.Header
			if !h.Parse(pcap.LinkRaw, out) || h.Fragments || h.Key.Proto != flow.UDP {
				t.Fatalf("the whole packet does not parse: %+v", h)
			}
			if !bytes.Equal(h.Data(out), udp[8:]) {
				t.Error("the payload differs")
			}
			if f.held != 0 || len(f.waiting) != 0 {
				t.Errorf("%d bytes are still held", f.held)
			}
		})
	}
}

func TestFragmentBounds(t *testing.T) {
	var f Fragments
	body := make([]byte, 1400)
	for id := range 20000 {
		p := fragment4(uint16(id), 0, true, body)
		p[12] = byte(id >> 16)
		var h flow.Header
		h.Parse(pcap.LinkRaw, p)
		f.Add(p, &h, 1, 0)
		if f.held > maxFragmentHeld+len(body) {
			t.Fatalf("%d bytes are held", f.held)
		}
	}
	if f.Lost() == 0 {
		t.Error("nothing was given up")
	}
}
