package dns

import (
	"encoding/binary"
)

// headerSize is that of a message (RFC 1035, 4.1.1).
const headerSize = 12

// Limits on what a message may hold; names are bounded by RFC 1035, 3.1.
const (
	maxName  = 255
	maxHops  = 64 // compression pointers in one name
	maxCount = 4096
)

// Types that are spoken of in code.
const (
	typeA     = 1
	typeNS    = 2
	typeCNAME = 5
	typeSOA   = 6
	typePTR   = 12
	typeMX    = 15
	typeTXT   = 16
	typeAAAA  = 28
	typeNB    = 32 // of NetBIOS; NIMLOC in DNS
	typeSRV   = 33
	typeDNAME = 39
	typeOPT   = 41
	typeSVCB  = 64
	typeHTTPS = 65
	typeSPF   = 99
	typeCAA   = 257
)

// shape is what a look at the structure of a message says.
type shape struct {
	id        uint16
	flags     uint16
	rcode     uint16 // with the upper bits of EDNS (RFC 6891, 6.1.3)
	questions uint16 // that were read
	records   uint16 // of all sections, that were read
	answers   int    // where the answer section begins, 0: it was not reached
	hash      uint32 // of the questions, without regard to case
	response  bool
	asked     bool // all questions were read
	extra     bool // there are bytes behind the message
}

func (s *shape) opcode() uint16 { return s.flags >> 11 & 15 }

// verdict on the structure of a message.
type verdict uint8

const (
	bad   verdict = iota // it is none
	short                // it ends early
	good
)

// parse walks through a message.
func parse(b []byte) (s shape, v verdict) {
	if len(b) < headerSize {
		return s, bad
	}
	be := binary.BigEndian
	s.id, s.flags = be.Uint16(b), be.Uint16(b[2:])
	s.response = s.flags&0x8000 != 0
	s.rcode = s.flags & 15
	qd, an, ns, ar := be.Uint16(b[4:]), be.Uint16(b[6:]), be.Uint16(b[8:]), be.Uint16(b[10:])
	if qd > 64 || an > maxCount || ns > maxCount || ar > maxCount {
		return s, bad
	}
	off := headerSize
	s.hash = 2166136261
	for range qd {
		next, v := skipName(b, off, &s.hash)
		if v != good {
			return s, v
		}
		if next+4 > len(b) {
			return s, short
		}
		for _, c := range b[next : next+4] {
			s.hash = (s.hash ^ uint32(c)) * 16777619
		}
		off = next + 4
		s.questions++
	}
	s.asked = qd > 0
	s.answers = off
	for n := int(an) + int(ns) + int(ar); n > 0; n-- {
		r, next, v := readRecord(b, off)
		if v != good {
			return s, v
		}
		if r.kind == typeOPT && n <= int(ar) {
			s.rcode |= uint16(r.ttl>>24) << 4
		}
		off = next
		s.records++
	}
	s.extra = off < len(b)
	return s, good
}

// sane says whether what a header and the first question or record say is likely, so that
// other traffic is not taken for DNS. With hint, the port has said so already.
func (s *shape) sane(b []byte, hint bool) bool {
	const z = 0x40
	switch s.opcode() {
	case 0, 2, 4, 5: // query, status, notify, update
	case 1, 6: // inverse query (obsolete), stateful operations
		if !hint {
			return false
		}
	default:
		return false
	}
	if s.flags&z != 0 && !hint {
		return false
	}
	if !s.response && (s.rcode&15 != 0 || s.flags&0x0080 != 0 && !hint) {
		return false
	}
	if s.rcode&15 > 11 {
		return false
	}
	if s.questions > 0 {
		q, next, v := readQuestion(b, headerSize)
		if v != good || !knownClass(q.class) || !hint && (typeName(q.kind) == "" || !plain(b, q.name)) || netBIOS(b, q.name, q.kind) {
			return false
		}
		return next > 0
	}
	if s.records > 0 {
		r, _, v := readRecord(b, headerSize)
		return v == good && (hint || knownClass(r.class) && typeName(r.kind) != "") && !netBIOS(b, r.name, r.kind)
	}
	return true
}

// plain says whether the name that begins there has no control characters.
func plain(b []byte, off int) bool {
	for off < len(b) && b[off] > 0 && b[off] < 0xc0 {
		label := b[off+1 : min(len(b), off+1+int(b[off]))]
		for _, c := range label {
			if c < ' ' || c == 0x7f {
				return false
			}
		}
		off += 1 + len(label)
	}
	return true
}

// netBIOS tells the name service of NetBIOS (RFC 1002, 4.2), whose messages look the same:
// its names are one label of 32 letters from A to P.
func netBIOS(b []byte, name int, kind uint16) bool {
	if kind != typeNB && kind != typeSRV || len(b) < name+33 || b[name] != 32 {
		return false
	}
	for _, c := range b[name+1 : name+33] {
		if c < 'A' || c > 'P' {
			return false
		}
	}
	return true
}

// knownClass: IN, CH, HS, NONE and ANY; the upper bit is mDNS's (RFC 6762, 5.4 and 10.2).
func knownClass(c uint16) bool {
	c &^= 0x8000
	return c == 1 || c == 3 || c == 4 || c == 254 || c == 255
}

// skipName walks over a name. It adds the labels to the hash, if there is one.
func skipName(b []byte, off int, hash *uint32) (next int, v verdict) {
	start := off
	for {
		if off >= len(b) {
			return 0, short
		}
		n := int(b[off])
		switch {
		case n == 0:
			return off + 1, good
		case n >= 0xc0:
			if off+2 > len(b) {
				return 0, short
			}
			if int(binary.BigEndian.Uint16(b[off:])&0x3fff) >= off {
				return 0, bad // a pointer leads back (RFC 1035, 4.1.4)
			}
			return off + 2, good
		case n > 63:
			return 0, bad
		}
		if off+1+n > len(b) {
			return 0, short
		}
		if off+1+n-start > maxName {
			return 0, bad
		}
		if hash != nil {
			h := *hash
			for _, c := range b[off : off+1+n] {
				if c >= 'A' && c <= 'Z' {
					c |= 0x20
				}
				h = (h ^ uint32(c)) * 16777619
			}
			*hash = h
		}
		off += 1 + n
	}
}

// question and record tell where things are in the message.
type question struct {
	name        int
	kind, class uint16
}

type record struct {
	name        int
	kind, class uint16
	ttl         uint32
	data, end   int
}

func readQuestion(b []byte, off int) (q question, next int, v verdict) {
	q.name = off
	if next, v = skipName(b, off, nil); v != good {
		return q, 0, v
	}
	if next+4 > len(b) {
		return q, 0, short
	}
	q.kind, q.class = binary.BigEndian.Uint16(b[next:]), binary.BigEndian.Uint16(b[next+2:])
	return q, next + 4, good
}

func readRecord(b []byte, off int) (r record, next int, v verdict) {
	r.name = off
	if next, v = skipName(b, off, nil); v != good {
		return r, 0, v
	}
	if next+10 > len(b) {
		return r, 0, short
	}
	be := binary.BigEndian
	r.kind, r.class, r.ttl = be.Uint16(b[next:]), be.Uint16(b[next+2:]), be.Uint32(b[next+4:])
	r.data = next + 10
	r.end = r.data + int(be.Uint16(b[next+8:]))
	if r.end > len(b) {
		return r, 0, short
	}
	return r, r.end, good
}

// appendName appends a name in text form, without the dot at its end; the root is ".". What
// would not be text, and dots and backslashes within a label, are escaped (RFC 1035, 5.1);
// mDNS names are UTF-8 and stay so. It reports false where the name cannot be read, with
// what could.
func appendName(dst, b []byte, off int) ([]byte, bool) {
	start := len(dst)
	for hops := 0; hops < maxHops; {
		if off >= len(b) {
			return dst, false
		}
		n := int(b[off])
		switch {
		case n == 0:
			if len(dst) == start {
				dst = append(dst, '.')
			}
			return dst, true
		case n >= 0xc0:
			if off+2 > len(b) {
				return dst, false
			}
			to := int(binary.BigEndian.Uint16(b[off:]) & 0x3fff)
			if to >= off {
				return dst, false
			}
			off = to
			hops++
			continue
		case n > 63 || off+1+n > len(b) || len(dst)-start > 4*maxName:
			return dst, false
		}
		if len(dst) > start {
			dst = append(dst, '.')
		}
		dst = appendLabel(dst, b[off+1:off+1+n])
		off += 1 + n
	}
	return dst, false
}
