package quic

import "encoding/binary"

// kind is the type of a packet with a long header.
type kind uint8

const (
	initial kind = iota
	zeroRTT
	handshake
	retry
	negotiation
)

const (
	longHeader = 0x80
	fixedBit   = 0x40
	maxID      = 20 // bytes of a connection ID (RFC 9000, 17.2)
	tagSize    = 16
	minBody    = 4 + tagSize // the longest packet number, or a sample for it (RFC 9001, 5.4.2)
)

// Versions.
const (
	version1    = 1
	version2    = 0x6b3343cf // RFC 9369
	versionT050 = 0x54303530 // Chromium's, "T050"
	versionT051 = 0x54303531
	draftFirst  = 0xff000016 // 22
	draftLast   = 0xff000022 // 34
)

// known says whether a version has keys that are known, if it is what it says.
func known(version uint32) bool {
	return version == version1 || version == version2 || version >= draftFirst && version <= draftLast ||
		version == versionT050 || version == versionT051 || mvfst(version) || reserved(version)
}

// mvfst says whether a version is one of mvfst's, which follow the drafts of their time.
func mvfst(version uint32) bool { return version&^0xf == 0xfaceb000 }

// reserved says whether a version is one that nobody speaks (RFC 9000, 15): a client that says
// it wants to be told which ones the server has.
func reserved(version uint32) bool { return version&0x0f0f0f0f == 0x0a0a0a0a }

// header is a long header (RFC 9000, 17.2). Its slices are of the datagram.
type header struct {
	kind       kind
	version    uint32
	dcid, scid []byte
	body       int  // where the packet number begins, or what stands in its place
	end        int  // of the packet
	cut        bool // it ends behind the datagram
}

// readLong reads the header of the packet that b begins with. ok is false where it is none of
// a version that is known.
func readLong(b []byte) (h header, ok bool) {
	if len(b) < 7 || b[0]&longHeader == 0 {
		return h, false
	}
	h.version = binary.BigEndian.Uint32(b[1:])
	if h.version != 0 && !known(h.version) {
		return h, false
	}
	off := 5
	h.dcid, off = takeID(b, off)
	h.scid, off = takeID(b, off)
	if off < 0 {
		return h, false
	}
	if h.version == 0 {
		h.kind, h.body, h.end = negotiation, off, len(b)
		return h, off < len(b) && (len(b)-off)%4 == 0
	}
	h.kind = kind(b[0] >> 4 & 3)
	if h.version == version2 {
		h.kind = (h.kind + 3) & 3 // RFC 9369, 3.2
	}
	if h.kind == retry {
		h.body, h.end = off, len(b)
		return h, len(b)-off > tagSize
	}
	if h.kind == initial {
		n, next := varint(b, off)
		if next < 0 || n > uint64(len(b)-next) {
			return h, false
		}
		off = next + int(n)
	}
	n, off := varint(b, off)
	if off < 0 || n < minBody || n > 1<<16 {
		return h, false
	}
	h.body, h.end = off, off+int(n)
	if h.end > len(b) {
		h.end, h.cut = len(b), true
	}
	return h, true
}

// takeID takes a connection ID behind its length.
func takeID(b []byte, off int) ([]byte, int) {
	if off < 0 || off >= len(b) {
		return nil, -1
	}
	n := int(b[off])
	off++
	if n > maxID || n > len(b)-off {
		return nil, -1
	}
	return b[off : off+n], off + n
}

// varint reads a number of 1, 2, 4 or 8 bytes (RFC 9000, 16). The next offset is -1 if it is
// not all there.
func varint(b []byte, off int) (n uint64, next int) {
	if off < 0 || off >= len(b) {
		return 0, -1
	}
	size := 1 << (b[off] >> 6)
	if size > len(b)-off {
		return 0, -1
	}
	n = uint64(b[off] & 0x3f)
	for _, c := range b[off+1 : off+size] {
		n = n<<8 | uint64(c)
	}
	return n, off + size
}

// offersKnown says whether a list of versions has one that is known.
func offersKnown(list []byte) bool {
	for ; len(list) >= 4; list = list[4:] {
		if v := binary.BigEndian.Uint32(list); known(v) && !reserved(v) {
			return true
		}
	}
	return false
}
