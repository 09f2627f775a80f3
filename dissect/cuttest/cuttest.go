// Package cuttest plays what recorded captures hold as it might have come as well: in other
// pieces, with holes, ended early; and holds what a parser then tells against what it tells of
// the whole. For tests only.
package cuttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
	"github.com/sshark/sshark/pcap/pcapng"
)

// Step is what happens to a flow.
type Step struct {
	Dir  flow.Dir
	Data []byte // nil: a gap
	Gap  int64  // bytes that are missing, 0: nobody knows how many
	Time int64
}

// Streams returns what was said in each TCP connection of a capture, in the order in which it
// was captured.
func Streams(tb testing.TB, file string) (list [][]Step) {
	tb.Helper()
	for _, f := range flows(tb, file, flow.TCP) {
		list = append(list, f.Steps)
	}
	return list
}

// flows returns what was said in each flow of a capture over one of the transports.
func flows(tb testing.TB, file string, transports ...flow.Proto) (list []Flow) {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	in, err := pcapng.NewReader(f, pcapng.ReaderOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	var all []*notes
	listen := &dissect.Protocol{Name: "any", Title: "any", Transport: transports,
		Detect: func(*dissect.Probe) dissect.Verdict { return dissect.Yes },
		New: func(f *dissect.Flow, _ dissect.Sink) dissect.Parser {
			all, list = append(all, &notes{}), append(list, Flow{Transport: f.Transport})
			return all[len(all)-1]
		}}
	e := dissect.NewEngine(dissect.Options{Protocols: []*dissect.Protocol{listen}, Workers: 1,
		Handler: func(int) dissect.Handler { return nobody{} }})
	var p pcap.Packet
	for in.Next(&p) == nil {
		e.Packet(&p, 0, flow.UnknownOpener)
	}
	e.Close()
	for i, n := range all {
		list[i].Steps = n.steps
	}
	return list
}

// captures are the files that a pattern matches, of which there must be one.
func captures(tb testing.TB, pattern string) []string {
	tb.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		tb.Fatalf("no captures match %s: %v", pattern, err)
	}
	return files
}

// nobody wants to know.
type nobody struct{}

func (nobody) Call(*dissect.Call)    {}
func (nobody) FlowEnd(*dissect.Flow) {}
func (nobody) Batch()                {}

// notes is a parser that writes all down.
type notes struct{ steps []Step }

func (n *notes) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	n.steps = append(n.steps, Step{Dir: d, Data: bytes.Clone(b), Time: at.Time})
	return nil
}

func (n *notes) Gap(d flow.Dir, size int64, at dissect.Stamp) error {
	n.steps = append(n.steps, Step{Dir: d, Gap: size, Time: at.Time})
	return nil
}

func (n *notes) Close(dissect.Stamp) {}

// Same tells a call from others, by its request and by its response, "" where that is missing.
type Same func(c *dissect.Call) (request, response string)

// Told is a call that a parser handed out.
type Told struct {
	Line       string    // all that is told of it, but times
	Said       [2]string // what its request and its response have in common with those of the same call
	Incomplete bool
}

// Play runs a parser of a flow over steps. same may be nil. Every call is checked for what must
// hold of any.
func Play(tb testing.TB, p *dissect.Protocol, steps []Step, bodies int, same Same) (told []Told, err error) {
	tb.Helper()
	k := &checker{tb: tb, bodies: bodies, same: same}
	err = k.play(p, flow.TCP, steps, k)
	return k.told, err
}

// play runs a parser of a flow, whose sink is k or has it inside.
func (k *checker) play(p *dissect.Protocol, transport flow.Proto, steps []Step, sink dissect.Sink) error {
	f := &dissect.Flow{Transport: transport, Protocol: p, Opening: 1<<32 | 1}
	f.Client.Addr = netip.MustParseAddrPort("10.0.0.1:40000")
	f.Server.Addr = netip.MustParseAddrPort("10.0.0.2:7000")
	k.flow = f
	return feed(p.New(f, sink), steps, 0, func() bool {
		if k.memory != nil {
			k.memory.Check(k.tb)
		}
		return !k.switched
	})
}

// feed gives steps to a parser, in pieces of at most chunk bytes, 0: whole, as long as it wants
// them and goOn, which is asked behind each, says so.
func feed(p dissect.Parser, steps []Step, chunk int, goOn func() bool) (err error) {
	var at dissect.Stamp
all:
	for _, s := range steps {
		if at.Time = s.Time; s.Data == nil {
			if err = p.Gap(s.Dir, s.Gap, at); err != nil || !goOn() {
				break
			}
			continue
		}
		b := bytes.Clone(s.Data)
		size := len(b)
		if chunk > 0 {
			size = chunk
		}
		for {
			n := min(len(b), size)
			err = p.Data(s.Dir, b[:n:n], at)
			clear(b[:n]) // it was borrowed
			if err != nil || !goOn() {
				break all
			}
			if b = b[n:]; len(b) == 0 {
				break
			}
		}
	}
	p.Close(dissect.Stamp{Time: at.Time + 1e6})
	return err
}

// checker is a sink that checks calls.
type checker struct {
	tb       testing.TB
	bodies   int
	same     Same
	flow     *dissect.Flow
	told     []Told
	switched bool
	memory   *memtest.Gauge // of a fuzzer, which needs no told; nil: nothing is watched
	check    func(tb testing.TB, c *dissect.Call)
}

func (k *checker) Bodies() (int, bool)   { return k.bodies, k.bodies > 0 }
func (k *checker) Switch(string, []byte) { k.switched = true }

func (k *checker) Call(c *dissect.Call) {
	k.tb.Helper()
	c.Flow, c.Protocol = k.flow, k.flow.Protocol
	fields := "{" + strings.TrimPrefix(string(c.Message.AppendFields(nil)), ",") + "}"
	if !json.Valid([]byte(fields)) {
		k.tb.Errorf("no JSON: %s", fields)
	}
	b := fmt.Appendf(nil, "%v %v %v %d %d %s", c.Reverse, c.Incomplete, c.Error, c.RequestSize, c.ResponseSize, fields)
	b = c.Message.AppendStatus(append(c.Message.AppendSummary(append(b, ' ')), ' '))
	for part := range 2 {
		if body := c.Message.Body(part); body != nil {
			if len(body.Data) > k.bodies {
				k.tb.Errorf("body of %d bytes, %d are wanted", len(body.Data), k.bodies)
			}
			b = fmt.Appendf(b, " body %d %v %q", body.Size, body.Truncated, body.Data)
		}
	}
	for _, f := range k.flow.Protocol.Fields {
		checkKind(k.tb, &f, f.Get(c))
	}
	if c.Time == 0 || c.RequestEnd != 0 && c.RequestEnd < c.Time || c.ResponseEnd < c.ResponseStart {
		k.tb.Errorf("times: %+v", c)
	}
	if k.check != nil {
		k.check(k.tb, c)
	}
	if k.memory != nil {
		return
	}
	t := Told{Line: string(b), Incomplete: c.Incomplete}
	if k.same != nil {
		t.Said[0], t.Said[1] = k.same(c)
	}
	k.told = append(k.told, t)
}

func checkKind(tb testing.TB, f *dissect.Field, v any) {
	tb.Helper()
	ok := v == nil
	switch v.(type) {
	case string:
		ok = f.Kind == dissect.String
	case int64:
		ok = f.Kind == dissect.Int
	case bool:
		ok = f.Kind == dissect.Bool
	case []string:
		ok = f.Kind == dissect.Strings
	case map[string]string:
		ok = f.Kind == dissect.Map
	case []byte:
		ok = f.Kind == dissect.Bytes
	}
	if !ok {
		tb.Errorf("%s is a %T", f.Name, v)
	}
}

// Cut plays the streams of the captures that a pattern matches as they would be if they came
// in other pieces, ended early, began late or had holes: other pieces must give the calls of
// the whole, and no loss may give a complete call that the whole does not have.
func Cut(t *testing.T, pattern string, p *dissect.Protocol, same Same) {
	t.Helper()
	for _, file := range captures(t, pattern) {
		t.Run(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), func(t *testing.T) {
			for i, steps := range Streams(t, file) {
				cutStream(t, fmt.Sprintf("stream %d", i), p, steps, same)
			}
		})
	}
}

func cutStream(t *testing.T, name string, p *dissect.Protocol, steps []Step, same Same) {
	const bodies = 1 << 14
	whole, err := Play(t, p, steps, bodies, same)
	if err != nil {
		return
	}
	lines := func(told []Told) (list []string) {
		for _, c := range told {
			list = append(list, c.Line)
		}
		slices.Sort(list)
		return list
	}
	requests, pairs := map[string]int{}, map[[2]string]bool{}
	for _, c := range whole {
		requests[c.Said[0]]++
		pairs[c.Said] = true
	}
	faults := 0
	real := func(what string, told []Told) {
		n := map[string]int{}
		for _, c := range told {
			if c.Incomplete {
				continue
			}
			n[c.Said[0]]++
			if n[c.Said[0]] > requests[c.Said[0]] || c.Said[1] != "" && !pairs[c.Said] {
				if faults++; faults < 5 {
					t.Errorf("%s, %s: invented %s", name, what, c.Line)
				}
			}
		}
	}
	want := lines(whole)
	for _, size := range []int{1, 2, 3, 7, 64, 1000} {
		got, _ := Play(t, p, pieces(steps, size), bodies, same)
		if g := lines(got); !slices.Equal(g, want) {
			for i := range max(len(g), len(want)) {
				if i >= len(g) || i >= len(want) || g[i] != want[i] {
					t.Errorf("%s in pieces of %d: %d calls, want %d; the first that differs\n%.600q\n%.600q", name, size, len(g), len(want), g[i:min(i+1, len(g))], want[i:min(i+1, len(want))])
					break
				}
			}
		}
	}
	for i := range steps {
		s := &steps[i]
		stride := max(1, len(s.Data)/12)
		for at := 0; at < len(s.Data); at += stride {
			split := slices.Concat(steps[:i], []Step{{s.Dir, s.Data[:at:at], 0, s.Time}, {s.Dir, s.Data[at:], 0, s.Time}}, steps[i+1:])
			if at == 0 {
				split = slices.Delete(split, i, i+1)
			}
			if got, _ := Play(t, p, split, bodies, same); !slices.Equal(lines(got), want) {
				t.Errorf("%s split at %d of step %d: other calls", name, at, i)
			}
			got, _ := Play(t, p, split[:i+1], bodies, same)
			real(fmt.Sprintf("cut at %d of step %d", at, i), got)
		}
		got, _ := Play(t, p, steps[i:], bodies, same)
		real(fmt.Sprintf("from step %d", i), got)
		for _, known := range []int64{0, int64(len(s.Data))} {
			if known == 0 && s.Data == nil {
				continue
			}
			holed := slices.Clone(steps)
			holed[i] = Step{Dir: s.Dir, Gap: known, Time: s.Time}
			got, _ = Play(t, p, holed, bodies, same)
			real(fmt.Sprintf("without step %d", i), got)
		}
	}
	for seed := range uint64(80) {
		r := rand.New(rand.NewPCG(seed, 1))
		var holed []Step
		for _, s := range pieces(steps, 1+r.IntN(300)) {
			switch r.IntN(12) {
			case 0:
				holed = append(holed, Step{Dir: s.Dir, Gap: int64(len(s.Data)) * int64(r.IntN(2)), Time: s.Time})
			default:
				holed = append(holed, s)
			}
		}
		got, _ := Play(t, p, holed, bodies, same)
		real(fmt.Sprintf("with holes, seed %d", seed), got)
	}
}

// pieces cuts steps into ones of at most that many bytes.
func pieces(steps []Step, size int) (list []Step) {
	for _, s := range steps {
		if s.Data == nil {
			list = append(list, s)
			continue
		}
		for part := range slices.Chunk(s.Data, size) {
			list = append(list, Step{Dir: s.Dir, Data: part, Time: s.Time})
		}
	}
	return list
}

// Memory is how many bytes a parser may take, whatever it is fed.
const Memory = 16 << 20

// Fuzz fuzzes a parser. The streams of the captures that a pattern matches are the seeds.
func Fuzz(f *testing.F, pattern string, p *dissect.Protocol) {
	var seeds [][]Step
	for _, file := range captures(f, pattern) {
		seeds = append(seeds, Streams(f, file)...)
	}
	FuzzScripts(f, p, nil, seeds...)
}
