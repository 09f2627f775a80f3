// Package layers takes a packet apart for people: its headers from the outermost on, each with
// its fields and with the bytes that they are made of. It is for one packet that somebody looks
// at; package flow is what reads packets in numbers, and the two agree on what they find.
//
// Decode takes any bytes: what is cut off, or says what cannot be, ends the layers with a note
// of it, and the rest is payload. It holds nothing, and what it returns is the caller's own.
// Text in fields is not cleaned for a terminal: addresses and numbers are harmless, names of
// protocols ours, but what was said is on nobody's word.
package layers

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// Layer is one header, or what no header is left in.
type Layer struct {
	Name    string // "TCP"
	Summary string // its main fields on a line
	Fields  []Field
	// From and To are its bytes in the packet, half open, headers alone; of a payload all of it.
	From, To int
}

// Field is a value in a layer.
type Field struct {
	Name, Value string
	From, To    int // its bytes in the packet
}

// maxLayers bounds what tunnels may wrap, maxFields what one header may list.
const (
	maxLayers = 32
	maxFields = 64
)

// decoder takes one packet apart.
type decoder struct {
	b   []byte // up to the end of what is being read: an inner packet may be shorter than the outer
	out []Layer
}

// next reads the header at off and says what reads on behind it; nil: the rest is payload.
type next func(d *decoder, off int) (next, int)

// Decode takes a packet apart that begins as link says.
func Decode(link pcap.LinkType, b []byte) []Layer {
	d := &decoder{b: b}
	read, off := linkLayer(link), 0
	inner := flow.Layers(nil, link, b)
	for len(d.out) < maxLayers {
		if read == nil {
			if read = d.skip(&off, inner); read == nil {
				break
			}
		}
		before := len(d.out)
		var to int
		if read, to = read(d, off); to < off || to > len(d.b) { // no reader goes back
			to = len(d.b)
		}
		off = to
		if len(d.out) > before {
			l := &d.out[len(d.out)-1]
			l.To = max(l.From, min(l.To, len(d.b)))
		}
	}
	d.payload(off)
	d.padding(b)
	return d.out
}

// skip makes one layer of the headers at off that only package flow knows, up to the next IP
// header that it finds in the packet, and goes on there. nil: there is none.
func (d *decoder) skip(off *int, inner []flow.Header) next {
	for i := range inner {
		at := inner[i].Network
		if at < *off || at >= len(d.b) || len(d.out) > 0 && d.out[len(d.out)-1].From >= at {
			continue
		}
		if at > *off {
			name := "Encapsulation"
			if len(d.out) == 0 {
				name = "Link layer"
			}
			d.out = append(d.out, Layer{Name: name, Summary: fmt.Sprintf("%d bytes", at-*off), From: *off, To: at})
			*off = at
		}
		return byVersion
	}
	return nil
}

// layer begins a layer of n bytes; ok is false, with a note of it, where they are not there.
func (d *decoder) layer(name string, off, n int) (l *Layer, ok bool) {
	d.out = append(d.out, Layer{Name: name, From: off, To: min(off+n, len(d.b))})
	l = &d.out[len(d.out)-1]
	if len(d.b)-off < n {
		l.Summary = "cut off"
		l.add("problem", fmt.Sprintf("%d of %d bytes are there", max(0, len(d.b)-off), n), off, len(d.b))
		return l, false
	}
	return l, true
}

func (l *Layer) add(name, value string, from, to int) {
	if len(l.Fields) < maxFields {
		l.Fields = append(l.Fields, Field{name, value, from, to})
	}
}

// number adds a field of n bytes at off of the packet, in decimal.
func (d *decoder) number(l *Layer, name string, off, n int) uint64 {
	v := d.uint(off, n)
	l.add(name, fmt.Sprint(v), off, off+n)
	return v
}

// hexed adds a field of n bytes in hex.
func (d *decoder) hexed(l *Layer, name string, off, n int) uint64 {
	v := d.uint(off, n)
	l.add(name, fmt.Sprintf("0x%0*x", 2*n, v), off, off+n)
	return v
}

// uint reads n bytes, most significant first; those behind the end are 0.
func (d *decoder) uint(off, n int) (v uint64) {
	for i := off; i < off+n; i++ {
		v <<= 8
		if i >= 0 && i < len(d.b) {
			v |= uint64(d.b[i])
		}
	}
	return v
}

func (d *decoder) u16(off int) uint16 { return uint16(d.uint(off, 2)) }

// shorten ends what is read at to, for padding and for what an outer header says.
func (d *decoder) shorten(to int) {
	if to >= 0 && to < len(d.b) {
		d.b = d.b[:to]
	}
}

// maxText is how many bytes of a payload its summary shows.
const maxText = 48

func (d *decoder) payload(off int) {
	if off >= len(d.b) {
		return
	}
	b := d.b[off:]
	l := Layer{Name: "Payload", Summary: fmt.Sprintf("%d bytes", len(b)), From: off, To: len(d.b)}
	show := b[:min(len(b), maxText)]
	l.add("begins", printable(show), off, off+len(show))
	l.add("in hex", hex.EncodeToString(show[:min(len(show), 24)]), off, off+min(len(show), 24))
	d.out = append(d.out, l)
}

// padding tells of bytes behind the end of what headers say.
func (d *decoder) padding(whole []byte) {
	if n := len(whole) - len(d.b); n > 0 {
		d.out = append(d.out, Layer{Name: "Trailer", Summary: fmt.Sprintf("%d bytes behind the packet", n), From: len(d.b), To: len(whole)})
	}
}

// printable is ASCII with a dot for all else.
func printable(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if c < 0x20 || c >= 0x7f {
			c = '.'
		}
		out[i] = c
	}
	return string(out)
}

func mac(b []byte) string {
	s := make([]string, len(b))
	for i, c := range b {
		s[i] = fmt.Sprintf("%02x", c)
	}
	return strings.Join(s, ":")
}

// address adds an IP address of n bytes.
func (d *decoder) address(l *Layer, name string, off, n int) string {
	a, _ := netip.AddrFromSlice(d.b[off : off+n])
	l.add(name, a.String(), off, off+n)
	return a.String()
}

// flags are the names of the bits that are set, the lowest first.
func flags(v uint64, names ...string) string {
	var out []string
	for i, n := range names {
		if v&(1<<i) != 0 && n != "" {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, " ")
}

// named is a number with its name, where it has one.
func named(v uint64, names map[uint64]string) string {
	if n, ok := names[v]; ok {
		return fmt.Sprintf("%s (%d)", n, v)
	}
	return fmt.Sprint(v)
}

func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
