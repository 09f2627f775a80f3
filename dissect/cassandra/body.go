package cassandra

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect/block"
)

// notations reads the notations of the specification (section 3), as far as they are there.
type notations struct {
	b     []byte
	short bool
}

func (r *notations) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.short = true
		n = max(0, min(n, len(r.b)))
	}
	t := r.b[:n]
	r.b = r.b[n:]
	return t
}

func (r *notations) byte() int {
	if t := r.take(1); len(t) == 1 {
		return int(t[0])
	}
	return 0
}

func (r *notations) uint16() int {
	if t := r.take(2); len(t) == 2 {
		return int(binary.BigEndian.Uint16(t))
	}
	return 0
}

func (r *notations) int() int {
	if t := r.take(4); len(t) == 4 {
		return int(int32(binary.BigEndian.Uint32(t)))
	}
	return 0
}

// string is a string, or short bytes; longString one with four bytes of length. What there is
// of them, where they are cut.
func (r *notations) string() []byte     { return r.take(r.uint16()) }
func (r *notations) longString() []byte { return r.take(r.int()) }

// value skips one, which may be null or not set.
func (r *notations) value() {
	if n := r.int(); n > 0 {
		r.take(n)
	}
}

// payload skips a map of bytes.
func (r *notations) payload() {
	for n := r.uint16(); n > 0 && !r.short; n-- {
		r.string()
		r.value()
	}
}

// How bodies are compressed, as STARTUP says it.
const (
	uncompressed = ""
	withLZ4      = "lz4"
	withSnappy   = "snappy"
)

// open returns a body as it was before compression, up to limit bytes, in the memory given.
// whole says that nothing of it is missing.
func (h *header) open(b []byte, compression string, mem *[]byte, limit int) (body []byte, whole bool) {
	if h.flags&flagCompressed == 0 || len(b) == 0 {
		return b, int64(len(b)) == h.length
	}
	if compression == uncompressed {
		// Nobody saw what was agreed on: LZ4 has the length before it, of which the highest
		// byte is 0; with Snappy, that would be a body of no length.
		if compression = withSnappy; b[0] == 0 {
			compression = withLZ4
		}
	}
	var size uint64
	if compression == withLZ4 {
		if len(b) < 4 {
			return nil, false
		}
		size = uint64(binary.BigEndian.Uint32(b))
		*mem, _ = block.LZ4((*mem)[:0], 0, b[4:], int(min(uint64(limit), size)))
	} else {
		size, _ = block.SnappyLen(b)
		*mem, _ = block.Snappy((*mem)[:0], b, limit)
	}
	return *mem, uint64(len(*mem)) == size
}

// statements goes through those of a request, as far as it is there: text, or the ID of a
// prepared one. It returns the consistency behind them, -1: it is not there.
func (h *header) statements(b []byte, each func(text, id []byte)) (consistency int) {
	r := notations{b: b}
	if h.flags&flagPayload != 0 {
		r.payload()
	}
	switch h.op {
	case opQuery:
		each(r.longString(), nil)
	case opPrepare:
		each(r.longString(), nil)
		return -1
	case opExecute:
		each(nil, r.string())
		if h.version >= 5 {
			r.string() // the ID of what its rows are like
		}
	case opBatch:
		r.byte()
		for n := r.uint16(); n > 0 && !r.short; n-- {
			switch kind := r.byte(); {
			case r.short:
			case kind == 0:
				each(r.longString(), nil)
			case kind == 1:
				each(nil, r.string())
			default:
				return -1
			}
			for values := r.uint16(); values > 0 && !r.short; values-- {
				r.value()
			}
		}
	default:
		return -1
	}
	if c := r.uint16(); !r.short {
		return c
	}
	return -1
}

// consistencies are by number (section 3).
var consistencies = [...]string{"ANY", "ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "SERIAL", "LOCAL_SERIAL", "LOCAL_ONE"}

// compressionOf is what a STARTUP asks for.
func compressionOf(b []byte) string {
	r := notations{b: b}
	for n := r.uint16(); n > 0 && !r.short; n-- {
		key, value := r.string(), r.string()
		if string(key) == "COMPRESSION" {
			switch string(value) {
			case "lz4", "LZ4":
				return withLZ4
			case "snappy", "Snappy", "SNAPPY":
				return withSnappy
			}
		}
	}
	return uncompressed
}

// Kinds of RESULT (4.2.5).
const (
	resultVoid     = 1
	resultRows     = 2
	resultKeyspace = 3
	resultPrepared = 4
	resultSchema   = 5
)

var results = [...]string{resultVoid: "Void", resultRows: "Rows", resultKeyspace: "Set_keyspace", resultPrepared: "Prepared", resultSchema: "Schema_change"}

// errorNames are by code (section 9).
var errorNames = map[int]string{
	0x0000: "SERVER_ERROR", 0x000A: "PROTOCOL_ERROR", 0x0100: "AUTHENTICATION_ERROR", 0x1000: "UNAVAILABLE", 0x1001: "OVERLOADED",
	0x1002: "IS_BOOTSTRAPPING", 0x1003: "TRUNCATE_ERROR", 0x1100: "WRITE_TIMEOUT", 0x1200: "READ_TIMEOUT", 0x1300: "READ_FAILURE",
	0x1400: "FUNCTION_FAILURE", 0x1500: "WRITE_FAILURE", 0x1600: "CDC_WRITE_FAILURE", 0x1700: "CAS_WRITE_UNKNOWN", 0x2000: "SYNTAX_ERROR",
	0x2100: "UNAUTHORIZED", 0x2200: "INVALID", 0x2300: "CONFIG_ERROR", 0x2400: "ALREADY_EXISTS", 0x2500: "UNPREPARED",
}

// reading is what a response says. It borrows the response.
type reading struct {
	op   byte
	kind int    // of a RESULT
	code int    // of an ERROR
	text []byte // of an ERROR, or what kind of EVENT
	id   []byte // of what was prepared
}

// read reads a response, as far as it is there.
func (a *reading) read(h *header, b []byte) {
	*a = reading{op: h.op, code: -1}
	r := notations{b: b}
	if h.flags&flagTracing != 0 {
		r.take(16)
	}
	if h.flags&flagWarning != 0 {
		for n := r.uint16(); n > 0 && !r.short; n-- {
			r.string()
		}
	}
	if h.flags&flagPayload != 0 {
		r.payload()
	}
	switch h.op {
	case opError:
		if code := r.int(); !r.short {
			a.code, a.text = code, r.string()
		}
	case opResult:
		a.kind = r.int()
		if a.kind == resultPrepared {
			if id := r.string(); !r.short {
				a.id = id
			}
		}
	case opEvent:
		a.text = r.string()
	}
}
