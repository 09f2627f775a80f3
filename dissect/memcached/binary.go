package memcached

import (
	"encoding/binary"
)

// The header of the binary protocol.
const (
	headerSize = 24
	magicAsk   = 0x80
	magicReply = 0x81
)

// opcode is a command of the binary protocol, with the words that this has for it.
type opcode struct {
	name  string
	kind  shape
	quiet bool
}

// shape is what a request of an opcode is made of.
type shape uint8

const (
	unknown   shape = iota
	bare            // nothing
	keyed           // a key
	storing         // 8 bytes, a key, a value
	adding          // a key, a value
	counting        // 20 bytes, a key
	expiring        // 4 bytes, a key
	flushing        // 4 bytes, or nothing
	statistic       // a key, or nothing
	verbose         // 4 bytes
	sasl            // a key, which is a mechanism, and a value
)

var opcodes = [...]opcode{
	0x00: {"get", keyed, false}, 0x01: {"set", storing, false}, 0x02: {"add", storing, false}, 0x03: {"replace", storing, false},
	0x04: {"delete", keyed, false}, 0x05: {"increment", counting, false}, 0x06: {"decrement", counting, false}, 0x07: {"quit", bare, false},
	0x08: {"flush", flushing, false}, 0x09: {"get quietly", keyed, true}, 0x0a: {"no-op", bare, false}, 0x0b: {"version", bare, false},
	0x0c: {"get key", keyed, false}, 0x0d: {"get key quietly", keyed, true}, 0x0e: {"append", adding, false}, 0x0f: {"prepend", adding, false},
	0x10: {"statistics", statistic, false}, 0x11: {"set quietly", storing, true}, 0x12: {"add quietly", storing, true},
	0x13: {"replace quietly", storing, true}, 0x14: {"delete quietly", keyed, true}, 0x15: {"increment quietly", counting, true},
	0x16: {"decrement quietly", counting, true}, 0x17: {"quit quietly", bare, true}, 0x18: {"flush quietly", flushing, true},
	0x19: {"append quietly", adding, true}, 0x1a: {"prepend quietly", adding, true}, 0x1b: {"verbosity", verbose, false},
	0x1c: {"touch", expiring, false}, 0x1d: {"get and touch", expiring, false}, 0x1e: {"get and touch quietly", expiring, true},
	0x20: {"sasl list mechanisms", bare, false}, 0x21: {"sasl authenticate", sasl, false}, 0x22: {"sasl step", sasl, false},
	0x23: {"get and touch key", expiring, false}, 0x24: {"get and touch key quietly", expiring, true},
}

// opNames are the names as bytes.
var opNames = func() map[*opcode][]byte {
	m := map[*opcode][]byte{}
	for i := range opcodes {
		m[&opcodes[i]] = []byte(opcodes[i].name)
	}
	return m
}()

const opStat = 0x10

// header is that of a binary message, and what it says of the message.
type header []byte

func (h header) opcode() *opcode {
	if op := h[1]; int(op) < len(opcodes) {
		return &opcodes[op]
	}
	return &opcodes[0x1f] // of none
}

func (h header) keySize() int   { return int(binary.BigEndian.Uint16(h[2:])) }
func (h header) extras() int    { return int(h[4]) }
func (h header) status() uint16 { return binary.BigEndian.Uint16(h[6:]) }
func (h header) body() int64    { return int64(binary.BigEndian.Uint32(h[8:])) }
func (h header) opaque() uint32 { return binary.BigEndian.Uint32(h[12:]) }

// part cuts out of a message, as far as it is kept.
func (h header) part(from, n int) []byte {
	return h[min(from, len(h)):min(from+n, len(h))]
}

func (h header) key() []byte { return h.part(headerSize+h.extras(), h.keySize()) }

// value is what stands behind the key.
func (h header) value() []byte {
	from := headerSize + h.extras() + h.keySize()
	return h[min(from, len(h)):]
}

// valid says whether a message begins with that header.
func (h header) valid() bool {
	op := h.opcode()
	key, extras, body := h.keySize(), h.extras(), h.body()
	value := body - int64(key) - int64(extras)
	if op.kind == unknown || h[5] != 0 || key > maxKey || value < 0 || value > maxData {
		return false
	}
	if h[0] == magicReply {
		_, known := statuses[h.status()]
		return known && extras <= 8 && (h.status() == 0 || extras == 0)
	}
	if h[0] != magicAsk {
		return false
	}
	switch op.kind {
	case bare:
		return body == 0
	case keyed:
		return key > 0 && extras == 0 && value == 0
	case storing:
		return key > 0 && extras == 8
	case adding:
		return key > 0 && extras == 0
	case counting:
		return key > 0 && extras == 20 && value == 0
	case expiring:
		return key > 0 && extras == 4 && value == 0
	case flushing:
		return key == 0 && (extras == 0 || extras == 4) && value == 0
	case statistic:
		return extras == 0 && value == 0
	case verbose:
		return key == 0 && extras == 4 && value == 0
	case sasl:
		return key > 0 && extras == 0
	}
	return false
}

// statuses are the outcomes, in the words of the text protocol where that has one.
var statuses = map[uint16]string{
	0x00: "OK", 0x01: "NOT_FOUND", 0x02: "EXISTS", 0x03: "TOO_LARGE", 0x04: "INVALID_ARGUMENTS", 0x05: "NOT_STORED", 0x06: "NON_NUMERIC",
	0x07: "WRONG_VBUCKET", 0x08: "AUTH_ERROR", 0x09: "AUTH_CONTINUE", 0x20: "AUTH_ERROR", 0x21: "AUTH_CONTINUE", 0x81: "UNKNOWN_COMMAND", 0x82: "OUT_OF_MEMORY", 0x83: "NOT_SUPPORTED",
	0x84: "INTERNAL_ERROR", 0x85: "BUSY", 0x86: "TEMPORARY_FAILURE",
}

// statusNames are the same as bytes.
var statusNames = func() map[uint16][]byte {
	m := map[uint16][]byte{}
	for code, name := range statuses {
		m[code] = []byte(name)
	}
	return m
}()

// failing says whether a status is an error, and not just an answer.
func failing(status uint16) bool {
	switch status {
	case 0x00, 0x01, 0x02, 0x05, 0x09, 0x21:
		return false
	}
	return true
}

// packets are the frames of the binary protocol.
type packets struct{ magic byte }

// Size implements frames.Format.
func (p *packets) Size(b []byte) int64 {
	switch {
	case b[0] != p.magic:
		return -1
	case len(b) < headerSize:
		return 0
	case !header(b).valid():
		return -1
	}
	return headerSize + header(b).body()
}

// Begins implements frames.Format. Behind a message that is all there, the next one begins.
func (p *packets) Begins(b []byte) bool {
	for n := 0; n < 3; n++ {
		if len(b) < headerSize || b[0] != p.magic || !header(b).valid() {
			return n > 0 && len(b) == 0
		}
		size := headerSize + header(b).body()
		if size > int64(len(b)) {
			return true
		}
		b = b[size:]
	}
	return true
}
