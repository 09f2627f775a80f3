// Package frames cuts streams into frames whose headers tell their lengths, and lets requests
// wait for the responses that name them: what binary protocols have in common, whatever their
// frames say. Responses that come in the order of their requests are package turns'.
//
// A frame that came in one piece is handed on as it is, borrowed. Of one that came in several,
// the beginning is copied, up to a limit; the rest is counted. Where bytes are missing within
// a frame whose length is known the stream stays in step; else the frame ends there, cut, and
// the next one is looked for by its header.
//
// A request waits in a Queue, which bounds how many there are and says which were given up for
// that, or in Waiting, which leaves the bounds to its user.
//
// Nothing here is safe for more than one goroutine, and nothing allocates once it has seen
// frames of the size.
package frames

import "github.com/sshark/sshark/dissect"

// Frame is one frame of a stream.
type Frame struct {
	Data  []byte // from the header on, up to the limit; borrowed until the reader is used again
	Size  int64  // bytes on the wire, header included, as the header tells it
	First int64  // time of the first byte, ns
	Last  int64  // of the last one
	Cut   bool   // bytes of it are missing: Data ends where the first of them was
}

// Asks is the call of which f is the request.
func (f *Frame) Asks(m dissect.Message) dissect.Call {
	return dissect.Call{Message: m, Incomplete: f.Cut, Time: f.First, RequestEnd: f.Last, RequestSize: uint64(f.Size)}
}

// Answers makes f the response of a call.
func (f *Frame) Answers(c *dissect.Call) {
	c.Incomplete = c.Incomplete || f.Cut
	c.ResponseStart, c.ResponseEnd, c.ResponseSize = f.First, f.Last, uint64(f.Size)
}

// Format is what a Reader must know of a protocol.
type Format interface {
	// Size is the length of the frame that b begins with, header included. It is 0 where b is
	// too short to tell, which it must not be with maxHeader bytes, and negative where no frame
	// begins so.
	Size(b []byte) int64
	// Begins says whether a frame surely begins with b. After a loss a frame is looked for
	// anywhere, so this must not hold for what is in the middle of one.
	Begins(b []byte) bool
}

const (
	maxHeader = 64
	maxIdle   = 64 << 10 // bytes of memory that are kept for use again
)

// state is where a stream stands.
type state uint8

const (
	between  state = iota // a frame may begin
	inHeader              // buf holds its beginning, which does not tell the length yet
	inside                // left bytes to come
	lost                  // looking for the beginning of a frame
)

// Reader cuts the stream of one direction. The zero value is ready.
type Reader struct {
	Frame  Frame // the last one that ended
	Missed bool  // frames may have been lost since the user set it to false
	Bad    int   // how often no frame began where one had to

	state state
	full  bool // no more is kept of the frame
	left  int64
	buf   []byte
}

// Next takes bytes of b, which is not empty, up to the end of a frame at most, and says how
// many. The frame, if it is done, is in r.Frame. limit is how many bytes of it are kept.
func (r *Reader) Next(f Format, b []byte, now int64, limit int) (n int, done bool) {
	switch r.state {
	case lost:
		for i := range b {
			if f.Begins(b[i:]) {
				r.state = between
				return i, false
			}
		}
		return len(b), false
	case inHeader:
		return r.header(f, b, now, limit)
	case inside:
		n = int(min(r.left, int64(len(b))))
		r.keep(b[:n], limit)
		r.left -= int64(n)
		return n, r.left == 0 && r.end(now)
	}
	size := f.Size(b)
	switch {
	case size < 0:
		r.Bad++
		r.Lose()
		return 1, false
	case size > 0 && size <= int64(len(b)):
		r.Frame = Frame{Data: b[:min(size, int64(limit))], Size: size, First: now, Last: now}
		return int(size), true
	}
	r.Frame = Frame{Size: size, First: now}
	r.buf, r.full = Idle(r.buf), false
	r.keep(b, limit)
	r.left = size - int64(len(b))
	if r.state = inside; size == 0 {
		r.state = inHeader
	}
	return len(b), false
}

// header goes on with a header that began in an earlier piece.
func (r *Reader) header(f Format, b []byte, now int64, limit int) (n int, done bool) {
	old := len(r.buf)
	n = min(len(b), maxHeader-old)
	r.buf = append(r.buf, b[:n]...)
	size := f.Size(r.buf)
	switch {
	case size < 0, size == 0 && len(r.buf) >= maxHeader, size > 0 && size < int64(old):
		r.Bad++
		r.Lose()
		return 0, false
	case size == 0:
		return n, false
	}
	n = int(min(size-int64(old), int64(n)))
	r.buf = r.buf[:min(old+n, limit)]
	r.Frame.Size = size
	r.left = size - int64(old+n)
	r.state = inside
	return n, r.left == 0 && r.end(now)
}

func (r *Reader) keep(b []byte, limit int) {
	if room := limit - len(r.buf); len(b) > room {
		b = b[:max(0, room)]
	}
	if !r.full {
		r.buf = append(r.buf, b...)
	}
}

func (r *Reader) end(now int64) bool {
	r.state = between
	r.Frame.Data, r.Frame.Last = r.buf, now
	return true
}

// Gap takes word of n missing bytes, 0: nobody knows how many. It says whether that ends a
// frame, which then is in r.Frame.
func (r *Reader) Gap(n int64, now int64) (done bool) {
	if r.state == inside && n > 0 && n <= r.left {
		r.Frame.Cut, r.full = true, true
		r.left -= n
		return r.left == 0 && r.end(now)
	}
	done = r.Close(now)
	r.Lose()
	return done
}

// Close ends the stream. It says whether a frame was cut short by that, which then is in
// r.Frame.
func (r *Reader) Close(now int64) (cut bool) {
	if r.state != inside {
		r.state = between
		return false
	}
	r.Frame.Cut = true
	return r.end(now)
}

// Lose gives up the place in the stream.
func (r *Reader) Lose() { r.state, r.Missed = lost, true }

// Idle empties memory that is to be used again. It is nil where that is more than one keeps
// while nothing needs it.
func Idle(b []byte) []byte {
	if cap(b) > maxIdle {
		return nil
	}
	return b[:0]
}
