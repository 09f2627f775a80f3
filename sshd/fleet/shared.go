package fleet

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sshark/sshark/worker/api"
	"github.com/sshark/sshark/worker/query"
)

// Most who follow ask the same: all that comes in from now on. Such a question is put to the nodes
// once, and its answer is joined once, for all who ask it: the first begins it, others come to it,
// and it ends with the last.
//
// A question is the same if all that a worker would read of it is, to the byte, but its beginning;
// so who may see other things asks another one, and who asks judges what comes for themselves, as
// always. What was told lately is held, so that who comes hears all since their own beginning, and
// nothing twice: if that is not held any more, or was not asked for, they begin an answer anew. Who
// asks for what is older than a moment asks alone, as nobody else shall wait for it.
//
// Each reads at their own pace what is held, which is bounded in bytes. Who is alone holds the
// answer back, up to the workers. Of several, one that is too slow loses the oldest, and is told
// how many; nobody waits for another.

const (
	// recent is how long at least what was told is held, and how long ago the beginning of a shared
	// answer may be for who comes.
	recent = 10 * time.Second
	// sharedBytes is what all shared answers of one kind may hold together, sharedLeast what one may.
	sharedBytes = 32 << 20
	sharedLeast = 1 << 20
	// wakeEvery is how long news are gathered before those who wait are woken: a thousand nodes say
	// something all the time.
	wakeEvery = 20 * time.Millisecond
)

// asker puts a question to all nodes; what it hands out stays valid for ever and is not changed.
type asker[T any] func(context.Context, *query.Request, func(T) error) (*query.Report, error)

// sharing is the answers that are shared now. The zero value is ready.
type sharing[T any] struct {
	mu    sync.Mutex
	going map[string][]*shared[T] // those that one may come to, by question
	n     int
}

// sameQuestion is what requests have in common that are the same question: whom they ask for what and
// what may be told, but not since when. ok is false if the answer is not to be shared.
func sameQuestion(r *query.Request) (key string, ok bool) {
	if !r.Follow || r.First > 0 || r.Last > 0 || r.Since < time.Now().Add(-recent).UnixNano() {
		return "", false
	}
	m := api.FromRequest(r)
	m.Since = 0
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	return r.Node + "\x00" + string(b), err == nil // an error comes back from each node
}

// ask answers a request, with an answer that others get too if it follows.
func (s *sharing[T]) ask(ctx context.Context, f *Fleet, r *query.Request, each func(T) error, ask asker[T]) (*query.Report, error) {
	key, ok := sameQuestion(r)
	if !ok {
		return ask(ctx, r, each)
	}
	return s.join(key, f, r, ask).read(ctx, each)
}

// join comes to an answer that is going on, or begins one.
func (s *sharing[T]) join(key string, f *Fleet, r *query.Request, ask asker[T]) *reader[T] {
	listed := map[string]bool{}
	for _, m := range f.of(r) {
		listed[m.Name] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.going[key] {
		if reader := a.admit(r, listed); reader != nil {
			return reader
		}
	}
	a := &shared[T]{in: s, key: key, since: r.Since, floor: r.Since - 1, ended: make(chan struct{}), news: make(chan struct{}),
		readers: map[*reader[T]]struct{}{}, missing: map[string]query.NodeReport{}}
	if s.going == nil {
		s.going = map[string][]*shared[T]{}
	}
	s.going[key] = append(s.going[key], a)
	s.n++
	reader := a.admit(r, listed)
	var ctx context.Context
	ctx, a.cancel = context.WithCancel(context.Background()) // its last reader ends it
	all := *r
	all.Notice, all.Withheld = a.notice, a.withheld
	go a.run(ctx, &all, ask)
	return reader
}

// remove makes an answer one that nobody comes to any more. s.mu is held.
func (s *sharing[T]) remove(a *shared[T]) {
	left := slices.DeleteFunc(s.going[a.key], func(other *shared[T]) bool { return other == a })
	s.n -= len(s.going[a.key]) - len(left)
	if s.going[a.key] = left; len(left) == 0 {
		delete(s.going, a.key)
	}
}

// share is what one answer may hold.
func (s *sharing[T]) share() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(sharedBytes/int64(max(s.n, 1)), sharedLeast)
}

// shared is one answer, and who reads it.
type shared[T any] struct {
	in     *sharing[T]
	key    string
	since  int64
	cancel context.CancelFunc
	ended  chan struct{} // closed at the end, when report and err are known
	report *query.Report
	err    error

	mu      sync.Mutex // taken after in.mu
	held    []held[T]
	first   uint64 // number of the first that is held
	bytes   int64
	floor   int64         // the newest time of what is not held any more
	news    chan struct{} // closed when there is something to read
	due     bool          // it will be
	room    chan struct{} // closed when there may be room; nil: nobody waits for it
	readers map[*reader[T]]struct{}
	missing map[string]query.NodeReport // the nodes that are, by name
}

// held is one thing that was told.
type held[T any] struct {
	item T
	at   int64 // capture time, by which a request's Since chooses it
	size int64
	told time.Time
}

// run asks until the last reader has left, or all is said.
func (a *shared[T]) run(ctx context.Context, r *query.Request, ask asker[T]) {
	defer a.cancel()
	report, err := ask(ctx, r, func(item T) error { return a.put(ctx, item) })
	if report == nil {
		report = &query.Report{}
	}
	a.in.mu.Lock()
	defer a.in.mu.Unlock()
	a.in.remove(a)
	a.report, a.err = report, err
	close(a.ended)
}

// put holds an item. It waits for nobody but a reader that is alone.
func (a *shared[T]) put(ctx context.Context, item T) error {
	at, _ := sign(item)
	size, limit := weight(item), a.in.share()
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.held) > 0 && a.bytes+size > limit {
		switch {
		case a.first < a.read(), len(a.readers) > 1:
			a.forget()
		default:
			room := make(chan struct{})
			a.room = room
			a.mu.Unlock()
			select {
			case <-room:
			case <-ctx.Done():
			}
			a.mu.Lock()
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	a.held = append(a.held, held[T]{item, at, size, time.Now()})
	a.bytes += size
	a.wake()
	return nil
}

// read is the number of the first thing that somebody has still to read. a.mu is held.
func (a *shared[T]) read() uint64 {
	least := a.first + uint64(len(a.held))
	for r := range a.readers {
		least = min(least, r.next)
	}
	return least
}

// forget lets go of the oldest. a.mu is held.
func (a *shared[T]) forget() {
	h := &a.held[0]
	a.floor = max(a.floor, h.at)
	a.bytes -= h.size
	*h = held[T]{}
	a.held = a.held[1:]
	a.first++
}

// wake sees to it that those who wait read what there is, in a moment. a.mu is held.
func (a *shared[T]) wake() {
	if a.due {
		return
	}
	a.due = true
	time.AfterFunc(wakeEvery, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.due = false
		close(a.news)
		a.news = make(chan struct{})
		old, read := time.Now().Add(-recent), a.read()
		for len(a.held) > 0 && a.first < read && a.held[0].told.Before(old) {
			a.forget()
		}
	})
}

// notice tells all readers of a node.
func (a *shared[T]) notice(n query.NodeReport) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n.Missing == "" {
		delete(a.missing, n.Node)
	} else {
		a.missing[n.Node] = n
	}
	for r := range a.readers {
		r.notice(n)
	}
	a.wake()
}

// withheld tells all readers that a node told beyond what they may see.
func (a *shared[T]) withheld() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for r := range a.readers {
		withhold(r.request)
	}
}

// admit lets a reader in that hears all since its own beginning; nil: that is not held. listed are
// the nodes that there are. in.mu is held.
func (a *shared[T]) admit(r *query.Request, listed map[string]bool) *reader[T] {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Since < a.since || r.Since <= a.floor {
		return nil
	}
	reader := &reader[T]{from: a, request: r, next: a.first, gone: map[string]bool{}}
	for _, node := range slices.Sorted(maps.Keys(a.missing)) {
		n := a.missing[node]
		n.Part = false
		if reader.gone[node] = !listed[node]; listed[node] {
			reader.notice(n)
		}
	}
	a.readers[reader] = struct{}{}
	a.makeRoom() // nobody waits for who is not alone
	return reader
}

// makeRoom lets put look again. a.mu is held.
func (a *shared[T]) makeRoom() {
	if a.room != nil {
		close(a.room)
		a.room = nil
	}
}
