package cuttest

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
)

// Flow is what was said in one flow of datagrams.
type Flow struct {
	Transport flow.Proto
	Steps     []Step
}

// Datagrams returns the flows of a capture that are not TCP, of SCTP its user messages.
func Datagrams(tb testing.TB, file string) []Flow {
	tb.Helper()
	return flows(tb, file, flow.UDP, flow.SCTP, flow.ICMP, flow.ICMPv6)
}

// CutDatagrams plays the flows of datagrams of the captures that a pattern matches as they
// would be if datagrams were missing, came twice, in another order, or were cut short: no
// loss may give a complete call that the whole does not have.
func CutDatagrams(t *testing.T, pattern string, p *dissect.Protocol, same Same) {
	t.Helper()
	for _, file := range captures(t, pattern) {
		t.Run(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), func(t *testing.T) {
			for i, f := range Datagrams(t, file) {
				cutDatagrams(t, fmt.Sprintf("flow %d", i), p, f, same)
			}
		})
	}
}

func cutDatagrams(t *testing.T, name string, p *dissect.Protocol, f Flow, same Same) {
	play := func(steps []Step) []Told {
		k := &shorts{checker: checker{tb: t, bodies: 1 << 14, same: same}}
		if err := k.play(p, f.Transport, steps, k); err != nil && !errors.Is(err, dissect.ErrNotMine) {
			t.Error(err)
		}
		return k.told
	}
	said := map[[2]string]int{}
	asked := map[string]int{}
	for _, c := range play(f.Steps) {
		said[c.Said]++
		asked[c.Said[0]]++
	}
	// real checks what a damaged flow gives; more is how much more often a call may come.
	real := func(what string, more int, steps []Step) {
		n := map[string]int{}
		for _, c := range play(steps) {
			if c.Incomplete {
				continue
			}
			if n[c.Said[0]]++; n[c.Said[0]] > asked[c.Said[0]]+more || c.Said[1] != "" && said[c.Said] == 0 {
				t.Errorf("%s, %s: invented %s", name, what, c.Line)
			}
		}
	}
	for i, s := range f.Steps {
		without := slices.Delete(slices.Clone(f.Steps), i, i+1)
		real(fmt.Sprintf("without datagram %d", i), 0, without)
		real(fmt.Sprintf("datagram %d twice", i), 1, slices.Insert(slices.Clone(f.Steps), i, s))
		real(fmt.Sprintf("from datagram %d on", i), 0, f.Steps[i:])
		if i > 0 {
			turned := slices.Clone(f.Steps)
			turned[i-1].Data, turned[i].Data = turned[i].Data, turned[i-1].Data
			turned[i-1].Dir, turned[i].Dir = turned[i].Dir, turned[i-1].Dir
			real(fmt.Sprintf("datagram %d early", i), 0, turned)
		}
		if i >= 16 {
			continue
		}
		for n := range s.Data {
			cut := slices.Clone(f.Steps)
			cut[i].Data = s.Data[:n:n]
			real(fmt.Sprintf("datagram %d cut to %d bytes", i, n), 0, cut)
		}
	}
}

// FuzzFlows is Fuzz for a protocol of datagrams, over any of its transports but TCP, and shows
// all to detection too. The captures that a pattern matches are the seeds.
func FuzzFlows(f *testing.F, pattern string, p *dissect.Protocol) {
	var transports []flow.Proto
	for _, t := range p.Transport {
		if t != flow.TCP {
			transports = append(transports, t)
		}
	}
	for _, file := range captures(f, pattern) {
		for _, flow := range Datagrams(f, file) {
			f.Add(folded(flow.Steps), uint8(max(0, slices.Index(transports, flow.Transport))))
		}
	}
	memory := memtest.New(Memory)
	f.Fuzz(func(t *testing.T, b []byte, transport uint8) {
		fuzzDatagrams(t, p, transports[int(transport)%len(transports)], b, memory)
	})
}

// FuzzDatagrams is FuzzFlows over UDP, with conversations that are written down for seeds.
func FuzzDatagrams(f *testing.F, p *dissect.Protocol, seeds ...[]Step) {
	for _, steps := range seeds {
		f.Add(folded(steps))
	}
	memory := memtest.New(Memory)
	f.Fuzz(func(t *testing.T, b []byte) { fuzzDatagrams(t, p, flow.UDP, b, memory) })
}

func fuzzDatagrams(t *testing.T, p *dissect.Protocol, transport flow.Proto, b []byte, memory *memtest.Gauge) {
	memory.Input()
	steps := unfolded(b)
	for _, s := range steps {
		probe := dissect.Probe{Transport: transport}
		probe.Data[s.Dir] = s.Data
		p.Detect(&probe)
	}
	k := &shorts{checker: checker{tb: t, bodies: 1000, memory: memory}}
	if err := k.play(p, transport, steps, k); err != nil && !errors.Is(err, dissect.ErrNotMine) {
		t.Error(err)
	}
}

// folded is what datagrams are to a fuzzer: a byte that says who sent one, two for its size, and
// what it holds.
func folded(steps []Step) (b []byte) {
	for _, s := range steps {
		b = append(append(b, byte(s.Dir), byte(len(s.Data)), byte(len(s.Data)>>8)), s.Data...)
	}
	return b
}

func unfolded(b []byte) (steps []Step) {
	for len(b) >= 3 {
		d, n := flow.Dir(b[0]&1), min(int(b[1])|int(b[2])<<8, len(b)-3)
		steps = append(steps, Step{Dir: d, Data: b[3 : 3+n : 3+n]})
		b = b[3+n:]
	}
	timed(steps)
	return steps
}
