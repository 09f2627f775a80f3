package segment

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/sshark/sshark/pcap/pcapng"
)

const (
	blockSum    = 0x80005347 // for local use
	sumBytes    = 20         // of a sum block in the file
	sectorBytes = 512        // what a disk writes whole, or not at all
)

// sums is the sum of the bytes since the last sum block: of each sector the first word that is
// not zero. A sector that the disk lost is zeros, so that word is missing; where it was partly
// written and synced before, a block began behind that, which is zeros too. It costs little, as
// most of the bytes are not looked at.
type sums struct {
	sum  uint64 // FNV-1a (RFC 9923) of the words
	upTo int64  // bytes of the segment that it is of, or that are before it
	seen bool   // this sector's word
}

const (
	fnvBasis = 0xcbf29ce484222325
	fnvPrime = 0x100000001b3
)

var zeros [sectorBytes]byte

// begin begins a new sum.
func (s *sums) begin() { s.sum, s.seen = fnvBasis, false }

// add adds the bytes that follow, whole words of 4.
func (s *sums) add(b []byte) {
	for len(b) > 0 {
		n := min(sectorBytes-int(s.upTo&(sectorBytes-1)), len(b))
		if !s.seen && (b[0] != 0 || !bytes.Equal(b[:n], zeros[:n])) {
			for i := 0; i+4 <= n && !s.seen; i += 4 {
				if w := binary.LittleEndian.Uint32(b[i:]); w != 0 {
					s.sum = (s.sum ^ uint64(w)) * fnvPrime
					s.seen = true
				}
			}
		}
		if s.upTo += int64(n); s.upTo&(sectorBytes-1) == 0 {
			s.seen = false
		}
		b = b[n:]
	}
}

// putSum ends what is there with a sum block, unless one ends it; under the lock. There is room
// for it in every buffer.
func (l *Live) putSum() {
	if l.summed == l.size {
		return
	}
	body := binary.LittleEndian.AppendUint64(nil, l.sums.sum)
	l.put(func(dst []byte) []byte { return pcapng.AppendBlock(dst, blockSum, body) })
	l.sums.begin()
	l.summed = l.size
}

// Vouched is how much of a segment's beginning its sum blocks vouch for: all that was synced,
// and nothing that the disk wrote in part. It is false if it has none, being of a time before
// there were any.
func Vouched(file io.Reader) (end int64, ok bool, err error) {
	r := bufio.NewReaderSize(file, 256<<10)
	part := make([]byte, 64<<10)
	var sum sums
	sum.begin()
	for n := 0; ; n++ {
		head, err := r.Peek(sumBytes)
		kind, size := uint32(0), uint32(0)
		if len(head) >= 12 {
			kind, size = binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])
		}
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return end, ok, fmt.Errorf("read segment: %w", err)
		case n == 0 && kind == 0 && size == 0: // it was written, and never synced
			return 0, true, nil
		case size < 12 || size&3 != 0 || size > pcapng.MaxBlock:
			return end, ok, nil
		case kind == blockSum:
			ok = ok || n == 1 || n == 2 // behind the header, or that and an interface
			if len(head) < sumBytes || size != sumBytes || binary.LittleEndian.Uint64(head[8:]) != sum.sum ||
				binary.LittleEndian.Uint32(head[16:]) != sumBytes {
				return end, ok, nil
			}
			r.Discard(sumBytes) // it was peeked
			sum.begin()
			sum.upTo += sumBytes
			end = sum.upTo
			continue
		}
		for left := int(size); left > 0; left -= len(part) {
			part = part[:min(left, cap(part))]
			_, err := io.ReadFull(r, part)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return end, ok, nil
			}
			if err != nil {
				return end, ok, fmt.Errorf("read segment: %w", err)
			}
			sum.add(part)
		}
	}
}
