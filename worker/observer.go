package worker

import (
	"net/netip"
	"sync"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/dns"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/servicemap/identity"
)

// observer sees packets go by on their way to the store. It learns who they are from: each
// interface once, and the names that DNS answers give to addresses. It costs other packets
// a look at their interface and at one port.
type observer struct {
	w       *Worker
	last    *pcap.Interface
	seen    map[*pcap.Interface]bool
	header  flow.Header
	answers []dns.Answer
}

func newObserver(w *Worker) *observer { return &observer{w: w, seen: map[*pcap.Interface]bool{}} }

// maxSeen bounds the interfaces that are remembered; those that are forgotten are learnt again.
const maxSeen = 1 << 16

func (o *observer) batch(batch []pcap.Packet) {
	for i := range batch {
		p := &batch[i]
		if p.Iface != o.last {
			o.iface(p)
		}
		if p.Iface.Link == pcap.LinkEthernet && mayBeDNS(p.Data) {
			o.dns(p)
		}
	}
}

func (o *observer) iface(p *pcap.Packet) {
	o.last = p.Iface
	if o.seen[p.Iface] {
		return
	}
	if len(o.seen) >= maxSeen {
		clear(o.seen)
	}
	o.seen[p.Iface] = true
	o.w.who.sighted(p.Iface, p.Time)
}

// mayBeDNS looks for UDP from port 53 or 5353 behind an Ethernet header without tags. Names
// are a courtesy: what comes in another way is named by its address.
func mayBeDNS(b []byte) bool {
	if len(b) < 14+20+8 {
		return false
	}
	var udp int
	switch {
	case b[12] == 0x08 && b[13] == 0x00 && b[23] == byte(flow.UDP):
		udp = 14 + int(b[14]&15)*4
	case b[12] == 0x86 && b[13] == 0xdd && b[20] == byte(flow.UDP):
		udp = 14 + 40
	default:
		return false
	}
	if len(b) < udp+8 {
		return false
	}
	port := uint16(b[udp])<<8 | uint16(b[udp+1])
	return port == 53 || port == 5353
}

func (o *observer) dns(p *pcap.Packet) {
	h := &o.header
	if !h.Parse(p.Iface.Link, p.Data) || h.Fragments {
		return
	}
	o.answers = dns.Answers(o.answers[:0], h.Data(p.Data))
	for _, a := range o.answers {
		if known := o.w.names.Resolve(netip.AddrPortFrom(a.Addr, 0), p.Time); known != nil && (known.DNS == "" || known.DNS == a.Name) {
			continue
		}
		o.w.names.Named(a.Addr, a.Name)
		o.w.store.SetName(pcap.Name{Addr: a.Addr, Names: identity.Encode(identity.Owner{Identity: &dissect.Identity{DNS: a.Name}})})
	}
}

// rates remembers the counters of the last seconds.
type rates struct {
	mu      sync.Mutex
	samples [4]sample
	n       int
}

type sample struct {
	at                    int64
	packets, bytes, drops uint64
}

// add takes the capture's counters, and how many packets were lost behind it.
func (r *rates) add(at int64, s pcap.Stats, behind uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n > 0 && at-r.samples[(r.n-1)%len(r.samples)].at < int64(watchEvery/2) {
		return
	}
	r.samples[r.n%len(r.samples)] = sample{at, s.Stored + s.Dropped, s.Bytes, s.Dropped + behind}
	r.n++
}

// now is packets, bytes and drops per second, over the samples that there are.
func (r *rates) now() (packets, bytes, drops float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n < 2 {
		return 0, 0, 0
	}
	newest := &r.samples[(r.n-1)%len(r.samples)]
	oldest := &r.samples[0]
	if r.n > len(r.samples) {
		oldest = &r.samples[r.n%len(r.samples)]
	}
	t := float64(newest.at-oldest.at) / float64(time.Second)
	if t <= 0 {
		return 0, 0, 0
	}
	per := func(a, b uint64) float64 { return float64(a-min(a, b)) / t } // drops are taken back when they turn out to be kept
	return per(newest.packets, oldest.packets), per(newest.bytes, oldest.bytes), per(newest.drops, oldest.drops)
}
