package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

const (
	wrapSize      = 7       // header of a compressed packet: length, number, length when undone
	maxCompressed = 1 << 20 // bytes of one that are kept
	maxWindow     = 8 << 20 // of zstd
)

// method is how a connection compresses.
type method uint8

const (
	plain method = iota
	zlibbed
	zstded
)

// unwrapper undoes the compression of one side.
type unwrapper struct {
	head []byte // the header, so far
	buf  []byte // the payload, so far, where it is not all in one piece
	left int    // bytes of it to come
	size int    // of what it will be, 0: it is not compressed
	gone bool   // some of it is missing
}

// decoder is what both sides share.
type decoder struct {
	zlib io.ReadCloser
	zstd *zstd.Decoder
	in   bytes.Reader
	out  []byte
}

func (d *decoder) close() {
	if d.zstd != nil {
		d.zstd.Close()
		d.zstd = nil
	}
}

// open begins to undo b. Which of the two it is, the bytes tell.
func (d *decoder) open(b []byte) (io.Reader, error) {
	d.in.Reset(b)
	if len(b) >= 4 && binary.LittleEndian.Uint32(b) == 0xfd2fb528 {
		if d.zstd == nil {
			z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, err
			}
			d.zstd = z
		}
		return d.zstd, d.zstd.Reset(&d.in)
	}
	if d.zlib == nil {
		z, err := zlib.NewReader(&d.in)
		if err != nil {
			return nil, err
		}
		d.zlib = z
		return z, nil
	}
	r, ok := d.zlib.(zlib.Resetter)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return d.zlib, r.Reset(&d.in, nil)
}

// each undoes b and hands over what comes out, in pieces, up to size bytes. It returns how many
// did.
func (d *decoder) each(b []byte, size int, take func([]byte)) (n int) {
	r, err := d.open(b)
	if err != nil {
		return 0
	}
	if d.out == nil {
		d.out = make([]byte, 16<<10)
	}
	for n < size {
		k, err := r.Read(d.out[:min(len(d.out), size-n)])
		if k > 0 {
			n += k
			take(d.out[:k])
		}
		if err != nil {
			break
		}
	}
	return n
}

// feed takes bytes of a compressed stream.
func (u *unwrapper) feed(d *decoder, b []byte, take func([]byte), gap func(int64)) {
	for len(b) > 0 {
		if u.left == 0 {
			n := min(wrapSize-len(u.head), len(b))
			u.head = append(u.head, b[:n]...)
			if b = b[n:]; len(u.head) < wrapSize {
				return
			}
			u.left = packetLen(u.head)
			u.size = packetLen(u.head[4:])
			u.buf, u.gone = u.buf[:0], false
			if u.left == 0 {
				u.head = u.head[:0]
			}
			continue
		}
		n := min(u.left, len(b))
		piece := b[:n]
		b = b[n:]
		u.left -= n
		if u.size == 0 {
			take(piece)
			if u.left == 0 {
				u.head = u.head[:0]
			}
			continue
		}
		whole := u.left == 0 && len(u.buf) == 0 && !u.gone
		if !whole && !u.gone {
			room := maxCompressed - len(u.buf)
			u.gone = len(piece) > room
			u.buf = append(u.buf, piece[:min(len(piece), room)]...)
			piece = u.buf
		}
		if u.left > 0 {
			continue
		}
		if u.gone {
			piece = u.buf
		}
		u.end(d, piece, take, gap)
	}
}

// end undoes a packet, of which all is there that will be.
func (u *unwrapper) end(d *decoder, payload []byte, take func([]byte), gap func(int64)) {
	u.head = u.head[:0]
	if n := d.each(payload, u.size, take); n < u.size {
		gap(int64(u.size - n))
	}
	if cap(u.buf) > 64<<10 {
		u.buf = nil
	}
	u.buf = u.buf[:0]
}

// skip takes word of n missing bytes; false: the place in the stream is lost.
func (u *unwrapper) skip(d *decoder, n int64, take func([]byte), gap func(int64)) bool {
	if u.left == 0 || n <= 0 || n > int64(u.left) {
		u.head, u.buf, u.left = u.head[:0], u.buf[:0], 0
		return false
	}
	u.left -= int(n)
	if u.size == 0 {
		gap(n)
		if u.left == 0 {
			u.head = u.head[:0]
		}
		return true
	}
	u.gone = true
	if u.left == 0 {
		u.end(d, u.buf, take, gap)
	}
	return true
}
