package command

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/sshd/sourcetest"
)

// TestStatsGroups: groups are counted apart, the largest first, and bounded in number and size.
func TestStatsGroups(t *testing.T) {
	columns, err := language.Columns("summary")
	if err != nil {
		t.Fatal(err)
	}
	p := newTally([]string{"summary"}, columns)
	for i := range maxGroups + 7 {
		s := sourcetest.Source{Summary: fmt.Sprint("GET /", i)}
		for range 1 + i%3 {
			if err := p.call(s.Call(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := p.sorted()
	if len(all) != maxGroups || p.others == 0 {
		t.Errorf("%d groups, %d calls of others", len(all), p.others)
	}
	var sum uint64
	for i, g := range all {
		if i > 0 && g.calls > all[i-1].calls {
			t.Fatalf("group %d has %d calls, the one before %d", i, g.calls, all[i-1].calls)
		}
		sum += g.calls
	}
	if sum+p.others != uint64(p.count()) {
		t.Errorf("%d in groups, %d in others, of %d", sum, p.others, p.count())
	}
	p = newTally([]string{"summary"}, columns)
	s := sourcetest.Source{Summary: strings.Repeat("漢", 10000)}
	if err := p.call(s.Call(1)); err != nil || len(p.sorted()[0].key) > maxValue+16 {
		t.Errorf("a value of %d bytes is kept: %v", len(p.sorted()[0].key), err)
	}
}

// TestStatsOfAll: without a bound all of the window counts, not the newest 100.
func TestStatsOfAll(t *testing.T) {
	e := newEnv(&sourcetest.Source{Kept: 250})
	r := runLine(t, e, "stats -o json")
	var got struct {
		Calls  int
		Rate   float64
		Errors int
	}
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || got.Calls != 250 || got.Errors != 50 || r.stderr != "" {
		t.Fatalf("%v: %+v", err, r)
	}
	// Packets are kept of the last ten minutes of the quarter of an hour that is asked for.
	if want := 250 / 600.0; got.Rate < want*0.999 || got.Rate > want*1.001 {
		t.Errorf("rate %v, want %v", got.Rate, want)
	}
	for line, rate := range map[string]float64{"stats -o json --last 11": 1.1, "stats -o json --since 10m --until 9m": 1} {
		r := runLine(t, e, line)
		if err := json.Unmarshal([]byte(r.out), &got); err != nil || got.Rate < rate*0.999 || got.Rate > rate*1.001 {
			t.Errorf("%s: rate %v, want %v: %s", line, got.Rate, rate, r.stderr)
		}
	}
	e.Source, e.Open = nil, open(nil)
	if r := runLine(t, e, "stats --pcap x http --by status_code -o json"); r.status != 0 || strings.Count(r.out, "\n") != 2 {
		t.Errorf("a file: %+v", r)
	}
}

// TestNames: an address that changed hands is told of once for each of its owners; who is not
// known is told of only where the address was asked for.
func TestNames(t *testing.T) {
	end := func(addr string, id *dissect.Identity) dissect.Endpoint {
		return dissect.Endpoint{Addr: netip.MustParseAddrPort(addr), Identity: id}
	}
	cart, till := &dissect.Identity{Namespace: "shop", Pod: "cart-0", Node: "node-a"}, &dissect.Identity{Namespace: "bank", Pod: "till-0"}
	again := &dissect.Identity{Namespace: "shop", Pod: "cart-0", Node: "node-a"}
	flows := []*dissect.Flow{
		{Client: end("192.0.2.1:40000", nil), Server: end("10.0.0.1:80", cart), First: 1e9, Last: 2e9},
		{Client: end("192.0.2.1:40001", nil), Server: end("[::ffff:10.0.0.1]:81", again), First: 3e9, Last: 4e9},
		{Client: end("192.0.2.2:40001", nil), Server: end("10.0.0.1:80", till), First: 5e9, Last: 6e9},
	}
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"all", nil, []string{"10.0.0.1 shop/cart-0 1 4", "10.0.0.1 bank/till-0 5 6"}},
		{"an address", []string{"192.0.2.1"}, []string{"192.0.2.1 192.0.2.1 1 4"}},
		{"a network", []string{"192.0.2.0/24"}, []string{"192.0.2.1 192.0.2.1 1 4", "192.0.2.2 192.0.2.2 5 6"}},
		{"another", []string{"fd00::/8"}, nil},
	} {
		within, err := network(tt.args)
		if err != nil {
			t.Fatal(err)
		}
		p := &roll{within: within, known: map[bearer]*named{}}
		for _, f := range flows {
			if err := p.flow(f); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, n := range p.sorted() {
			got = append(got, fmt.Sprint(n.end.Addr.Addr(), " ", n.end.Display(), " ", n.first/1e9, " ", n.last/1e9))
		}
		if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// BenchmarkStats counts calls in groups of a field of their protocol.
func BenchmarkStats(b *testing.B) {
	columns, err := language.Columns("dst.service", "status_code")
	if err != nil {
		b.Fatal(err)
	}
	s := sourcetest.Source{}
	c := s.Call(3)
	p := newTally([]string{"dst.service", "status_code"}, columns)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.call(c); err != nil {
			b.Fatal(err)
		}
	}
}
