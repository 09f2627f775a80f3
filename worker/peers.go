package worker

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Bounds on what is remembered of addresses, and how it is asked for.
const (
	maxPeers   = 1 << 14 // addresses at one time
	maxAsked   = 1 << 10 // ports of one address
	maxQueue   = 1 << 12 // waiting to be asked for
	maxBatch   = 1 << 10 // asked for at one time
	batchEvery = 200 * time.Millisecond
	// askAgain is when an answer has to be asked for again, if the address is still seen: it may
	// be somebody else's by then. It is the same for those that are nobody's.
	askAgain = 30 * time.Second
	// answerWait is when one is asked again that the hub did not answer.
	answerWait = 2 * time.Second
	// lookEvery is how often it is looked for what is to be asked again.
	lookEvery = time.Second
)

// nobodyAgain is when an address that nobody has is asked for again, seen or not: a pod speaks
// a little before the cluster's API knows its address.
var nobodyAgain = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}

// peers are the addresses that packets come from and go to and that are not of this node's
// pods. Each is asked for once, and again when the answer is old; one that has ports of
// several owners (a node's) for each of its ports that serves. It is safe for concurrent use.
//
// met is on the way of packets: it takes a lock that nobody holds for long, and allocates for
// a new address or port only.
type peers struct {
	now func() time.Time

	mu      sync.Mutex
	known   map[netip.Addr]*peer
	own     map[netip.Addr]bool // of this node's pods: never asked for
	queue   []netip.AddrPort
	waiting int           // asked for, or to be, and not answered yet
	looked  time.Time     // when again was called last
	swept   int64         // when forget was tried last
	ready   chan struct{} // of size 1: something is in the queue
	last    time.Time     // batch
}

// peer is what is known of knowing an address.
type peer struct {
	answer answer
	at     int64 // of the answer, ns
	tries  int   // index into nobodyAgain
	asked  []asked
}

// asked is a port that was asked for with the address; 0: it does not matter.
type asked struct {
	port uint16
	open bool // the answer has not come yet
	at   int64
}

// answer is what a hub may say of an address.
type answer uint8

const (
	unanswered answer = iota
	nobody
	whole // it has one owner
	ports // who it is depends on the port
)

func newPeers(now func() time.Time) *peers {
	return &peers{now: now, known: map[netip.Addr]*peer{}, own: map[netip.Addr]bool{}, ready: make(chan struct{}, 1)}
}

// setOwn replaces the addresses that are never asked for, and returns those that were and are
// no longer.
func (p *peers) setOwn(own map[netip.Addr]bool) (left []netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a := range p.own {
		if !own[a] {
			left = append(left, a)
		}
	}
	p.own = own
	return left
}

// addOwn adds an address to them.
func (p *peers) addOwn(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.own[a] = true
}

// isOwn says whether an address is one of them.
func (p *peers) isOwn(a netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.own[a]
}

// met notes that addresses were seen; the port is 0 where it says nothing, at a client's end.
func (p *peers) met(ends ...netip.AddrPort) {
	now := p.now().UnixNano()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range ends {
		if at.Addr().IsGlobalUnicast() && !p.own[at.Addr()] {
			p.see(at, now)
		}
	}
}

// see is met's part for one address; mu is held.
func (p *peers) see(at netip.AddrPort, now int64) {
	e := p.known[at.Addr()]
	if e == nil {
		if len(p.known) >= maxPeers && !p.forget(now) {
			return
		}
		e = &peer{}
		p.known[at.Addr()] = e
	}
	old := now - int64(askAgain)
	if (e.answer == nobody || e.answer == whole) && e.at > old {
		return
	}
	for i := range e.asked {
		a := &e.asked[i]
		if at.Port() == 0 && (a.open || a.at > old) {
			return // the answer says whose the address is
		}
		if a.port != at.Port() {
			continue
		}
		if !a.open && a.at <= old && p.enqueue(at) {
			a.open, a.at = true, now
			p.waiting++
		}
		return
	}
	if len(e.asked) < maxAsked && p.enqueue(at) {
		e.asked = append(e.asked, asked{at.Port(), true, now})
		p.waiting++
	}
}

// forget makes room, if it can and did not try within a second: what nothing is waited for,
// and was not answered lately, is asked for when it is seen again. mu is held.
func (p *peers) forget(now int64) bool {
	if now-p.swept < int64(time.Second) {
		return false
	}
	p.swept = now
	n := len(p.known)
	for a, e := range p.known {
		open := slices.ContainsFunc(e.asked, func(q asked) bool { return q.open })
		if !open && e.at <= now-int64(askAgain) {
			delete(p.known, a)
		}
	}
	return len(p.known) < n
}

// close notes that nothing of e is waited for; mu is held.
func (p *peers) close(e *peer) {
	for i := range e.asked {
		if e.asked[i].open {
			e.asked[i].open = false
			p.waiting--
		}
	}
}

// enqueue is called with mu held. It is false if too much waits already: the address is asked
// for when it is seen again.
func (p *peers) enqueue(at netip.AddrPort) bool {
	if len(p.queue) >= maxQueue {
		return false
	}
	p.queue = append(p.queue, at)
	select {
	case p.ready <- struct{}{}:
	default:
	}
	return true
}

// answered notes what was said of an address.
func (p *peers) answered(a netip.Addr, what answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.known[a]
	if e == nil {
		return // it was not asked for, or so long ago that it is forgotten
	}
	p.close(e)
	if what != nobody {
		e.tries = 0
	}
	e.answer, e.at = what, p.now().UnixNano()
	if what != ports {
		e.asked = e.asked[:0]
	}
}

// again puts all that is open back into the queue, if it was asked for before a time; what is
// nobody's too where that is due, and all of it if a hub is new: it may know more.
func (p *peers) again(before time.Time, fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now().UnixNano()
	if fresh {
		p.queue = p.queue[:0] // it is all in known
	}
	for a, e := range p.known {
		due := e.answer == nobody && e.tries < len(nobodyAgain) && now-e.at >= int64(nobodyAgain[e.tries])
		if due && !fresh {
			e.tries++
		}
		if e.answer == nobody && (fresh || due) {
			if p.enqueue(netip.AddrPortFrom(a, 0)) {
				p.close(e)
				e.answer, e.asked = unanswered, append(e.asked[:0], asked{0, true, now})
				p.waiting++
			}
			continue
		}
		for i := range e.asked {
			q := &e.asked[i]
			if q.open && (fresh || q.at < before.UnixNano()) && p.enqueue(netip.AddrPortFrom(a, q.port)) {
				q.at = now
			}
		}
	}
}

// ask waits for addresses to ask for, and gathers them for a moment. It returns ctx's error
// when that ends.
func (p *peers) ask(ctx context.Context) ([]netip.AddrPort, error) {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	for {
		p.look()
		select {
		case <-p.ready:
		case <-timer.C:
			timer.Reset(lookEvery)
			continue
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if wait := p.pause(); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			timer.Reset(lookEvery)
		}
		if batch := p.take(); len(batch) > 0 {
			return batch, nil
		}
	}
}

// look asks again for what is due.
func (p *peers) look() {
	p.mu.Lock()
	now := p.now()
	due := now.Sub(p.looked) >= lookEvery
	if due {
		p.looked = now
	}
	p.mu.Unlock()
	if due {
		p.again(now.Add(-answerWait), false)
	}
}

// pause is how long the next batch has to wait.
func (p *peers) pause() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return batchEvery - p.now().Sub(p.last)
}

func (p *peers) take() []netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = p.now()
	n := min(len(p.queue), maxBatch)
	batch := append([]netip.AddrPort(nil), p.queue[:n]...)
	p.queue = append(p.queue[:0], p.queue[n:]...)
	if len(p.queue) > 0 {
		select {
		case p.ready <- struct{}{}:
		default:
		}
	}
	return batch
}

// open is how many addresses and ports wait for an answer.
func (p *peers) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}
