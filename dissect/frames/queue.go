package frames

// Limits of what a Queue holds.
const (
	MaxPending = 10_000  // requests that wait
	MaxKept    = 4 << 20 // bytes that are kept of them; the newest may go beyond

	maxEarly  = 16       // responses that wait for their requests
	patience  = 1e9      // ns that they do
	earlyKept = 64 << 10 // bytes of each
)

// Teller is what a Queue must know of a protocol.
type Teller[K comparable, V any] interface {
	// Answer takes a response to a request that waits. If it is the one that is waited for, it
	// calls the queue's End.
	Answer(i *Item[K, V], f *Frame)
	// Tell hands out a request that waits no more, with the response that ended it, nil:
	// without. The item is used again once it returns, with the value that it leaves there.
	Tell(i *Item[K, V], f *Frame)
}

// Queue are the requests of a flow that wait for their responses, and the few responses that
// were read before their requests, since the packets of the two sides may have been captured,
// or put in order, the other way round. Where more would have to wait than the limits allow,
// the oldest are handed out, marked as Lost. The zero value is empty.
type Queue[K comparable, V any] struct {
	waiting Waiting[K, V]
	kept    int // bytes of those that wait
	early   []early[K]
}

type early[K comparable] struct {
	key   K
	frame Frame
}

// Begin returns the item of a new request, whose value is as Tell left it. One that waits
// under the same key will not be answered any more: it is handed out. Ask or Pass follow.
func (q *Queue[K, V]) Begin(t Teller[K, V], key K) *Item[K, V] {
	if again := q.waiting.Find(key); again != nil {
		q.End(t, again, nil)
	}
	i := q.waiting.Get()
	i.key, i.Lost = key, false
	return i
}

// Pass hands out a request that nothing answers.
func (q *Queue[K, V]) Pass(t Teller[K, V], i *Item[K, V]) {
	t.Tell(i, nil)
	q.waiting.Put(i)
}

// Ask lets a request wait, of which so many bytes are kept, and gives it the responses that
// began when it did or later, but were read before it.
func (q *Queue[K, V]) Ask(t Teller[K, V], i *Item[K, V], kept int, first int64) {
	i.kept = kept
	q.waiting.Add(i.key, i)
	for q.kept += kept; q.Len() > 1 && (q.Len() > MaxPending || q.kept > MaxKept); {
		q.Lose(t, q.Oldest())
	}
	for n := 0; n < len(q.early); {
		if e := &q.early[n]; e.key != i.key || e.frame.First < first {
			n++
			continue
		}
		f := q.early[n].frame
		q.early = append(q.early[:n], q.early[n+1:]...)
		if t.Answer(i, &f); q.Find(i.key) != i {
			return
		}
	}
}

// Find returns the request that waits under a key, nil: there is none.
func (q *Queue[K, V]) Find(key K) *Item[K, V] { return q.waiting.Find(key) }

// Oldest is the request that has waited longest, nil: none waits.
func (q *Queue[K, V]) Oldest() *Item[K, V] { return q.waiting.Oldest() }

// Len is how many wait.
func (q *Queue[K, V]) Len() int { return q.waiting.Len() }

// End hands out a request that waits, with its response, nil: without.
func (q *Queue[K, V]) End(t Teller[K, V], i *Item[K, V], f *Frame) {
	q.waiting.Remove(i)
	q.kept -= i.kept
	t.Tell(i, f)
	q.waiting.Put(i)
}

// Lose hands out a request that waits, marked as one whose response was missed or may come yet.
func (q *Queue[K, V]) Lose(t Teller[K, V], i *Item[K, V]) {
	i.Lost = true
	q.End(t, i, nil)
}

// Hold copies a response whose request was not read yet. The oldest is dropped for it if there
// are too many.
func (q *Queue[K, V]) Hold(key K, f *Frame) {
	if len(q.early) == maxEarly {
		q.early = append(q.early[:0], q.early[1:]...)
	}
	own := *f
	own.Data = append([]byte(nil), f.Data[:min(len(f.Data), earlyKept)]...)
	q.early = append(q.early, early[K]{key, own})
}

// Expire drops the responses that have waited too long.
func (q *Queue[K, V]) Expire(now int64) {
	n := 0
	for n < len(q.early) && q.early[n].frame.First < now-patience {
		n++
	}
	if n > 0 {
		q.early = append(q.early[:0], q.early[n:]...)
	}
}

// Close hands out all requests that wait.
func (q *Queue[K, V]) Close(t Teller[K, V]) {
	for i := q.Oldest(); i != nil; i = q.Oldest() {
		q.End(t, i, nil)
	}
}
