package segment

import (
	"encoding/binary"
	"math/bits"
)

// Numbers whose size is not known beforehand are written with a parameter k, chosen for many
// of them together: the number without its k lowest bits as its length in bits (so many zeros
// and a one) and itself without its highest bit, then the k lowest bits. It is Elias's gamma
// code with a part that is not coded: the numbers of a flow's gaps or counters take hardly more
// than their information. Bits fill bytes from the lowest on.

// bitWriter writes bits.
type bitWriter struct {
	b   []byte
	acc uint64
	n   uint // bits in acc, < 64
}

// bits appends the n lowest bits of v, whose others are 0.
func (w *bitWriter) bits(v uint64, n uint) {
	w.acc |= v << w.n
	if w.n+n < 64 {
		w.n += n
		return
	}
	w.b = binary.LittleEndian.AppendUint64(w.b, w.acc)
	w.acc = v >> (64 - w.n)
	w.n = w.n + n - 64
}

// number appends a number.
func (w *bitWriter) number(v uint64, k uint) {
	q, low := v>>k, v&(1<<k-1)
	n := uint(bits.Len64(q))
	switch {
	case n == 0 && k < 64:
		w.bits(1|low<<1, 1+k)
		return
	case n > 0 && 2*n+k <= 64:
		w.bits(1<<n|(q&(1<<(n-1)-1))<<(n+1)|low<<(2*n), 2*n+k)
		return
	}
	w.bits(0, n)
	w.bits(1, 1)
	if n > 1 {
		w.bits(q&(1<<(n-1)-1), n-1)
	}
	w.bits(low, k)
}

// len is how many bits there are.
func (w *bitWriter) len() uint64 { return uint64(len(w.b))*8 + uint64(w.n) }

// close fills up the last byte and returns all of them.
func (w *bitWriter) close() []byte {
	for ; w.n > 0; w.n -= min(w.n, 8) {
		w.b = append(w.b, byte(w.acc))
		w.acc >>= 8
	}
	return w.b
}

// bitReader reads bits. Beyond the end are zeros; over is then true.
type bitReader struct {
	b  []byte
	at uint64 // bits
}

func (r *bitReader) over() bool { return r.at > uint64(len(r.b))*8 }

// peek is at least the next 57 bits.
func (r *bitReader) peek() uint64 {
	n := r.at >> 3
	if n+8 <= uint64(len(r.b)) {
		return binary.LittleEndian.Uint64(r.b[n:]) >> (r.at & 7)
	}
	var last [8]byte
	if n < uint64(len(r.b)) {
		copy(last[:], r.b[n:])
	}
	return binary.LittleEndian.Uint64(last[:]) >> (r.at & 7)
}

// bits reads n bits, at most 64.
func (r *bitReader) bits(n uint) uint64 {
	if n > 56 {
		low := r.bits(32)
		return low | r.bits(n-32)<<32
	}
	v := r.peek() & (1<<n - 1)
	r.at += uint64(n)
	return v
}

// number reads a number.
func (r *bitReader) number(k uint) uint64 {
	w := r.peek()
	n := uint(bits.TrailingZeros64(w))
	switch {
	case n == 0 && k < 57:
		r.at += uint64(1 + k)
		return w >> 1 & (1<<k - 1)
	case n > 0 && 2*n+k <= 57:
		r.at += uint64(2*n + k)
		high := w>>(n+1)&(1<<(n-1)-1) | 1<<(n-1)
		return high<<k | w>>(2*n)&(1<<k-1)
	}
	for n = 0; n < 65 && r.bits(1) == 0; n++ {
	}
	if n > 64 {
		r.at = 1 << 62 // no number begins like this: as good as the end
		return 0
	}
	high := uint64(0)
	if n > 0 {
		high = r.bits(n-1) | 1<<(n-1)
	}
	return high<<k | r.bits(k)
}

// A column of a table has a parameter for all its values, from each of which the lowest one is
// taken: k; or noBits, as they are all the same; or noBits and the bits that each of them has,
// which is shorter for what is spread evenly, as ports are.
const (
	noBits   = 64
	maxParam = noBits + 64
)

// value appends a value of a column.
func (w *bitWriter) value(v uint64, param uint) {
	switch {
	case param < noBits:
		w.number(v, param)
	case param > noBits:
		w.bits(v, param-noBits)
	}
}

// value reads a value of a column.
func (r *bitReader) value(param uint) uint64 {
	switch {
	case param < noBits:
		return r.number(param)
	case param > noBits:
		return r.bits(param - noBits)
	}
	return 0
}

// lengths counts numbers by their length in bits, to choose k.
type lengths [65]uint32

func (l *lengths) add(v uint64) { l[bits.Len64(v)]++ }

// best is the k that makes the numbers shortest, and how many bits they take with it.
func (l *lengths) best() (k uint, total uint64) {
	top := uint(64)
	for top > 0 && l[top] == 0 {
		top--
	}
	var short, long, bits uint64 // numbers of up to k bits; longer ones, and their bits
	for n := uint(0); n <= top; n++ {
		long += uint64(l[n])
		bits += uint64(l[n]) * uint64(n)
	}
	for try := uint(0); try <= min(top, 63); try++ {
		n := uint64(l[try])
		short, long, bits = short+n, long-n, bits-n*uint64(try)
		sum := short*uint64(1+try) + 2*bits - long*uint64(try)
		if try == 0 || sum < total {
			k, total = try, sum
		}
	}
	return k, total
}

// column is the parameter of a column with these values.
func (l *lengths) column() uint {
	top, count := uint(0), uint64(0)
	for n, of := range l {
		if count += uint64(of); of > 0 {
			top = uint(n)
		}
	}
	k, total := l.best()
	switch {
	case top == 0:
		return noBits
	case count*uint64(top) < total:
		return noBits + top
	}
	return k
}

// Durations are kept with three bits behind their first one, and from 2^24 ns on to 2^20 ns. They
// are rounded up: by less than an eighth, and by less than about a millisecond.
const (
	durationBits  = 3
	durationShift = 20
)

// rounded is the number of the shortest duration that is kept and no shorter than ns.
func rounded(ns uint64) uint64 {
	shift := uint(min(max(bits.Len64(ns), durationBits+1)-durationBits-1, durationShift))
	v := ns >> shift
	if v<<shift != ns {
		v++
	}
	return uint64(shift)<<durationBits + v
}

// duration is what rounded has numbered.
func duration(v uint64) (ns uint64) {
	shift := min(max(v>>durationBits, 1)-1, durationShift)
	return (v - shift<<durationBits) << shift
}
