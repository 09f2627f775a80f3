package segment

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/sshark/sshark/pcap/pcapng"
)

const (
	blockSum = 0x80005347 // for local use
	sumBytes = 16         // of a sum block in the file
)

// sums is what a Live knows of the bytes since its last sum block.
type sums struct {
	crc  uint32
	upTo int64 // they are summed up to here
}

// take sums the bytes of a buffer from where the last ones ended to n.
func (s *sums) take(b *Buffer, n int) {
	from := int(s.upTo - b.base)
	if from < 0 || from >= n {
		return
	}
	s.crc = crc32.Update(s.crc, castagnoli, b.data[from:n])
	s.upTo = b.base + int64(n)
}

// putSum ends what is there with a sum block, unless one ends it; the flusher's.
func (l *Live) putSum() {
	// Most of it without the lock that Append needs.
	l.mu.RLock()
	cur := l.bufs[len(l.bufs)-1]
	n := cur.n
	l.mu.RUnlock()
	l.sums.take(cur, n)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range l.bufs {
		if i < len(l.bufs)-1 {
			l.sums.take(b, b.end)
		} else {
			l.sums.take(b, b.n)
		}
	}
	if l.summed == l.size {
		return
	}
	l.appendSum()
}

// appendSum is called under the lock; there is room for it in every buffer.
func (l *Live) appendSum() {
	body := binary.LittleEndian.AppendUint32(nil, l.sums.crc)
	l.put(func(dst []byte) []byte { return pcapng.AppendBlock(dst, blockSum, body) })
	l.sums = sums{upTo: l.size}
	l.summed = l.size
}

// Vouched is how much of a segment's beginning its sum blocks vouch for: all that was synced,
// and nothing that the disk wrote in part. It is false if it has none, being of a time before
// there were any.
func Vouched(file io.Reader) (end int64, ok bool, err error) {
	r := bufio.NewReaderSize(file, 256<<10)
	crc := crc32.New(castagnoli)
	at := int64(0)
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
			ok = ok || n == 1
			if len(head) < sumBytes || size != sumBytes || binary.LittleEndian.Uint32(head[8:]) != crc.Sum32() ||
				binary.LittleEndian.Uint32(head[12:]) != sumBytes {
				return end, ok, nil
			}
			crc.Reset()
			r.Discard(sumBytes) // it was peeked
			at += sumBytes
			end = at
			continue
		}
		k, err := io.CopyN(crc, r, int64(size))
		at += k
		if err != nil && !errors.Is(err, io.EOF) {
			return end, ok, fmt.Errorf("read segment: %w", err)
		}
		if err != nil {
			return end, ok, nil
		}
	}
}
