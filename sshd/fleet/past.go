package fleet

import (
	"hash/maphash"
	"time"

	"github.com/sshark/sshark/dissect"
)

// overlap is how far behind the newest that came a node is asked again, in time of capture:
// what it tells need not come in order, and what began before that was not told yet.
const overlap = 10 * time.Second

// Bounds on what is remembered for that: of all nodes together, and of one at least.
const (
	marksOfAll = 1 << 16
	marksLeast = 1 << 8
)

// mark tells an item from others.
type mark struct {
	at int64 // capture time, by which a request's Since chooses it
	id uint64
}

var seed = maphash.MakeSeed()

// sign is the mark of an item; at is 0 for what may be told twice.
func sign(item any) (at int64, id uint64) {
	switch v := item.(type) {
	case *dissect.Call:
		return v.Time, v.ID()
	case *dissect.Flow:
		return v.Last, uint64(v.ID)
	case event:
		if v.packet != nil {
			return v.packet.Time, maphash.Bytes(seed, v.packet.Data[:min(len(v.packet.Data), 128)])
		}
	}
	return 0, 0
}

// past remembers what a node told last, so that it can be asked again from there without
// anything being told twice. It is one goroutine's.
type past struct {
	marks  []mark // a ring once it is full
	next   int
	limit  int
	newest int64
	floor  int64        // of what is older than this some is forgotten
	owed   map[mark]int // what will be told again
}

// newPast is for one of n nodes.
func newPast(n int) past { return past{limit: max(marksOfAll/max(n, 1), marksLeast)} }

// fresh says whether an item is new, and remembers it.
func (p *past) fresh(m mark) bool {
	if n := p.owed[m]; n > 0 {
		p.owed[m] = n - 1
		return false
	}
	p.newest = max(p.newest, m.at)
	if len(p.marks) < p.limit {
		p.marks = append(p.marks, m)
		return true
	}
	p.floor = max(p.floor, p.marks[p.next].at+1)
	p.marks[p.next] = m
	p.next = (p.next + 1) % p.limit
	return true
}

// resume is the time from which on the node is to be asked, if the asker wanted all since
// then. What comes from now on is compared with what came before.
func (p *past) resume(since int64) int64 {
	if p.newest != 0 {
		since = max(since, p.floor, p.newest-int64(overlap))
	}
	p.owed = nil
	for _, m := range p.marks {
		if m.at >= since {
			if p.owed == nil {
				p.owed = map[mark]int{}
			}
			p.owed[m]++
		}
	}
	return since
}
