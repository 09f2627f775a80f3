package segment

import (
	"encoding/binary"
	"math/bits"
)

// The filter of a segment's flows says which flows are surely not in it. It is a table of
// filterBits bits in each slot. A flow chooses some of 64 slots that follow each other, from the
// first of them on, and the bits of these add up to even numbers: a homogeneous ribbon filter (P.
// C. Dillinger and others, Fast Succinct Retrieval and Approximate Membership Using Ribbon, 2022).
// It takes 5.6 bits a flow, and of those that are not there one in 32 looks as if it was.
//
// Words of 64 slots follow each other, one for each of the filterBits.
const (
	filterBits  = 5
	filterSlots = 64             // of a word, and those that a flow chooses from
	filterWords = filterBits * 8 // bytes
)

// equation is what a flow chooses: slots from first on, bit 0 being that one.
func equation(id uint64, slots uint64) (first, choice uint64) {
	h, low := bits.Mul64(id*0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93)
	h ^= low
	first, _ = bits.Mul64(h, slots-filterSlots+1)
	return first, h*0xA0761D6478BD642F>>7 | h<<57 | 1
}

// appendFilter appends the filter of all flows.
func appendFilter(dst []byte, flows []record) []byte {
	if len(flows) == 0 {
		return dst
	}
	n := uint64(len(flows))
	slots := (n + n/8 + 2*filterSlots - 1) &^ (filterSlots - 1)
	rows := make([]uint64, slots) // equations, each by its first slot
	for i := range flows {
		at, row := equation(uint64(flows[i].id), slots)
		for rows[at] != 0 {
			if row ^= rows[at]; row == 0 { // it follows from others
				break
			}
			skip := uint64(bits.TrailingZeros64(row))
			at, row = at+skip, row>>skip
		}
		if row != 0 {
			rows[at] = row
		}
	}
	start := uint64(len(dst))
	dst = append(dst, make([]byte, slots/filterSlots*filterWords)...)
	var behind [filterBits]uint64 // the 64 slots behind, bit 0 being the next one
	for at := slots; at > 0; {
		at--
		row, free := rows[at], at*0x9E3779B97F4A7C15>>32 // bits for where there is no equation: not all 0
		for k := range behind {
			bit := free >> k & 1
			if row != 0 {
				bit = uint64(bits.OnesCount64(row>>1&behind[k]) & 1)
			}
			behind[k] = behind[k]<<1 | bit
		}
		if at%filterSlots == 0 {
			for k, word := range behind {
				binary.LittleEndian.PutUint64(dst[start+at/filterSlots*filterWords+uint64(k)*8:], word)
			}
		}
	}
	return dst
}

// mayHave says whether a flow may be in the filter.
func mayHave(filter []byte, id uint64) bool {
	words := uint64(len(filter) / filterWords)
	if words == 0 {
		return false
	}
	at, choice := equation(id, words*filterSlots)
	filter = filter[at/filterSlots*filterWords:]
	for k := range filterBits {
		slots := binary.LittleEndian.Uint64(filter[k*8:]) >> (at % filterSlots)
		if at%filterSlots != 0 {
			slots |= binary.LittleEndian.Uint64(filter[filterWords+k*8:]) << (filterSlots - at%filterSlots)
		}
		if bits.OnesCount64(slots&choice)&1 != 0 {
			return false
		}
	}
	return true
}
