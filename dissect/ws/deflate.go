package ws

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
)

// Limits of what is decompressed.
const (
	maxPacked   = 1 << 20  // of a message as it was sent
	maxUnpacked = 32 << 20 // of a message
	windowSize  = 32 << 10 // of deflate (RFC 1951, 2)
)

var (
	errTooLarge = errors.New("decompress: the message is too large")
	errLost     = errors.New("decompress: what it refers to is missing")
)

// window is what compressed messages of one side may refer to: the end of those before
// (RFC 7692, 7.2.2).
type window struct {
	past  []byte
	gone  bool // it is not known
	r     io.ReadCloser
	out   []byte
	chunk [4096]byte
}

// lose: what comes next may refer to what is missing.
func (w *window) lose() {
	w.past, w.gone = w.past[:0], true
}

// tail ends a message that was flushed, and the stream (RFC 7692, 7.2.2).
var tail = []byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}

// open decompresses a message; what is returned is borrowed until the next one. more says that
// there would be more than limit bytes of it.
func (w *window) open(b []byte, limit int) (data []byte, more bool, err error) {
	in := io.MultiReader(bytes.NewReader(b), bytes.NewReader(tail))
	if w.r == nil {
		w.r = flate.NewReaderDict(in, w.past)
	} else if err := w.r.(flate.Resetter).Reset(in, w.past); err != nil {
		return nil, false, fmt.Errorf("decompress: %w", err)
	}
	w.out = w.out[:0]
	size := 0
	for err == nil && size <= maxUnpacked {
		var n int
		n, err = w.r.Read(w.chunk[:])
		size += n
		b := w.chunk[:n]
		w.out = append(w.out, b[:min(n, max(0, limit+1-len(w.out)))]...)
		if w.past = append(w.past, b...); len(w.past) > 2*windowSize {
			w.past = w.past[:copy(w.past, w.past[len(w.past)-windowSize:])]
		}
	}
	switch {
	case err == nil:
		w.lose()
		return nil, false, errTooLarge
	case err != io.EOF:
		gone := w.gone
		w.lose() // what comes next may refer to this
		if gone {
			return nil, false, errLost
		}
		return nil, false, fmt.Errorf("decompress: %w", err)
	}
	if n := len(w.past) - windowSize; n > 0 {
		w.past = w.past[:copy(w.past, w.past[n:])]
	}
	data = w.out
	if cap(w.out) > keepBody {
		w.out = nil
	}
	if len(data) > limit {
		return data[:limit], true, nil
	}
	return data, false, nil
}
