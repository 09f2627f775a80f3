package auth

import (
	"net/netip"
	"sync"
	"time"
)

// Rate bounds how often an address may do something: a bucket of tokens each, one a time,
// refilled as time goes by.
type Rate struct {
	perSecond, burst float64
	now              func() time.Time

	mu      sync.Mutex
	buckets map[netip.Addr]*bucket
}

type bucket struct {
	tokens float64
	last   time.Time
}

// maxBuckets bounds how many addresses are remembered.
const maxBuckets = 4096

// NewRate allows burst at once and perSecond in the long run.
func NewRate(perSecond float64, burst int, now func() time.Time) *Rate {
	return &Rate{perSecond: perSecond, burst: float64(burst), now: now, buckets: map[netip.Addr]*bucket{}}
}

// Take says whether an address may once more. IPv6 hosts own a /64: it counts as one address.
func (r *Rate) Take(a netip.Addr) bool {
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			a = p.Addr()
		}
	}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buckets[a]
	if b == nil {
		if len(r.buckets) >= maxBuckets {
			r.forget(now)
		}
		b = &bucket{tokens: r.burst, last: now}
		r.buckets[a] = b
	}
	b.tokens = min(r.burst, b.tokens+now.Sub(b.last).Seconds()*r.perSecond)
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// forget drops the buckets that are full again; if none is, all of them.
func (r *Rate) forget(now time.Time) {
	for a, b := range r.buckets {
		if b.tokens+now.Sub(b.last).Seconds()*r.perSecond >= r.burst {
			delete(r.buckets, a)
		}
	}
	if len(r.buckets) >= maxBuckets {
		clear(r.buckets)
	}
}
