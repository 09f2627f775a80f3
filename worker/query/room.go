package query

import (
	"context"
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Errors of a node that would run out of memory: what it captures goes before what is asked.
var (
	// ErrBusy: what is being answered leaves no memory for one more question.
	ErrBusy = errors.New("its memory is taken by the questions that it is answering: ask again in a while, or for less")
	// ErrTooMuch: the newest that were asked for do not fit into a node's memory.
	ErrTooMuch = errors.New("the newest that were asked for are too many to be held at once: ask for less, or for a time (--since)")
)

// How long a question waits for others to end, and then for memory.
const (
	waitTurn   = 5 * time.Second
	waitMemory = 10 * time.Second
	lookAgain  = 100 * time.Millisecond
)

// room admits questions. A few about what is kept are read at once, as more of them are no
// faster and take more memory. Who does not read his answer must not stop others: after
// waitTurn a question is admitted all the same. None is while memory is short: it waits, and
// is refused with ErrBusy if that lasts.
type room struct {
	turns chan struct{} // those that are reading
	limit func() int64  // bytes of memory there are
	used  func() int64  // bytes that were in use when garbage was last collected
}

func newRoom() *room {
	return &room{turns: make(chan struct{}, max(4, 2*runtime.GOMAXPROCS(0))), limit: memoryLimit, used: memoryUsed}
}

// memoryLimit is Go's soft limit (GOMEMLIMIT), which the chart sets.
func memoryLimit() int64 { return debug.SetMemoryLimit(-1) }

func memoryUsed() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(min(sample[0].Value.Uint64(), math.MaxInt64))
}

// short says whether what is in use leaves less than a quarter, which one question may need and
// garbage takes.
func (r *room) short() bool {
	limit := r.limit()
	return r.used() > limit-limit/4
}

// enter waits until a question may begin; leave ends it. Following takes nobody's turn: it
// goes on for days.
func (r *room) enter(ctx context.Context, follow bool) (leave func(), err error) {
	leave = func() {}
	if !follow {
		late := time.NewTimer(waitTurn)
		defer late.Stop()
		select {
		case r.turns <- struct{}{}:
			leave = func() { <-r.turns }
		case <-late.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err := r.memory(ctx); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// memory waits until there is some.
func (r *room) memory(ctx context.Context) error {
	if !r.short() {
		return nil
	}
	late := time.NewTimer(waitMemory)
	defer late.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			if !r.short() {
				return nil
			}
		case <-late.C:
			return ErrBusy
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
