package kube

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap/identity"
)

// Bounds of the history. The API server's objects are trusted more than packets, and still:
// whoever may make pods must not fill the hub's memory with the past ones.
const (
	maxClaims   = 64 // of one place
	maxVersions = 16 // of one holder
	maxGivenUp  = 64 // claims of one holder that it gave up while it lived
)

// place is where somebody is found.
//
//	addr        at an address
//	addr, port  at a port of it
//	node, port  at a port of a node's addresses, whichever they are
//	port        at a port of all nodes' addresses (a service's node port)
type place struct {
	addr netip.Addr
	node string
	port uint16
}

// holder is somebody who holds places for some time: a pod, a service, a node. Who it is may
// change while it holds them.
type holder struct {
	versions []version // oldest first; the first holds from the beginning
	claims   []*claim  // those that the history knows
	ended    int64
}

// version is who a holder was from a time on.
type version struct {
	from int64
	id   *dissect.Identity
}

// claim says that a holder had a place in [from, to).
type claim struct {
	place
	from, to int64 // ns
	weak     bool  // others come first: see better
	by       *holder
}

const open = math.MaxInt64

// want is a place that a holder has now.
type want struct {
	place
	weak bool
	from int64 // since when at the earliest
	// sure is since when at the latest. If another's claim reaches beyond from, the place
	// changed hands in between, and the other one keeps it until then.
	sure int64
}

// history is who held which place, and when.
type history struct {
	at    map[place][]*claim // by from
	ended []*holder          // in the order of their end
	keep  time.Duration
	limit int // of ended

	turns turns
}

// turns are the addresses that became somebody else's, or whose owner became another, the
// newest ones, each with a number.
type turns struct {
	ring [1 << 13]netip.Addr
	next uint64 // number of the one to come
}

func (t *turns) add(a netip.Addr) {
	if a.IsValid() {
		t.ring[t.next%uint64(len(t.ring))] = a
		t.next++
	}
}

// since are those from a number on; all is false if some of them are no longer known.
func (t *turns) since(n uint64) (addrs []netip.Addr, next uint64, all bool) {
	if n > t.next || t.next-n > uint64(len(t.ring)) {
		return nil, t.next, false
	}
	for ; n < t.next; n++ {
		addrs = append(addrs, t.ring[n%uint64(len(t.ring))])
	}
	return addrs, t.next, true
}

// changed notes that a holder has become another.
func (y *history) changed(h *holder) {
	for _, c := range h.claims {
		if c.to == open {
			y.turns.add(c.addr)
		}
	}
}

// now is who a holder is, nil as long as nothing was said.
func (h *holder) now() *dissect.Identity {
	if len(h.versions) == 0 {
		return nil
	}
	return h.versions[len(h.versions)-1].id
}

// become says who a holder is from a time on. With amend it is what it was all the time since
// the last change, only that it was not known. It reports whether that is news.
func (h *holder) become(id *dissect.Identity, at int64, amend bool) bool {
	last := h.now()
	switch {
	case last == nil:
		h.versions = append(h.versions, version{at, id})
	case identity.Equal(last, id):
		return false
	case amend || h.versions[len(h.versions)-1].from >= at:
		h.versions[len(h.versions)-1].id = id
	default:
		h.versions = append(h.versions, version{at, id})
		if len(h.versions) > maxVersions {
			h.versions = slices.Delete(h.versions, 0, 1)
		}
	}
	return true
}

// who is who a holder was, and since when.
func (h *holder) who(at int64) (id *dissect.Identity, since int64) {
	for i := len(h.versions) - 1; i > 0; i-- {
		if h.versions[i].from <= at {
			return h.versions[i].id, h.versions[i].from
		}
	}
	return h.versions[0].id, math.MinInt64
}

// hold says which places a holder has now: others that it had are given up.
func (y *history) hold(h *holder, now int64, places []want) {
	for _, c := range h.claims {
		if c.to == open && !slices.ContainsFunc(places, func(w want) bool { return w.place == c.place && w.weak == c.weak }) {
			c.to = max(now, c.from)
			y.turns.add(c.addr)
		}
	}
	for _, w := range places {
		if !slices.ContainsFunc(h.claims, func(c *claim) bool { return c.to == open && c.place == w.place && c.weak == w.weak }) {
			y.claim(h, w)
		}
	}
}

func (y *history) claim(h *holder, w want) {
	all := y.at[w.place]
	from := w.from
	if slices.ContainsFunc(all, func(c *claim) bool { return c.by != h && c.weak == w.weak && c.to > from }) {
		from = max(from, w.sure)
	}
	y.turns.add(w.addr)
	c := &claim{place: w.place, from: from, to: open, weak: w.weak, by: h}
	i := len(all)
	for i > 0 && all[i-1].from > from {
		i--
	}
	all = slices.Insert(all, i, c)
	h.claims = append(h.claims, c)
	if len(all) > maxClaims {
		all[0].by.forget(all[0])
		all = slices.Delete(all, 0, 1)
	}
	y.at[w.place] = all
	given := 0
	for _, c := range h.claims {
		if c.to != open {
			given++
		}
	}
	if given > maxGivenUp {
		y.remove(h.claims[slices.IndexFunc(h.claims, func(c *claim) bool { return c.to != open })])
	}
}

// end says that a holder is no more since a time.
func (y *history) end(h *holder, at int64) {
	if h.ended != 0 {
		return
	}
	for _, c := range h.claims {
		if c.to == open {
			c.to = max(at, c.from)
			y.turns.add(c.addr)
		}
	}
	h.ended = at
	y.ended = append(y.ended, h)
	if len(y.ended) > y.limit {
		y.drop(y.ended[0])
		y.ended[0] = nil
		y.ended = y.ended[1:]
	}
}

// drop forgets a holder's claims.
func (y *history) drop(h *holder) {
	for len(h.claims) > 0 {
		y.remove(h.claims[0])
	}
}

func (y *history) remove(c *claim) {
	y.set(c.place, slices.DeleteFunc(y.at[c.place], func(o *claim) bool { return o == c }))
	c.by.forget(c)
}

func (y *history) set(p place, all []*claim) {
	if len(all) == 0 {
		delete(y.at, p)
		return
	}
	y.at[p] = all
}

func (h *holder) forget(c *claim) {
	h.claims = slices.DeleteFunc(h.claims, func(o *claim) bool { return o == c })
}

// sweep forgets what ended longer ago than is kept.
func (y *history) sweep(now int64) {
	past := now - int64(y.keep)
	for p, all := range y.at {
		y.set(p, slices.DeleteFunc(all, func(c *claim) bool {
			for len(c.by.versions) > 1 && c.by.versions[1].from <= past {
				c.by.versions = slices.Delete(c.by.versions, 0, 1)
			}
			if c.to > past {
				return false
			}
			c.by.forget(c)
			return true
		}))
	}
	y.ended = slices.Clone(slices.DeleteFunc(y.ended, func(h *holder) bool { return len(h.claims) == 0 }))
}

// who is who held a place at a time, nil for nobody, and since when that has been so.
func (y *history) who(p place, at int64) (id *dissect.Identity, since int64) {
	var best *claim
	all := y.at[p]
	for _, c := range all {
		if c.from <= at && at < c.to && better(c, best) {
			best = c
		}
	}
	since = math.MinInt64
	for _, c := range all { // one that came first held it until then
		if c.to <= at && c.from < c.to && better(c, best) {
			since = max(since, c.to)
		}
	}
	if best == nil {
		return nil, since
	}
	id, changed := best.by.who(at)
	return id, max(since, changed, best.from)
}

// better says which of two claims of one place counts: one that is not weak, else the newer:
// what is over is often told late.
func better(c, than *claim) bool {
	if than == nil || c.weak != than.weak {
		return than == nil || than.weak
	}
	return c.from >= than.from
}
