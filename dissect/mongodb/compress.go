package mongodb

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/sshark/sshark/dissect/block"
)

// compressors are by their number in OP_COMPRESSED.
var compressors = [...]string{"noop", "snappy", "zlib", "zstd"}

// The decoders are large, and needed for no longer than a message.
var (
	zstdPool = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil
		}
		return d
	}}
	zlibPool sync.Pool
)

// expand appends what is in an OP_COMPRESSED message, up to limit bytes, or as far as it can
// be decoded.
func expand(dst []byte, compressor byte, b []byte, limit int) []byte {
	switch compressor {
	case 0:
		return append(dst, b[:min(len(b), limit)]...)
	case 1:
		dst, _ = block.Snappy(dst, b, limit)
		return dst
	case 2:
		in := bytes.NewReader(b)
		z, ok := zlibPool.Get().(io.ReadCloser)
		if !ok {
			var err error
			if z, err = zlib.NewReader(in); err != nil {
				return dst
			}
		} else if r, ok := z.(zlib.Resetter); !ok || r.Reset(in, nil) != nil {
			return dst
		}
		dst = read(dst, z, limit)
		zlibPool.Put(z)
	case 3:
		z, ok := zstdPool.Get().(*zstd.Decoder)
		if !ok || z.Reset(bytes.NewReader(b)) != nil {
			return dst
		}
		dst = read(dst, z, limit)
		if z.Reset(nil) == nil {
			zstdPool.Put(z)
		}
	}
	return dst
}

// read appends up to limit bytes, or as many as can be read.
func read(dst []byte, r io.Reader, limit int) []byte {
	end := len(dst) + limit
	for len(dst) < end {
		if len(dst) == cap(dst) {
			dst = append(dst, make([]byte, min(4096, end-len(dst)))...)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), end)])
		if dst = dst[:len(dst)+n]; err != nil {
			break
		}
	}
	return dst
}

// compressed is the head of OP_COMPRESSED behind the header.
const compressedHead = 9

// open returns what a message says behind its header, with its opcode: what is in it, if it is
// compressed, in the memory given. whole says that nothing is missing.
func (h *header) open(b []byte, mem *[]byte, limit int) (op int32, compressor byte, body []byte, whole bool) {
	whole = int64(len(b)) == h.size
	b = b[min(headerSize, len(b)):]
	if h.op != opCompressed || len(b) < compressedHead {
		return h.op, 0, b, whole
	}
	size := int(min(binary.LittleEndian.Uint32(b[4:]), maxMessage))
	*mem = expand((*mem)[:0], b[8], b[compressedHead:], min(limit, size))
	return int32(binary.LittleEndian.Uint32(b)), b[8], *mem, len(*mem) == size
}
