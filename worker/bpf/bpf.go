// Package bpf owns the capture program in the kernel: it loads it, attaches it to interfaces,
// tells it what is wanted of each, reads its counters, and gives out the ring it writes to.
// It is the only package that imports cilium/ebpf, and knows neither pods nor packets' fields.
//
// The program is a socket filter, loaded once. Each captured interface has an AF_PACKET socket
// bound to it, with an entry program of a few instructions that jumps to the one that does the
// work. An interface is addressed by a slot, a small number that its owner gives out; the
// entry program knows it, and each record of the ring carries it. (Inode numbers of namespaces
// and indexes of devices would not do: the kernel soon uses them again.)
//
// Lifetime: Load, then Ring once, and Close at the end, after all sockets are closed and the
// ring is no longer read. A Program's methods are safe for concurrent use; a Ring has one
// reader.
//
// Errors: what the machine lacks is a *MissingError, which says what to do; everything else
// is an error of a system call, wrapped with what it was for.
package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
)

// Limits that Options and Target are held to.
const (
	MinRingSize = 256 << 10
	MaxRingSize = 1 << 30
	MinSnapLen  = 64
	// MaxCaptured is the most that is kept of one packet, enough for any IP packet in two
	// VLAN tags. What is larger (BIG TCP) is cut there, and counted in Counters.Cut.
	MaxCaptured = 65568
	maxPortSets = 64
)

// Options of Load. The zero value of a field is its default.
type Options struct {
	RingSize int // bytes, a power of two from MinRingSize to MaxRingSize; default 64 MiB
	Slots    int // interfaces at one time; default 1024. Each costs 64 bytes a CPU
}

// Direction says which packets of an interface are told.
type Direction uint8

// Of an interface whose other half is told by another one, only one direction is told.
const (
	Both Direction = iota
	InboundOnly
	OutboundOnly
)

// Target says what is wanted of one interface.
type Target struct {
	SnapLen   uint32 // bytes kept of a packet, from MinSnapLen; 0 and more than MaxCaptured: MaxCaptured
	Raw       bool   // its packets begin with the IP header
	Direction Direction

	// Ports of TCP, UDP and SCTP, at either end. Only leaves out every packet that has no
	// such port (later fragments are kept: they may belong to one); nil wants all. Never
	// leaves out what has one.
	Only, Never []uint16
	// Except leaves out what has such a port at an address of SetOwn.
	Except []uint16
	// OwnOnly keeps IP and ARP of the addresses of SetOwn, without outer packets of tunnels:
	// IP in IP, GRE, and UDP to a port of Tunnels.
	OwnOnly bool
	Tunnels []uint16
	// Local says that all addresses of this interface are the node's own (it is its lo).
	Local bool
}

// Counters are the kernel's counts of one slot. A snapshot taken while packets come in may be
// torn by a packet; at rest Seen == Stored + Dropped + Filtered.
type Counters struct {
	Seen     uint64
	Stored   uint64
	Dropped  uint64 // no room in the ring
	Filtered uint64 // not wanted
	Bytes    uint64 // captured bytes of the stored ones
	Cut      uint64 // stored, but longer than MaxCaptured
	Pending  uint64 // dropped after the last stored one of their CPU: in no record's Drops yet
}

// Program is the loaded capture program with its maps.
type Program struct {
	objs  packetObjects
	ring  *Ring
	slots uint32

	mu   sync.Mutex // guards the rest
	sets portSets
	used map[uint32][]uint16 // the port sets of each target
	own  map[netip.Addr]struct{}
}

// Load brings the program into the kernel. It needs CAP_BPF and CAP_PERFMON (or
// CAP_SYS_ADMIN), and Linux 5.8 with BTF.
func Load(o Options) (*Program, error) {
	if o.RingSize == 0 {
		o.RingSize = 64 << 20
	}
	if o.RingSize < MinRingSize || o.RingSize > MaxRingSize || o.RingSize&(o.RingSize-1) != 0 {
		return nil, fmt.Errorf("ring size of %d bytes: must be a power of two from %d (256 KiB) to %d (1 GiB)",
			o.RingSize, MinRingSize, MaxRingSize)
	}
	if o.Slots == 0 {
		o.Slots = 1024
	}
	if o.Slots < 1 || o.Slots > 1<<20 {
		return nil, fmt.Errorf("%d slots: must be from 1 to %d", o.Slots, 1<<20)
	}
	// Before Linux 5.11 maps are charged to the locked memory of the process. A failure shows
	// when a map is made.
	_ = rlimit.RemoveMemlock()

	spec, err := loadPacket()
	if err != nil {
		return nil, fmt.Errorf("read capture program: %w", err)
	}
	spec.Maps[packetMapRing].MaxEntries = uint32(o.RingSize)
	spec.Maps[packetMapCounters].MaxEntries = uint32(o.Slots)
	spec.Maps[packetMapTargets].MaxEntries = uint32(o.Slots)
	spec.Maps[packetMapPortSets].MaxEntries = maxPortSets

	p := &Program{slots: uint32(o.Slots), used: map[uint32][]uint16{}, own: map[netip.Addr]struct{}{}}
	if err := spec.LoadAndAssign(&p.objs, nil); err != nil {
		return nil, Explain(fmt.Errorf("load capture program: %w", err))
	}
	if err := p.objs.Programs.Put(uint32(0), p.objs.Capture); err != nil {
		return nil, errors.Join(fmt.Errorf("link capture program: %w", err), p.objs.Close())
	}
	p.sets.write = func(id uint16, bits *packetPortSet) error {
		return p.objs.PortSets.Put(uint32(id), bits)
	}
	p.ring, err = newRing(p.objs.Ring.FD(), o.RingSize)
	if err != nil {
		return nil, errors.Join(Explain(err), p.objs.Close())
	}
	return p, nil
}

// Close frees the program, its maps and the ring's memory: no record may be read after it.
func (p *Program) Close() error {
	return errors.Join(p.ring.close(), p.objs.Close())
}

// Ring is where the packets arrive.
func (p *Program) Ring() *Ring { return p.ring }

// Slots is how many slots there are: they are numbered from 0.
func (p *Program) Slots() int { return int(p.slots) }

// SetTarget says what is wanted of the interface of slot. Until it is called, nothing of an
// attached interface is kept or counted.
func (p *Program) SetTarget(slot uint32, t *Target) error {
	if slot >= p.slots {
		return fmt.Errorf("slot %d: there are %d", slot, p.slots)
	}
	if t.SnapLen != 0 && t.SnapLen < MinSnapLen {
		return fmt.Errorf("snap length of %d bytes: the smallest is %d", t.SnapLen, MinSnapLen)
	}
	v := packetTarget{Snap: MaxCaptured}
	if t.SnapLen != 0 && t.SnapLen < MaxCaptured {
		v.Snap = t.SnapLen
	}
	switch t.Direction {
	case InboundOnly:
		v.Flags |= flagInboundOnly
	case OutboundOnly:
		v.Flags |= flagOutboundOnly
	}
	if t.Raw {
		v.Flags |= flagRaw
	}
	if t.OwnOnly {
		v.Flags |= flagOwnOnly
	}
	if t.Local {
		v.Flags |= flagLocal
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	var held []uint16
	for _, s := range []struct {
		ports []uint16
		id    *uint16
	}{{t.Only, &v.Only}, {t.Never, &v.Never}, {t.Except, &v.Except}, {t.Tunnels, &v.Tunnel}} {
		if len(s.ports) == 0 {
			continue
		}
		id, err := p.sets.hold(s.ports)
		if err != nil {
			p.sets.release(held)
			return err
		}
		*s.id = id
		held = append(held, id)
	}
	if err := p.objs.Targets.Put(slot, v); err != nil {
		p.sets.release(held)
		return fmt.Errorf("set target of slot %d: %w", slot, err)
	}
	p.sets.release(p.used[slot])
	p.used[slot] = held
	return nil
}

// DeleteTarget ends the interest in the interface of slot. A packet that is being captured at
// this moment may still arrive, until the socket is closed.
func (p *Program) DeleteTarget(slot uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.objs.Targets.Put(slot, packetTarget{}); err != nil {
		return fmt.Errorf("delete target of slot %d: %w", slot, err)
	}
	p.sets.release(p.used[slot])
	delete(p.used, slot)
	return nil
}

// SetOwn replaces the set of addresses that Target.OwnOnly and Target.Except speak of.
func (p *Program) SetOwn(addrs []netip.Addr) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	want := make(map[netip.Addr]struct{}, len(addrs))
	for _, a := range addrs {
		a = netip.AddrFrom16(a.As16()) // drops the zone
		want[a] = struct{}{}
		if _, ok := p.own[a]; ok {
			continue
		}
		if err := p.objs.Own.Put(packetAddress{B: a.As16()}, uint8(1)); err != nil {
			return fmt.Errorf("add own address %s: %w", a, err)
		}
		p.own[a] = struct{}{}
	}
	for a := range p.own {
		if _, ok := want[a]; ok {
			continue
		}
		if err := p.objs.Own.Delete(packetAddress{B: a.As16()}); err != nil {
			return fmt.Errorf("delete own address %s: %w", a, err)
		}
		delete(p.own, a)
	}
	return nil
}

// Counters reads the counts of a slot, over all CPUs.
func (p *Program) Counters(slot uint32) (Counters, error) {
	var per []packetCounters
	if err := p.objs.Counters.Lookup(slot, &per); err != nil {
		return Counters{}, fmt.Errorf("read counters of slot %d: %w", slot, err)
	}
	var c Counters
	for i := range per {
		c.Seen += per[i].Seen
		c.Stored += per[i].Stored
		c.Dropped += per[i].Dropped
		c.Filtered += per[i].Filtered
		c.Bytes += per[i].Bytes
		c.Cut += per[i].Cut
		c.Pending += per[i].Pend
	}
	return c, nil
}

// ResetCounters sets the counts of a slot to zero. No interface may be using it.
func (p *Program) ResetCounters(slot uint32) error {
	n, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	if err := p.objs.Counters.Put(slot, make([]packetCounters, n)); err != nil {
		return fmt.Errorf("reset counters of slot %d: %w", slot, err)
	}
	return nil
}
