package query

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"

	"github.com/sshark/sshark/pcap"
)

// Newest is a PacketSink that keeps copies of the newest packets that it takes, with the names
// that were told before them, until it is known that they are the newest.
type Newest struct {
	most    int // packets
	room    int // bytes of these
	packets []pcap.Packet
	held    int // bytes of packets
	taken   int // packets, ever
	names   []nameBefore
	looked  int // names that were left by the last look at them
}

// nameBefore is a name, and the number of the packet that it was told before.
type nameBefore struct {
	pcap.Name
	number int
}

// NewNewest keeps n packets, and of these up to room bytes.
func NewNewest(n, room int) *Newest { return &Newest{most: n, room: room} }

// Len is how many packets are kept.
func (k *Newest) Len() int { return min(len(k.packets), k.most) }

// Name implements PacketSink.
func (k *Newest) Name(n pcap.Name) error {
	k.names = append(k.names, nameBefore{pcap.Name{Addr: n.Addr, Names: slices.Clone(n.Names)}, k.taken})
	return nil
}

// Packet implements PacketSink. It returns ErrTooMuch if there is no room for the newest.
func (k *Newest) Packet(p *pcap.Packet) error {
	own := *p
	own.Data = bytes.Clone(p.Data)
	k.packets, k.held = append(k.packets, own), k.held+len(own.Data)
	k.taken++
	if k.held > 2*k.room || len(k.packets) >= 2*k.most {
		k.trim()
		if k.held > k.room {
			return ErrTooMuch
		}
	}
	return nil
}

// Flush implements PacketSink. It hands nothing on.
func (k *Newest) Flush() error { return nil }

// trim forgets the packets that are not among the newest. Of the names that an address had before
// them the last one is kept.
func (k *Newest) trim() {
	keep := k.Len()
	gone := len(k.packets) - keep
	for i := range k.packets[:gone] {
		k.held -= len(k.packets[i].Data)
	}
	copy(k.packets, k.packets[gone:])
	clear(k.packets[keep:])
	k.packets = k.packets[:keep]
	if len(k.names) < 2*k.looked+64 { // or few names would be looked at with each packet
		return
	}
	later := map[netip.Addr]bool{}
	var kept []nameBefore
	for _, n := range slices.Backward(k.names) {
		if n.number > k.taken-keep || !later[n.Addr] {
			kept = append(kept, n)
		}
		later[n.Addr] = later[n.Addr] || n.number <= k.taken-keep
	}
	slices.Reverse(kept)
	k.names, k.looked = kept, len(kept)
}

// HandOn hands on what is kept, and forgets it.
func (k *Newest) HandOn(out PacketSink) error {
	k.trim()
	names, first := k.names, k.taken-len(k.packets)
	for i := range k.packets {
		for ; len(names) > 0 && names[0].number <= first+i; names = names[1:] {
			if err := out.Name(names[0].Name); err != nil {
				return err
			}
		}
		if err := out.Packet(&k.packets[i]); err != nil {
			return err
		}
	}
	*k = Newest{most: k.most, room: k.room}
	return out.Flush()
}

// bounded is where the packets of an answer to r go on their way to out, and what is called when
// they were all told, with the error that this ended with.
func bounded(r *Request, out PacketSink, room int) (PacketSink, func(error) error) {
	if r.Last == 0 {
		return out, func(err error) error { return err }
	}
	k := NewNewest(r.Last, room)
	return k, func(err error) error {
		if err == nil {
			err = k.HandOn(out)
		}
		if errors.Is(err, ErrStop) {
			return nil
		}
		return err
	}
}
