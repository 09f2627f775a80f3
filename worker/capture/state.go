package capture

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/sshark/sshark/pcap"
)

// State is what is captured of one namespace.
type State struct {
	Pod        pcap.Pod  // by the name that it has now; the zero Pod: the node's own
	Since      time.Time // when its namespace was found
	Off        bool      // the target does not want it
	Interfaces []InterfaceState
	Problem    string     // what is wrong, for a person; "": nothing
	Stats      pcap.Stats // also of interfaces that it had before
	Cut        uint64     // stored, but longer than bpf.MaxCaptured (BIG TCP) and not whole
}

// InterfaceState is one interface that is captured now.
type InterfaceState struct {
	Interface *pcap.Interface
	Stats     pcap.Stats // of this value of it: see Options.Final
}

// Pods says how each namespace is captured, the node's own first, then by name.
func (c *Capture) Pods() []State {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]State, 0, len(c.spaces))
	index := make(map[*space]int, len(c.spaces))
	for _, s := range c.spaces {
		index[s] = len(out)
		out = append(out, State{Pod: s.pod, Since: s.since, Off: s.policy.Off, Problem: s.problem, Stats: s.gone, Cut: s.goneCut})
	}
	for _, t := range c.live {
		i, ok := index[t.space]
		if !ok {
			continue // its namespace was left
		}
		stats := c.read(t)
		add(&out[i].Stats, &stats)
		out[i].Cut += t.cut
		if t.space.taps[t.device.index] == t { // otherwise it is being closed
			out[i].Interfaces = append(out[i].Interfaces, InterfaceState{c.slots[t.slot].Load(), minus(&stats, &t.before)})
		}
	}
	for i := range out {
		slices.SortFunc(out[i].Interfaces, func(a, b InterfaceState) int {
			return cmp.Compare(a.Interface.Name, b.Interface.Name)
		})
	}
	slices.SortFunc(out, func(a, b State) int {
		return cmp.Or(cmp.Compare(a.Pod.Namespace, b.Pod.Namespace), cmp.Compare(a.Pod.Name, b.Pod.Name), cmp.Compare(a.Pod.UID, b.Pod.UID))
	})
	return out
}

// OwnAddrs are all addresses of the node's own namespace, also of interfaces that are not
// captured (bridges, tunnels), without those of lo.
func (c *Capture) OwnAddrs() []netip.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range addresses(c.own.devices) {
		if !a.IsLoopback() && !a.IsMulticast() {
			out = append(out, a)
		}
	}
	return out
}

// Looked says whether every Discoverer has told by now what there is. All that was told is in
// Pods.
func (c *Capture) Looked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.problem != "" || !slices.ContainsFunc(c.found, func(list []Namespace) bool { return list == nil })
}

// Problem says, for a person, why new namespaces are no longer found; "" if they are.
func (c *Capture) Problem() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.problem == "" {
		return ""
	}
	return "new pods are not captured: " + c.problem
}

// Stats are the counts of everything that was captured since Start.
func (c *Capture) Stats() pcap.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.gone
	for _, t := range c.live {
		s := c.read(t)
		add(&sum, &s)
	}
	return sum
}

// read gives the counts of an interface; the last known ones after Close.
func (c *Capture) read(t *tap) pcap.Stats {
	if c.prog == nil {
		return t.stats
	}
	k, err := c.prog.Counters(t.slot)
	if err != nil {
		c.log.Error("read counters", "pod", t.space.pod.String(), "interface", t.device.name, "err", err)
		return t.stats
	}
	t.cut = k.Cut
	// The kernel's own Seen may be a packet ahead of the others while packets come in.
	t.stats = pcap.Stats{
		Seen:     k.Stored + k.Dropped + k.Filtered,
		Stored:   k.Stored,
		Dropped:  k.Dropped,
		Filtered: k.Filtered,
		Bytes:    k.Bytes,
	}
	return t.stats
}

// minus is what was counted since.
func minus(s, before *pcap.Stats) pcap.Stats {
	return pcap.Stats{
		Seen:     s.Seen - before.Seen,
		Stored:   s.Stored - before.Stored,
		Dropped:  s.Dropped - before.Dropped,
		Filtered: s.Filtered - before.Filtered,
		Bytes:    s.Bytes - before.Bytes,
	}
}

func add(sum, s *pcap.Stats) {
	sum.Seen += s.Seen
	sum.Stored += s.Stored
	sum.Dropped += s.Dropped
	sum.Filtered += s.Filtered
	sum.Bytes += s.Bytes
}
