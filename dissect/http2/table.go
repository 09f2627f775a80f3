package http2

import "golang.org/x/net/http2/hpack"

// Sizes of a dynamic table (RFC 7541, 4.1).
const (
	firstTableSize = 4096     // until its sender says another one
	maxTableSize   = 64 << 10 // what is kept of one that may be larger
	entryOverhead  = 32
)

// table is the dynamic table of one direction (RFC 7541, 2.3.2). What was added before its
// beginning was seen, or in a part that is missing, is not in it: such an index is unknown.
type table struct {
	max     int // size that the sender has chosen
	size    int
	entries []entry // from head on, the oldest first
	head    int
	data    []byte // names and values of the entries
}

// entry is one header field. Where its name is unknown, so is the field.
type entry struct {
	offset      int32
	name, value int32 // bytes
	unknown     bool
}

func newTable() table { return table{max: firstTableSize} }

// lose forgets all entries: an unknown number of others were added.
func (t *table) lose() {
	t.entries, t.head, t.data, t.size = t.entries[:0], 0, t.data[:0], 0
}

// resize takes a change of the size by the sender (RFC 7541, 6.3).
func (t *table) resize(max int) {
	t.max = max
	t.evict(0)
}

// evict makes room for an entry of that size. It returns false if there cannot be.
func (t *table) evict(size int) bool {
	limit := min(t.max, maxTableSize)
	for t.head < len(t.entries) && t.size+size > limit {
		e := &t.entries[t.head]
		t.size -= int(e.name+e.value) + entryOverhead
		t.head++
	}
	if t.head == len(t.entries) {
		t.lose()
	}
	return size <= limit
}

// add puts a field in front of the others.
func (t *table) add(name, value []byte, unknown bool) {
	if !t.evict(len(name) + len(value) + entryOverhead) {
		return
	}
	if t.head > 64 && t.head*2 > len(t.entries) || len(t.data) > 2*maxTableSize {
		t.compact()
	}
	t.size += len(name) + len(value) + entryOverhead
	t.entries = append(t.entries, entry{int32(len(t.data)), int32(len(name)), int32(len(value)), unknown})
	t.data = append(append(t.data, name...), value...)
}

// compact moves what is left to the front.
func (t *table) compact() {
	from := int32(len(t.data))
	if t.head < len(t.entries) {
		from = t.entries[t.head].offset
	}
	t.data = t.data[:copy(t.data, t.data[from:])]
	t.entries = t.entries[:copy(t.entries, t.entries[t.head:])]
	t.head = 0
	for i := range t.entries {
		t.entries[i].offset -= from
	}
}

// at is the field of an index (RFC 7541, 2.3.3), borrowed until the next one is added; ok is
// false where it cannot be known.
func (t *table) at(index uint64) (name, value []byte, ok bool) {
	if index >= 1 && index <= uint64(len(static)) {
		f := &static[index-1]
		return f.name, f.value, true
	}
	index -= uint64(len(static)) + 1
	if index >= uint64(len(t.entries)-t.head) {
		return nil, nil, false
	}
	e := &t.entries[len(t.entries)-1-int(index)]
	b := t.data[e.offset:]
	return b[:e.name:e.name], b[e.name : e.name+e.value : e.name+e.value], !e.unknown
}

// static is the static table (RFC 7541, appendix A), which the library tells.
var static = func() (list [61]struct{ name, value []byte }) {
	i := 0
	d := hpack.NewDecoder(0, func(f hpack.HeaderField) {
		list[i].name, list[i].value = []byte(f.Name), []byte(f.Value)
		i++
	})
	for n := range list {
		if _, err := d.Write([]byte{0x80 | byte(n+1)}); err != nil {
			panic(err) // the library lacks what the RFC has
		}
	}
	return list
}()
