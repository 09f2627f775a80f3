// Package turns pairs requests with replies that come in the order of the requests, and keeps
// the requests until then: what protocols of questions and answers have in common.
//
// Where messages were lost nothing is paired by chance. A reply behind a hole belongs to the
// newest request of a client that asks one thing at a time; of a client that does not, nothing
// is paired until it has had as many replies to a batch as it had requests. A reply that was
// read before its request waits for it a while, since packets of the two sides may have been
// captured the other way round.
//
// A protocol whose replies come in parts, or tell more than whose they are, pairs them itself,
// and keeps its requests in a Line. Requests whose replies name them are package frames'.
//
// A Queue, as a Line, belongs to one flow and one goroutine. It holds at most 10,000 requests of
// 4 MiB in all, and allocates nothing once it has seen as much.
package turns

// Message is a request or a reply.
type Message struct {
	Data  []byte // as much of it as is kept; what is handed in or out is borrowed
	Size  uint64 // bytes on the wire
	First int64  // time of the first byte, ns
	Last  int64
	Cut   bool   // bytes of it are missing
	Quiet bool   // a request that may go unanswered
	Note  uint32 // the protocol's own
	Line  int    // how much of Data is its first line

	kept Span // of a request that waits
}

// Teller is what a Queue must know of a protocol.
type Teller interface {
	// Tell hands a call out; one of the two may be nil. Both are borrowed until it returns.
	Tell(req, resp *Message)
	// Fits says whether that can be the reply to that request.
	Fits(req, resp *Message) bool
}

const (
	maxPending = 10_000
	maxKept    = 4 << 20 // bytes of requests that wait; the newest may go beyond
	maxHeld    = 16      // replies that wait for a request
	maxSkipped = 256     // requests that are looked at for one that a reply fits
	holdTime   = 1e9     // ns that they wait
	// patient is after how many requests that were each answered before the next one a client
	// is believed to ask one thing at a time.
	patient = 3
	// uncounted keeps the replies of a turn from being as many as its requests.
	uncounted = 1 << 32
)

// Queue are the requests of a flow that wait. The zero value is empty.
type Queue struct {
	Lone   bool // replies without a request are handed out too
	Middle bool // replies may have come before the first one that is seen

	line Line[Message]
	held []Message
	gone int64 // when the last of those began that were given up

	alone    int   // requests in a row that were answered before the next one
	asked    int   // requests since the client took its turn
	since    int64 // when the first of them began
	answered int   // replies since then
	adrift   bool  // which reply belongs to which request is not known
}

// Len is how many wait.
func (q *Queue) Len() int { return q.line.Len() }

// At is the ith that waits, the oldest being 0. It is valid until the queue is used again.
func (q *Queue) At(i int) *Message {
	m := q.line.At(i)
	m.Data = q.line.Bytes(m.kept)
	return m
}

// Adrift says that requests are not kept, since no reply can be told to be theirs.
func (q *Queue) Adrift() bool { return q.adrift }

// Ask takes a request that will be answered. missed: others may have been lost before it.
func (q *Queue) Ask(t Teller, m *Message, missed bool) {
	if q.answered > 0 {
		switch {
		case q.asked == 1 && q.answered == 1:
			q.alone = min(q.alone+1, patient)
		case !missed:
			q.alone = 0
		}
		q.adrift = q.adrift && q.asked != q.answered
		q.asked, q.answered = 0, 0
	}
	if !m.Quiet {
		if q.asked++; q.asked == 1 {
			q.since = m.First
		}
	}
	if m.First < q.gone { // its reply may be the one that waited for it too long
		q.giveUp(t, q.Len(), true)
		q.adrift = true
		q.asked += uncounted
	}
	if missed {
		// Whose the next replies are cannot be told, but that who asks one thing at a time
		// has had all before. Who asks what may go unanswered asks more than one.
		q.adrift = q.adrift || q.Len() > 0 || q.alone < patient || m.Quiet
		q.giveUp(t, q.Len(), true)
	}
	if q.adrift {
		m.Cut = true
		t.Tell(m, nil)
		return
	}
	q.Name(t, m)
}

// Name takes a request that its reply will name, so that Pair can be told which one it is, or
// that goes unharmed by a loss for another reason.
func (q *Queue) Name(t Teller, m *Message) {
	own := *m
	own.Data = nil
	q.line.Add(own).kept = q.line.Extend(m.Data)
	for n := q.Len(); n > 1 && (n > maxPending || q.line.Kept() > maxKept); n = q.Len() {
		q.giveUp(t, 1, true)
		q.adrift = true
	}
	q.meet(t, m.First)
}

// Extend adds bytes to the newest request: size is how many it has more on the wire, b those
// that are kept.
func (q *Queue) Extend(b []byte, size int, now int64) {
	m := q.line.Newest()
	m.Size += uint64(size)
	m.Last = now
	m.kept = q.line.Extend(b)
}

// Newest is the last request, nil: none waits.
func (q *Queue) Newest() *Message {
	if q.Len() == 0 {
		return nil
	}
	return q.At(q.Len() - 1)
}

// meet gives a request that waits alone the reply that was read before it.
func (q *Queue) meet(t Teller, first int64) {
	if len(q.held) == 0 {
		return
	}
	q.release(t, first)
	if len(q.held) > 0 && q.Len() == 1 && t.Fits(q.At(0), &q.held[0]) {
		m := q.held[0]
		q.held = append(q.held[:0], q.held[1:]...)
		q.Pair(t, 0, &m)
	}
}

// Expire lets replies wait no longer that have waited too long.
func (q *Queue) Expire(t Teller, now int64) {
	if len(q.held) > 0 {
		q.release(t, now-holdTime)
	}
}

// release gives up the replies that began by the time given: their requests were not seen.
func (q *Queue) release(t Teller, until int64) {
	n := 0
	for n < len(q.held) && q.held[n].First <= until {
		if q.Lone {
			t.Tell(nil, &q.held[n])
		}
		q.gone = max(q.gone, q.held[n].First)
		n++
	}
	q.held = append(q.held[:0], q.held[n:]...)
}

// Answer takes the next reply. missed: others may have been lost before it.
func (q *Queue) Answer(t Teller, m *Message, missed bool) {
	missed = missed || q.Middle
	q.Middle = false
	if m.First >= q.since { // else it is the reply to an earlier one
		q.answered++
	}
	if missed {
		q.catchUp(t, m)
	}
	switch {
	case q.adrift:
	case q.Len() > 0 && q.line.First().First <= m.First:
		if i := q.fit(t, m); i >= 0 {
			if m.First >= q.since {
				q.answered--
			}
			q.Pair(t, i, m)
			break
		}
		q.giveUp(t, q.Len(), true)
		q.adrift = true
	case q.Len() == 0 && (missed || len(q.held) == maxHeld):
		if q.gone = m.First; q.Lone {
			t.Tell(nil, m)
		}
	case q.Len() == 0:
		own := *m
		own.Data = append([]byte(nil), m.Data...)
		q.held = append(q.held, own)
	}
}

// fit is the first request that a reply fits, -1: there is none.
func (q *Queue) fit(t Teller, m *Message) int {
	for i := range min(q.Len(), maxSkipped) {
		if t.Fits(q.At(i), m) {
			return i
		}
	}
	return -1
}

// catchUp gives up the requests whose replies may have been lost. Who asks one thing at a time
// had all replies but the last.
func (q *Queue) catchUp(t Teller, m *Message) {
	if q.alone < patient && q.Len() > 1 {
		q.giveUp(t, q.Len(), true)
		q.adrift = true
		return
	}
	for q.Len() > 1 && q.line.At(1).First <= m.First {
		q.giveUp(t, 1, true)
	}
}

// Pair gives the ith request that reply. Those before it are handed out without.
func (q *Queue) Pair(t Teller, i int, m *Message) {
	q.giveUp(t, i, false)
	req := q.take()
	if !req.Quiet {
		q.answered++
	}
	t.Tell(req, m)
}

// GiveUp hands out the first n requests without replies.
func (q *Queue) GiveUp(t Teller, n int) { q.giveUp(t, n, false) }

func (q *Queue) giveUp(t Teller, n int, lost bool) {
	for ; n > 0; n-- {
		req := q.take()
		req.Cut = req.Cut || lost && !req.Quiet
		t.Tell(req, nil)
	}
}

// take removes the first request. What it points to is valid until the next one is added.
func (q *Queue) take() *Message {
	m := q.At(0)
	q.line.Take()
	return m
}

// Close hands out all that waits.
func (q *Queue) Close(t Teller) {
	q.giveUp(t, q.Len(), false)
	q.release(t, 1<<63-1)
}
