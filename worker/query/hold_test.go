package query

import (
	"context"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/store"
	"github.com/sshark/sshark/servicemap/identity"
)

// TestHold: packets that are held are all told, though the ring moves on while they are read, or
// between two readings of them.
func TestHold(t *testing.T) {
	path := capture(t, 500)
	file := openFile(t, path)
	for _, tt := range []struct {
		name    string
		hold    bool
		filter  string // with one that speaks of calls the store is read twice
		between bool   // the ring moves on between them, or else behind the first packet
	}{
		{"not held", false, "", false},
		{"held", true, "", false},
		{"held, read twice", true, "http", false},
		{"held, between the readings", true, "http", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := store.Open(store.Options{Dir: t.TempDir(), Node: "node-a", MaxBytes: 2 << 20, SegmentBytes: 64 << 10, Wait: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var all []pcap.Packet
			p := file.pass()
			if err := p.read(t.Context(), nil, func(k *pcap.Packet) error {
				own := *k
				own.Data = append([]byte(nil), k.Data...)
				all = append(all, own)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := s.Append(all); err != nil {
				t.Fatal(err)
			}
			until := all[len(all)-1].Time + 1
			moved := false
			move := func() {
				if moved {
					return
				}
				moved = true
				for n := range 40 {
					for i := range all {
						all[i].Time = until + int64(n*len(all)+i)*1000
					}
					if err := s.Append(all); err != nil {
						t.Error(err)
					}
					if err := s.Sync(); err != nil {
						t.Error(err)
					}
				}
			}
			stored := NewStored(StoredOptions{Node: "node-a", Store: s, Names: identity.New(), State: func() Node { return Node{} },
				Protocols: file.protocols, Language: file.language})
			r := &Request{Until: until, Filter: tt.filter, Hold: tt.hold}
			told, gone := 0, 0
			if tt.between {
				q, err := stored.reading(r)
				if err != nil {
					t.Fatal(err)
				}
				release := q.hold(context.Background())
				defer release()
				move()
				err = q.read(t.Context(), r, 0, 0, nil, func(*pcap.Packet, flow.ID, flow.Opener) error { told++; return nil }, nil)
				if err != nil {
					t.Fatal(err)
				}
				gone = q.gone
			} else {
				report, err := stored.Packets(t.Context(), r, &mover{n: &told, each: move})
				if err != nil {
					t.Fatal(err)
				}
				gone = report.Nodes[0].Gone
			}
			if whole := told == len(all) && gone == 0; whole != tt.hold || !whole && gone == 0 {
				t.Errorf("%d of %d packets, %d segments gone", told, len(all), gone)
			}
		})
	}
}

// mover counts packets.
type mover struct {
	n    *int
	each func()
}

func (c *mover) Packet(*pcap.Packet) error { *c.n++; c.each(); return nil }
func (c *mover) Name(pcap.Name) error      { return nil }
func (c *mover) Flush() error              { return nil }
