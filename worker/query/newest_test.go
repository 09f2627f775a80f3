package query

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/sshark/sshark/pcap"
)

// words writes down what it takes.
type words []string

func (w *words) Packet(p *pcap.Packet) error { *w = append(*w, string(p.Data)); return nil }
func (w *words) Name(n pcap.Name) error {
	*w = append(*w, fmt.Sprint(n.Addr, "=", n.Names[0]))
	return nil
}
func (w *words) Flush() error { *w = append(*w, "flush"); return nil }

func TestNewest(t *testing.T) {
	for _, c := range []struct {
		most int
		in   string // p: a packet; a, b: a name of that address
		want []string
	}{
		{3, "", []string{"flush"}},
		{3, "ap", []string{"1.1.1.1=0", "p1", "flush"}},
		{1, "apbpap", []string{"2.2.2.2=2", "1.1.1.1=4", "p5", "flush"}},
		{2, "apbpapbp", []string{"2.2.2.2=2", "1.1.1.1=4", "p5", "2.2.2.2=6", "p7", "flush"}},
		{3, "ppppppappp", []string{"1.1.1.1=6", "p7", "p8", "p9", "flush"}},
	} {
		// Names are looked at when there are many: of these all stand before the first packet.
		for _, many := range []int{0, 200} {
			k := NewNewest(c.most, 1<<20)
			other := pcap.Name{Addr: netip.MustParseAddr("3.3.3.3"), Names: []string{"0"}}
			for range many {
				k.Name(other)
			}
			for i, what := range c.in {
				data := fmt.Appendf(nil, "p%d", i)
				switch what {
				case 'p':
					if err := k.Packet(&pcap.Packet{Data: data}); err != nil {
						t.Fatal(err)
					}
					clear(data) // it is borrowed
				case 'a':
					k.Name(pcap.Name{Addr: netip.MustParseAddr("1.1.1.1"), Names: []string{fmt.Sprint(i)}})
				case 'b':
					k.Name(pcap.Name{Addr: netip.MustParseAddr("2.2.2.2"), Names: []string{fmt.Sprint(i)}})
				}
			}
			var got words
			if err := k.HandOn(&got); err != nil {
				t.Fatal(err)
			}
			// The last name before the first packet counts: those before it may be there or not.
			seen := map[string]bool{}
			var last words
			packets := slices.IndexFunc(got, func(s string) bool { return s[0] == 'p' })
			for i, s := range slices.Backward(got) {
				if i < packets && (s[0] == '3' || seen[s[:7]]) {
					continue
				}
				if i < packets {
					seen[s[:7]] = true
				}
				last = append(last, s)
			}
			slices.Reverse(last)
			if !slices.Equal(last, c.want) {
				t.Errorf("%d of %s, %d names: %q", c.most, c.in, many, got)
			}
		}
	}
	k := NewNewest(100, 1000)
	var err error
	for range 30 {
		err = errors.Join(err, k.Packet(&pcap.Packet{Data: make([]byte, 100)}))
	}
	if !errors.Is(err, ErrTooMuch) {
		t.Errorf("packets of 3000 bytes in 1000: %v", err)
	}
}

// The names are bounded by the addresses.
func TestNewestNames(t *testing.T) {
	k := NewNewest(2, 1000)
	for i := range 10_000 {
		k.Name(pcap.Name{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 8)}), Names: []string{fmt.Sprint(i)}})
		k.Packet(&pcap.Packet{Data: []byte{1}})
	}
	if len(k.names) > 100 {
		t.Errorf("%d names are held", len(k.names))
	}
}
