package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/worker/reach"
)

// heard is something that came.
type heard struct {
	data []byte
	at   int64
	err  error // the last
}

// player plays a plan once.
type player struct {
	plan    *Plan
	run     *Run
	conn    reach.Conn
	reading *reading
	in      chan heard
	bytes   matcher
	units   int64 // bytes that came, of UDP datagrams
	since   int64 // bytes that came since the last turn began
	ended   bool  // the target said all
	tell    func()
}

// once plays it. The error is for what ends all runs: the asker is gone, or nothing is allowed.
func (d *Desk) once(asker context.Context, p *Plan, request *reach.Request, n int, progress func(Progress)) (*Run, error) {
	ctx, cancel := context.WithTimeout(asker, request.Time)
	defer cancel()
	run := &Run{Number: n}
	begun := time.Now()
	conn, err := p.from.Reach(ctx, request)
	switch {
	case errors.Is(err, reach.ErrTarget):
		run.Problem = err.Error()
		run.Took = time.Since(begun)
		return run, nil
	case err != nil:
		return nil, err
	}
	defer conn.Close() // it is over, well or not
	s := &player{plan: p, run: run, conn: conn, reading: newReading(p.Flow, d.Protocols, time.Now().UnixNano()), in: make(chan heard, 16), bytes: matcher{want: p.answers}}
	turn := 0
	s.tell = func() {
		if progress != nil {
			progress(Progress{n, p.Order.Times, turn, len(p.Turns), run.Sent, run.Received})
		}
	}
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		s.listen(ctx)
	}()
	err = s.play(ctx, &turn)
	_ = conn.Close() // so that listen ends
	cancel()
	for open := true; open; {
		select {
		case <-s.in:
		case <-listening:
			open = false
		}
	}
	s.reading.close()
	if err != nil {
		run.Problem = err.Error()
	}
	run.Took = time.Since(begun)
	s.judge()
	return run, asker.Err()
}

// listen hands on what comes.
func (s *player) listen(ctx context.Context) {
	for {
		b, at, err := s.conn.Receive()
		h := heard{at: at, err: err}
		if err == nil {
			h.data = append([]byte(nil), b...)
		}
		select {
		case s.in <- h:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// play sends the turns, and waits for what is answered.
func (s *player) play(ctx context.Context, turn *int) error {
	begun := time.Now()
	for i := range s.plan.Turns {
		t := &s.plan.Turns[i]
		if !s.plan.Order.Pace.Timed {
			if err := s.await(ctx, t.Heard, t.Answered, i); err != nil {
				return fmt.Errorf("before turn %d of %d: %w", i+1, len(s.plan.Turns), err)
			}
		}
		s.since = 0
		for c := range t.Chunks {
			if err := s.pause(ctx, begun, t.Chunks[c].At); err != nil {
				return err
			}
			if err := s.send(ctx, t.Chunks[c].Data); err != nil {
				return s.why(ctx, fmt.Errorf("in turn %d of %d: %w", i+1, len(s.plan.Turns), err))
			}
		}
		*turn = i + 1
		s.tell()
	}
	return s.finish(ctx)
}

// send sends what was said at one time, and takes what comes meanwhile: a server that is not
// listened to does not listen.
func (s *player) send(ctx context.Context, b []byte) error {
	// It is dissected before its answer can be.
	s.reading.data(0, b, time.Now().UnixNano())
	sent := make(chan error, 1)
	go func() { sent <- s.conn.Send(b) }() // which ends with the connection
	for {
		select {
		case err := <-sent:
			if err == nil {
				s.run.Sent += int64(len(b))
			}
			return err
		case h := <-s.in:
			if err := s.take(h); err != nil {
				return err
			}
		case <-ctx.Done():
			return s.late(ctx)
		}
	}
}

// why is the reason that the target gave, where sending failed and it had said something.
func (s *player) why(ctx context.Context, err error) error {
	more := time.NewTimer(time.Second)
	defer more.Stop()
	for !s.ended {
		select {
		case h := <-s.in:
			if e := s.take(h); e != nil {
				return e
			}
		case <-more.C:
			return err
		case <-ctx.Done():
			return err
		}
	}
	return err
}

// pause waits until it is time for what was recorded at a time, and takes what comes meanwhile.
func (s *player) pause(ctx context.Context, begun time.Time, at int64) error {
	o := &s.plan.Order
	if !o.Pace.Timed {
		return nil
	}
	wait := time.Duration(0)
	if o.Pace.Speed > 0 {
		wait = time.Until(begun.Add(time.Duration(float64(at) / o.Pace.Speed)))
	}
	if wait <= 0 {
		select { // what has come is not left lying
		case h := <-s.in:
			return s.take(h)
		default:
			return nil
		}
	}
	due := time.NewTimer(wait)
	defer due.Stop()
	for {
		select {
		case h := <-s.in:
			if err := s.take(h); err != nil {
				return err
			}
		case <-due.C:
			return nil
		case <-ctx.Done():
			return s.late(ctx)
		}
	}
}

// quiet is how long a server that has begun its turn, with other bytes than it had, may say
// nothing until the turn is taken to be over.
const quiet = 500 * time.Millisecond

// await waits for the server's turn: until as much came as was recorded, or as many calls were
// answered where that is known, or the server fell silent in the middle, or did not speak in time.
func (s *player) await(ctx context.Context, units int64, answered, turn int) error {
	if s.over(units, answered) {
		return nil
	}
	deadline := time.NewTimer(s.plan.Order.Wait)
	defer deadline.Stop()
	hush := time.NewTimer(quiet)
	defer hush.Stop()
	for !s.ended {
		select {
		case h := <-s.in:
			if err := s.take(h); err != nil {
				return err
			}
			if s.over(units, answered) {
				return nil
			}
			hush.Reset(quiet)
		case <-hush.C:
			if s.since > 0 && !s.waits(answered) {
				s.note("before turn %d the server said %d %s where it had said %d", turn+1, s.units, s.unit(), units)
				return nil
			}
			hush.Reset(quiet)
		case <-deadline.C:
			if s.since == 0 && s.plan.Flow.Transport == flow.TCP {
				return fmt.Errorf("the server said nothing for %v", s.plan.Order.Wait)
			}
			s.note("before turn %d the server said %d %s in %v where it had said %d", turn+1, s.units, s.unit(), s.plan.Order.Wait, units)
			return nil
		case <-ctx.Done():
			return s.late(ctx)
		}
	}
	return errors.New("the server closed the connection")
}

// over says whether the server's turn is. Where calls tell, their answers count, however long.
func (s *player) over(units int64, answered int) bool {
	if answered == 0 {
		return s.units >= units
	}
	s.reading.sync()
	return s.reading.done() >= answered
}

// waits says whether a call that is to be answered is not yet.
func (s *player) waits(answered int) bool {
	return s.reading.done() < answered
}

// maxNotes bounds what is noted of one run.
const maxNotes = 5

func (s *player) note(format string, args ...any) {
	if len(s.run.Notes) < maxNotes {
		s.run.Notes = append(s.run.Notes, fmt.Sprintf(format, args...))
	}
}

func (s *player) unit() string {
	if s.plan.Flow.Transport == flow.UDP {
		return "datagrams"
	}
	return "bytes"
}

// late says why a context ended: that of one run ends by itself too.
func (s *player) late(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it took longer than %v", s.plan.request.Time)
	}
	return ctx.Err()
}

// take dissects what came.
func (s *player) take(h heard) error {
	switch {
	case errors.Is(h.err, io.EOF):
		s.ended = true
		return nil
	case h.err != nil:
		s.ended = true
		if errors.Is(h.err, reach.ErrLimit) {
			return fmt.Errorf("more than %d MiB went to and fro: %w", reach.MaxBytes>>20, h.err)
		}
		return h.err
	}
	s.since += int64(len(h.data))
	s.run.Received += int64(len(h.data))
	if s.units += int64(len(h.data)); s.plan.Flow.Transport == flow.UDP {
		s.units -= int64(len(h.data)) - 1
	}
	s.bytes.add(h.data)
	s.reading.data(1, h.data, h.at)
	s.tell()
	return nil
}

// finish waits for the last answers, and then says to the target that this was all. A server
// that answers only then has its time again.
func (s *player) finish(ctx context.Context) error {
	total := s.total()
	answered := 0
	for _, c := range s.plan.Calls {
		if c.Answered {
			answered++
		}
	}
	if s.plan.More > 0 {
		answered = 0 // what was dissected was not all
	}
	if err := s.end(ctx, total, answered, s.plan.Order.Wait); err != nil {
		return err
	}
	if s.ended {
		return nil
	}
	if err := s.conn.CloseSend(); err != nil {
		return nil // it is gone: what it said is there
	}
	if s.units < total && !s.over(total, answered) {
		return s.end(ctx, total, answered, s.plan.Order.Wait)
	}
	return s.end(ctx, total+1, 0, quiet/2) // what else it says, or that it ends
}

// total is what the server had said in all.
func (s *player) total() int64 {
	if s.plan.Flow.Transport == flow.UDP {
		return int64(len(s.plan.answers))
	}
	return s.plan.Received
}

// end waits for the last of the server's turns, which may be nothing.
func (s *player) end(ctx context.Context, units int64, answered int, wait time.Duration) error {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	hush := time.NewTimer(quiet)
	defer hush.Stop()
	for !s.ended && !s.over(units, answered) {
		select {
		case h := <-s.in:
			if err := s.take(h); err != nil {
				return err
			}
			hush.Reset(quiet)
		case <-hush.C:
			if s.since > 0 && !s.waits(answered) {
				return nil
			}
			hush.Reset(quiet)
		case <-deadline.C:
			return nil
		case <-ctx.Done():
			return s.late(ctx)
		}
	}
	return nil
}

// judge compares the run with the recording.
func (s *player) judge() {
	p, r := s.plan, s.run
	if len(p.Calls) == 0 {
		if d, ok := s.bytes.difference(); ok {
			r.Bytes = append(r.Bytes, d)
		}
		return
	}
	r.Outcomes = p.rules.pair(p.Calls, s.reading.calls)
	silent := 0
	for _, o := range r.Outcomes {
		if o.Was != nil && o.Was.Answered && (o.Is == nil || !o.Is.Answered) {
			silent++
		}
	}
	if r.Problem == "" && r.Received == 0 && p.Received > 0 {
		r.Problem = fmt.Sprintf("the server said nothing for %v", p.Order.Wait)
	} else if silent > 0 && r.Problem == "" && s.ended {
		s.note("the server closed the connection")
	}
}
