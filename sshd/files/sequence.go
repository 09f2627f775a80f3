package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// sequence serves reads at offsets from bytes that are made in order. SFTP clients ask for
// many pieces at once, and they arrive in any order within a small range: a read waits until
// the ones before it are served. One that skips ahead for good is served after patience, one
// that goes back makes the bytes again (which gives the same ones: windows are fixed when a
// file is opened), maxRewinds times.
type sequence struct {
	parent  context.Context
	produce func(context.Context, io.Writer) error
	done    func(n int64, err error)

	mu      sync.Mutex
	moved   sync.Cond
	cancel  context.CancelFunc
	pipe    *io.PipeReader
	busy    bool // somebody reads from pipe
	pos     int64
	err     error // at pos: io.EOF, or why it ends early
	end     error // what Close must say of bytes that end well
	waiting map[int64]int
	most    int64
	rewinds int
	closed  bool
}

const (
	maxRewinds = 8
	patience   = 250 * time.Millisecond
)

var (
	errClosed     = errors.New("file is closed")
	errIncomplete = errors.New("incomplete")
)

func newSequence(ctx context.Context, produce func(context.Context, io.Writer) error, done func(int64, error)) *sequence {
	s := &sequence{parent: ctx, produce: produce, done: done, waiting: map[int64]int{}}
	s.moved.L = &s.mu
	return s
}

// start begins to make the bytes.
func (s *sequence) start() {
	ctx, cancel := context.WithCancel(s.parent)
	r, w := io.Pipe()
	s.pipe, s.cancel, s.pos, s.err = r, cancel, 0, nil
	// A query that waits for packets does not see that the pipe is closed.
	context.AfterFunc(ctx, func() { r.CloseWithError(ctx.Err()) })
	go func() {
		err := s.produce(ctx, w)
		w.CloseWithError(err) // nil is io.EOF
	}()
}

func (s *sequence) halt() {
	if s.cancel != nil {
		s.cancel()
		s.pipe.Close()
	}
}

// ReadAt fills b from off on. Fewer bytes come with io.EOF or the error that ended them.
func (s *sequence) ReadAt(b []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pipe == nil && !s.closed {
		s.start()
	}
	if err := s.wait(off); err != nil {
		return 0, err
	}
	if off < s.pos {
		if s.rewinds++; s.rewinds > maxRewinds {
			return 0, fmt.Errorf("read at %d: this file is made while it is read, and can be begun again only %d times", off, maxRewinds)
		}
		s.halt()
		s.start()
	}
	if off > s.pos && s.err == nil {
		s.read(func() (int64, error) { return io.CopyN(io.Discard, s.pipe, off-s.pos) })
	}
	if s.err != nil {
		return 0, s.err
	}
	n := s.read(func() (int64, error) {
		n, err := io.ReadFull(s.pipe, b)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		return int64(n), err
	})
	if int(n) < len(b) {
		return int(n), s.err
	}
	return int(n), nil
}

// wait lets the reads before off go first. Who is still ahead when nothing has moved for a
// while skips, the lowest offset first.
func (s *sequence) wait(off int64) error {
	s.waiting[off]++
	defer func() {
		if s.waiting[off]--; s.waiting[off] == 0 {
			delete(s.waiting, off)
		}
	}()
	impatient := false
	var timer *time.Timer
	for !s.closed && (s.busy || off > s.pos && s.err == nil && !(impatient && s.lowest(off))) {
		if timer == nil {
			timer = time.AfterFunc(patience, func() {
				s.mu.Lock()
				impatient = true
				s.mu.Unlock()
				s.moved.Broadcast()
			})
			defer timer.Stop()
		}
		before, busy := s.pos, s.busy
		s.moved.Wait()
		if s.pos != before || busy {
			impatient = false // it goes on: the gap may still close
			timer.Reset(patience)
		}
	}
	if s.closed {
		return errClosed
	}
	return nil
}

func (s *sequence) lowest(off int64) bool {
	for o := range s.waiting {
		if o < off && o >= s.pos {
			return false
		}
	}
	return true
}

// read runs one read of the pipe with the lock released, so that Close can end it.
func (s *sequence) read(f func() (int64, error)) int64 {
	s.busy = true
	s.mu.Unlock()
	n, err := f()
	s.mu.Lock()
	s.busy = false
	s.pos += n
	s.most = max(s.most, s.pos)
	if errors.Is(err, errIncomplete) {
		s.end, err = err, io.EOF
	}
	if err != nil {
		s.err = err
	}
	s.moved.Broadcast()
	return n
}

// Close ends the making. Its error says that what was read up to the end is not all.
func (s *sequence) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	s.closed = true
	err, most := s.err, s.most
	s.halt()
	s.moved.Broadcast()
	s.mu.Unlock()
	if errors.Is(err, io.EOF) {
		err = s.end
	}
	s.done(most, err)
	return err
}
