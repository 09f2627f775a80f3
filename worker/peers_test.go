package worker

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// asks takes the next batch, sorted; "" if none comes within a while.
func asks(t *testing.T, p *peers, within time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	batch, err := p.ask(ctx)
	if err != nil {
		return ""
	}
	var list []string
	for _, a := range batch {
		list = append(list, a.String())
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestPeersAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeers(time.Now)
		p.setOwn(map[netip.Addr]bool{netip.MustParseAddr("10.0.0.9"): true})
		see := func() {
			p.met(at("10.0.0.9:80")) // our own pod
			p.met(at("127.0.0.1:80"))
			p.met(at("[fe80::1]:80"))
			p.met(at("224.0.0.251:5353"))
			p.met(at("10.0.0.1:0"))
			p.met(at("10.0.0.2:443"))
		}
		want := func(what, want string, within time.Duration) {
			t.Helper()
			if got := asks(t, p, within); got != want {
				t.Errorf("%s: asked %q, want %q", what, got, want)
			}
		}
		see()
		see()
		want("at first", "10.0.0.1:0 10.0.0.2:443", time.Second)
		if p.open() != 2 {
			t.Errorf("%d are open", p.open())
		}
		see()
		want("while the answer is under way", "", answerWait/2)
		want("no answer", "10.0.0.1:0 10.0.0.2:443", 2*answerWait)
		p.answered(netip.MustParseAddr("10.0.0.1"), whole)
		p.answered(netip.MustParseAddr("10.0.0.2"), nobody)
		if p.open() != 0 {
			t.Errorf("%d are open", p.open())
		}
		see()
		p.met(at("10.0.0.1:8080"))
		want("answered", "", time.Second/2)
		for range nobodyAgain {
			want("nobody, as far as the cluster knows by now", "10.0.0.2:0", 10*time.Second)
			p.answered(netip.MustParseAddr("10.0.0.2"), nobody)
		}
		want("nobody", "", 10*time.Second)
		<-time.After(askAgain)
		see()
		want("an old answer", "10.0.0.1:0 10.0.0.2:443", time.Second)
		p.answered(netip.MustParseAddr("10.0.0.1"), whole)
		p.answered(netip.MustParseAddr("10.0.0.2"), nobody)
		p.again(time.Time{}, true)
		want("a new hub", "10.0.0.2:0", time.Second)
	})
}

// Behind one address of a node may be many.
func TestPeersPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeers(time.Now)
		node := netip.MustParseAddr("192.0.2.1")
		p.met(at("192.0.2.1:30080"))
		p.met(at("192.0.2.1:10250"))
		if got := asks(t, p, time.Second); got != "192.0.2.1:10250 192.0.2.1:30080" {
			t.Errorf("at first: %q", got)
		}
		p.answered(node, ports)
		p.met(at("192.0.2.1:30080"))
		p.met(at("192.0.2.1:0"))
		p.met(at("192.0.2.1:30081"))
		if got := asks(t, p, time.Second); got != "192.0.2.1:30081" {
			t.Errorf("then: %q", got)
		}
		for port := range 3 * maxAsked {
			p.met(netip.AddrPortFrom(node, uint16(port+1)))
		}
		if n := len(p.known[node].asked); n > maxAsked {
			t.Errorf("%d ports of one address are remembered", n)
		}
	})
}

// Batches are bounded and no more often than they may be; so is what waits.
func TestPeersBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeers(time.Now)
		for i := range 2 * maxPeers {
			p.met(netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255|1)), 0))
		}
		if len(p.queue) != maxQueue || p.open() != maxQueue || len(p.known) > maxPeers {
			t.Errorf("%d wait, %d are open, %d are known", len(p.queue), p.open(), len(p.known))
		}
		began := time.Now()
		for n := range maxQueue / maxBatch {
			batch, err := p.ask(t.Context())
			if err != nil || len(batch) != maxBatch {
				t.Fatalf("batch %d of %d: %v", n, len(batch), err)
			}
			for _, a := range batch {
				p.answered(a.Addr(), nobody)
			}
		}
		if took := time.Since(began); took != (maxQueue/maxBatch-1)*batchEvery {
			t.Errorf("%v for %d batches", took, maxQueue/maxBatch)
		}
		<-time.After(time.Second)
		p.met(at("172.16.0.1:80")) // what was never asked for makes room
		if p.known[netip.MustParseAddr("172.16.0.1")] == nil || p.open() != 1 || len(p.known) != maxQueue+1 {
			t.Errorf("there is no room for a new address: %d are known, %d open", len(p.known), p.open())
		}
	})
}

func BenchmarkMet(b *testing.B) {
	p := newPeers(time.Now)
	for i := range 1000 {
		p.met(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		p.met(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8 & 3), byte(i)}), 80))
	}
}
