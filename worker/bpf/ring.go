package bpf

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Header precedes each packet in the ring: struct header in packet.bpf.c.
type Header struct {
	Time      uint64 // CLOCK_MONOTONIC, ns
	Slot      uint32
	Length    uint32 // on the wire, with the VLAN tag
	Captured  uint32
	Drops     uint32 // of the slot on the same CPU, since the last stored there
	Direction uint8  // 1: received, 2: sent, as the low bits of epb_flags
	Partial   uint8  // 1: the checksum was left to the device
	_         [6]uint8
}

const headerSize = uint64(unsafe.Sizeof(Header{}))

// The ring's own header (BPF_RINGBUF_* in linux/bpf.h): a length with two bits, and 4 bytes
// of no interest.
const (
	recordHeader = 8
	recordBusy   = 1 << 31 // not yet submitted
	recordVoid   = 1 << 30 // discarded
)

// Ring reads the kernel's ring in place. One goroutine reads.
//
// Next gives out memory of the ring. It stays valid until Release, which gives the room of
// everything that Next gave out back to the kernel.
type Ring struct {
	control  []byte // the consumer's page
	memory   []byte // the producer's page, and the data twice, so that no record wraps
	consumer *uint64
	producer *uint64
	data     unsafe.Pointer
	size     uint64
	at       uint64 // position of the next record
	limit    uint64 // what is known to be produced
}

func newRing(fd, size int) (*Ring, error) {
	page := os.Getpagesize()
	control, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the ring's control page: %w", err)
	}
	memory, err := unix.Mmap(fd, int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map a ring of %d bytes: %w", size, err), unix.Munmap(control))
	}
	return ringOf(control, memory, page, size), nil
}

func ringOf(control, memory []byte, page, size int) *Ring {
	r := &Ring{
		control:  control,
		memory:   memory,
		consumer: (*uint64)(unsafe.Pointer(&control[0])),
		producer: (*uint64)(unsafe.Pointer(&memory[0])),
		data:     unsafe.Pointer(&memory[page]),
		size:     uint64(size),
	}
	r.at = atomic.LoadUint64(r.consumer)
	return r
}

// Next gives the next packet, or a nil header when there is none for now.
func (r *Ring) Next() (*Header, []byte) {
	for {
		if r.at >= r.limit {
			if r.limit = atomic.LoadUint64(r.producer); r.at >= r.limit {
				return nil, nil
			}
		}
		rec := unsafe.Add(r.data, r.at&(r.size-1))
		n := atomic.LoadUint32((*uint32)(rec))
		if n&recordBusy != 0 {
			return nil, nil
		}
		length := uint64(n &^ (recordBusy | recordVoid))
		r.at += (length + recordHeader + 7) &^ 7
		if n&recordVoid != 0 {
			continue
		}
		h := (*Header)(unsafe.Add(rec, recordHeader))
		return h, unsafe.Slice((*byte)(unsafe.Add(rec, recordHeader+headerSize)), int(h.Captured))
	}
}

// Release gives back what Next gave out so far.
func (r *Ring) Release() { atomic.StoreUint64(r.consumer, r.at) }

// Produced is the position up to which the kernel has reserved room, and Consumed the one up
// to which it was released; both only grow. They may be read by any goroutine.
func (r *Ring) Produced() uint64 { return atomic.LoadUint64(r.producer) }

// Size is the ring's, in bytes.
func (r *Ring) Size() uint64 { return uint64(r.size) }

// Consumed is described with Produced.
func (r *Ring) Consumed() uint64 { return atomic.LoadUint64(r.consumer) }

func (r *Ring) close() error {
	if err := errors.Join(unix.Munmap(r.control), unix.Munmap(r.memory)); err != nil {
		return fmt.Errorf("unmap the ring: %w", err)
	}
	return nil
}
