package kafka

import (
	"encoding/binary"
	"strings"
)

// field is one thing of a message, in the order of the wire. Layouts are written with a letter
// for each:
//
//	b h i l u   1, 2, 4, 8 and 16 bytes
//	s y         a string; bytes or records
//	T U         a topic's name, its ID
//	E A         an error code; how many acknowledgements a producer wants
//	[ ]         an array of structures, each with tagged fields behind it where the version has any
//	( )         an array of plain things
//	...         the rest is of no use here
//
// A range of versions may stand behind each: 3+, 0-12, 7.
type field struct {
	kind     byte // the letter; '[' and '(' for arrays, '.' for the end
	from, to int16
	of       []field // of an array
}

// layout is what requests and responses of an API have behind their headers.
type layout struct{ request, response []field }

var layouts = func() (t [len(apis)]layout) {
	for i := range apis {
		t[i].request, _ = parseLayout(strings.Fields(spaced.Replace(apis[i].request)))
		t[i].response, _ = parseLayout(strings.Fields(spaced.Replace(apis[i].response)))
	}
	return t
}()

// spaced lets brackets be words. What is behind a closing one belongs to it.
var spaced = strings.NewReplacer("[", " [ ", "(", " ( ", "]", " ]", ")", " )")

// parseLayout reads up to the bracket that closes, and returns what is behind it.
func parseLayout(words []string) (list []field, rest []string) {
	for len(words) > 0 {
		w := words[0]
		words = words[1:]
		f := field{kind: w[0], to: never}
		switch f.kind {
		case ']', ')':
			return list, append([]string{w}, words...)
		case '.':
			return append(list, f), nil
		case '[', '(':
			f.of, words = parseLayout(words)
			if len(words) > 0 {
				w, words = words[0], words[1:]
			}
		}
		f.from, f.to = versions(w[1:])
		list = append(list, f)
	}
	return list, nil
}

// versions reads "3+", "0-12" or "7".
func versions(s string) (from, to int16) {
	number := func(s string) (n int16) {
		for _, c := range []byte(s) {
			n = n*10 + int16(c-'0')
		}
		return n
	}
	if s == "" {
		return 0, never
	}
	if s, ok := strings.CutSuffix(s, "+"); ok {
		return number(s), never
	}
	a, b, two := strings.Cut(s, "-")
	if !two {
		b = a
	}
	return number(a), number(b)
}

// visitor is told what is in a message.
type visitor struct {
	topics  *topics // nil: no matter
	code    int16   // the first error
	coded   bool    // it is known whether there is one
	acks    int16
	acked   bool     // acks is known
	all     bool     // records are wanted
	records [][]byte // as far as they are there
}

// walker goes through a message.
type walker struct {
	b        []byte
	behind   int  // bytes of the message that are not there, if it is strict
	strict   bool // what is longer than the message, or no text where it should be, is bad
	version  int16
	flexible bool
	short    bool // the message was cut where the walker stands
	bad      bool // no message is so
	rest     bool // the walker stands where the layout ends
}

const (
	maxElements = 1 << 20 // of an array
	maxDepth    = 8
)

// walk goes through a message as far as it goes, and says whether it went on to its end.
func (w *walker) walk(fields []field, v *visitor) bool {
	w.fields(fields, v, 0)
	if w.flexible && len(fields) > 0 && w.good() {
		w.tags()
	}
	return w.good()
}

func (w *walker) good() bool { return !w.short && !w.bad && !w.rest }

func (w *walker) fields(fields []field, v *visitor, depth int) {
	var name, id []byte // of a topic
	for i := range fields {
		f := &fields[i]
		if w.version < f.from || w.version > f.to {
			continue
		}
		switch f.kind {
		case 'b':
			w.take(1)
		case 'h':
			w.take(2)
		case 'i':
			w.take(4)
		case 'l':
			w.take(8)
		case 'u':
			w.take(16)
		case 's':
			w.text()
		case 'T':
			if s := w.text(); len(s) > 0 && w.good() {
				name = s
			}
		case 'U':
			if s := w.take(16); s != nil && [16]byte(s) != [16]byte{} {
				id = s
			}
		case 'y':
			if b := w.bytes(); v.all && len(b) > 0 {
				v.records = append(v.records, b)
			}
		case 'E':
			if s := w.take(2); s != nil && v.code == 0 {
				v.code, v.coded = int16(binary.BigEndian.Uint16(s)), true
			}
		case 'A':
			if s := w.take(2); s != nil {
				v.acks, v.acked = int16(binary.BigEndian.Uint16(s)), true
			}
		case '[', '(':
			name, id = v.told(name, id)
			if depth < maxDepth {
				w.array(f, v, depth)
			}
		case '.':
			w.rest = true
		}
		if !w.good() {
			break
		}
	}
	v.told(name, id)
}

// told notes a topic, once all that names it was read. It returns nothing, twice.
func (v *visitor) told(name, id []byte) (_, _ []byte) {
	if v.topics != nil && (name != nil || id != nil) {
		v.topics.add(name, id)
	}
	return nil, nil
}

func (w *walker) array(f *field, v *visitor, depth int) {
	n := w.count()
	if n > maxElements || w.beyond(n) {
		w.bad = true
	}
	for ; n > 0 && w.good(); n-- {
		if len(w.b) == 0 {
			w.short = true
			return
		}
		w.fields(f.of, v, depth+1)
		if w.flexible && f.kind == '[' && w.good() {
			w.tags()
		}
	}
}

// beyond says that so many bytes, or elements, are more than the message has.
func (w *walker) beyond(n int) bool { return w.strict && n > len(w.b)+w.behind }

// take takes n bytes.
func (w *walker) take(n int) []byte {
	if len(w.b) < n {
		w.short = true
		return nil
	}
	s := w.b[:n]
	w.b = w.b[n:]
	return s
}

// uvarint reads an unsigned number of up to 32 bits.
func (w *walker) uvarint() int {
	n, k := binary.Uvarint(w.b)
	switch {
	case k == 0 && len(w.b) < 5:
		w.short = true
		return 0
	case k <= 0 || n > 1<<32-1:
		w.bad = true
		return 0
	}
	w.b = w.b[k:]
	return int(n)
}

// count reads how many elements an array has, 0 of one that is null.
func (w *walker) count() int {
	if w.flexible {
		return max(0, w.uvarint()-1)
	}
	s := w.take(4)
	if s == nil {
		return 0
	}
	n := int32(binary.BigEndian.Uint32(s))
	w.bad = w.bad || n < -1
	return int(max(0, n))
}

// text reads a string, "" for null; what there is of it where it was cut.
func (w *walker) text() []byte {
	n := 0
	if w.flexible {
		n = w.uvarint() - 1
	} else if s := w.take(2); s != nil {
		n = int(int16(binary.BigEndian.Uint16(s)))
		w.bad = w.bad || n < -1
	}
	s := w.cut(n)
	w.bad = w.bad || w.strict && !text(s)
	return s
}

// bytes reads bytes or records, in the same way.
func (w *walker) bytes() []byte {
	if w.flexible {
		return w.cut(w.uvarint() - 1)
	}
	s := w.take(4)
	if s == nil {
		return nil
	}
	n := int32(binary.BigEndian.Uint32(s))
	w.bad = w.bad || n < -1
	return w.cut(int(n))
}

func (w *walker) cut(n int) []byte {
	if n <= 0 || w.bad {
		return nil
	}
	if n > len(w.b) {
		w.short, w.bad = true, w.bad || w.beyond(n)
		n = len(w.b)
	}
	s := w.b[:n]
	w.b = w.b[n:]
	return s
}

// tags skips tagged fields.
func (w *walker) tags() {
	for n := w.uvarint(); n > 0 && w.good(); n-- {
		w.uvarint()
		w.cut(w.uvarint())
	}
}
