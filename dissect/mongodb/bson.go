package mongodb

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Types of BSON elements that matter here.
const (
	bsonDouble   = 0x01
	bsonString   = 0x02
	bsonDocument = 0x03
	bsonArray    = 0x04
	bsonBool     = 0x08
	bsonInt32    = 0x10
	bsonInt64    = 0x12
)

// document goes through the elements of a BSON document, as far as it is there.
type document struct{ b []byte }

// newDocument takes the bytes from a document's length on.
func newDocument(b []byte) document {
	if len(b) < 5 {
		return document{}
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n < 5 {
		return document{}
	}
	return document{b[4:min(n, int64(len(b)))]}
}

// element is one of a document. Its value may be cut.
type element struct {
	kind  byte
	name  []byte
	value []byte
	cut   bool
}

// next returns the next element.
func (d *document) next() (e element, ok bool) {
	if len(d.b) == 0 || d.b[0] == 0 {
		return e, false
	}
	e.kind = d.b[0]
	n := bytes.IndexByte(d.b[1:], 0)
	if n < 0 {
		d.b = nil
		return e, false
	}
	e.name = d.b[1 : 1+n]
	rest := d.b[2+n:]
	size := sizeOf(e.kind, rest)
	if size < 0 {
		d.b = nil
		return e, false
	}
	if e.cut = size > int64(len(rest)); e.cut {
		size = int64(len(rest))
	}
	e.value, d.b = rest[:size], rest[size:]
	return e, true
}

// sizeOf is how many bytes a value has, negative: there is no such type, or it cannot be told. Of
// one whose length was cut it is more than there is.
func sizeOf(kind byte, b []byte) int64 {
	counted := func(extra int64) int64 {
		if len(b) < 4 {
			return int64(len(b)) + 1
		}
		return int64(binary.LittleEndian.Uint32(b)) + extra
	}
	switch kind {
	case 0x06, 0x0A, 0x7F, 0xFF: // undefined, null, the keys
		return 0
	case bsonBool:
		return 1
	case bsonInt32:
		return 4
	case bsonDouble, bsonInt64, 0x09, 0x11: // times
		return 8
	case 0x07: // ObjectId
		return 12
	case 0x13: // decimal
		return 16
	case bsonString, 0x0D, 0x0E: // code, symbol
		return counted(4)
	case bsonDocument, bsonArray, 0x0F: // code with scope
		return counted(0)
	case 0x05: // binary
		return counted(5)
	case 0x0C: // pointer
		return counted(16)
	case 0x0B: // regular expression
		i := bytes.IndexByte(b, 0)
		if i < 0 {
			return -1
		}
		k := bytes.IndexByte(b[i+1:], 0)
		if k < 0 {
			return -1
		}
		return int64(i + k + 2)
	}
	return -1
}

// text is the value of a string, as far as it is there; nil: it is none.
func (e *element) text() []byte {
	if e.kind != bsonString || len(e.value) < 4 {
		return nil
	}
	t := e.value[4:]
	if !e.cut && len(t) > 0 {
		t = t[:len(t)-1]
	}
	return t
}

// number is the value of a number or a truth value.
func (e *element) number() (n int64, ok bool) {
	if e.cut {
		return 0, false
	}
	switch e.kind {
	case bsonDouble:
		f := math.Float64frombits(binary.LittleEndian.Uint64(e.value))
		if math.IsNaN(f) || math.Abs(f) > 1<<53 {
			return 0, false
		}
		return int64(f), true
	case bsonInt32:
		return int64(int32(binary.LittleEndian.Uint32(e.value))), true
	case bsonInt64:
		return int64(binary.LittleEndian.Uint64(e.value)), true
	case bsonBool:
		return int64(e.value[0]), true
	}
	return 0, false
}
