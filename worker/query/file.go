package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/servicemap/identity"
)

// tail is how long behind the window packets are read, for the answers to its last requests.
const tail = 30 * time.Second

// File is a capture file as a Source. It is read anew for each question, from its beginning,
// so that flows have the same IDs in every answer. What can be read only once, a pipe, is
// copied to a temporary file first.
type File struct {
	path      string // as it was given
	copy      string // of a pipe, "" if path can be read again
	protocols []*dissect.Protocol
	language  *filter.Language
}

// OpenFile makes sure that path is a capture. The language must be that of the protocols.
// "-" is standard input. Close removes the copy of a pipe.
func OpenFile(path string, protocols []*dissect.Protocol, language *filter.Language) (*File, error) {
	f := &File{path: path, protocols: protocols, language: language}
	in := os.Stdin
	if path != "-" {
		var err error
		if in, err = os.Open(path); err != nil {
			return nil, err
		}
		defer in.Close()
	}
	if st, err := in.Stat(); err != nil || !st.Mode().IsRegular() || path == "-" {
		if f.copy, err = spool(in); err != nil {
			return nil, fmt.Errorf("copy %s: %w", path, err)
		}
	}
	again, err := f.open()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	defer again.Close()
	if _, err := pcapng.NewReader(again, pcapng.ReaderOptions{}); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	return f, nil
}

// spool copies what can be read once to a temporary file.
func spool(in io.Reader) (path string, err error) {
	out, err := os.CreateTemp("", "sshark-*.pcap")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return "", errors.Join(err, os.Remove(out.Name()))
	}
	return out.Name(), nil
}

// Close removes what OpenFile made.
func (f *File) Close() error {
	if f.copy == "" {
		return nil
	}
	return os.Remove(f.copy)
}

func (f *File) open() (*os.File, error) {
	if f.copy != "" {
		return os.Open(f.copy)
	}
	return os.Open(f.path)
}

// pass is one reading of the file.
type pass struct {
	file   *File
	names  *identity.Table
	report NodeReport
	skip   map[pcap.LinkType]uint64 // packets that cannot be dissected
	learn  *learner
}

func (f *File) pass() *pass {
	names := identity.New()
	return &pass{file: f, names: names, report: NodeReport{Node: filepath.Base(f.path)}, skip: map[pcap.LinkType]uint64{}, learn: newLearner(names)}
}

// read visits all packets and names. What is wrong with the file goes into the report.
func (p *pass) read(ctx context.Context, name func(pcap.Name) error, visit func(*pcap.Packet) error) error {
	in, err := p.file.open()
	if err != nil {
		return err
	}
	defer in.Close()
	p.learn.next = name
	rd, err := pcapng.NewReader(in, pcapng.ReaderOptions{OnName: p.learn.name})
	if err != nil {
		return fmt.Errorf("read %s: %w", p.file.path, err)
	}
	var packet pcap.Packet
	for n := 0; ; n++ {
		if n&1023 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		err := rd.Next(&packet)
		var corrupt *pcapng.CorruptError
		switch {
		case errors.Is(err, io.EOF):
			return p.done()
		case errors.As(err, &corrupt):
			p.report.Missing = fmt.Sprintf("the file is damaged %v; what comes before is complete", err)
			return p.done()
		case err != nil:
			return fmt.Errorf("read %s: %w", p.file.path, err)
		case p.learn.err != nil:
			return p.learn.err
		}
		p.learn.packet(&packet)
		p.seen(&packet)
		if err := visit(&packet); err != nil {
			return err
		}
	}
}

func (p *pass) done() error {
	for link, n := range p.skip {
		p.report.Notes = append(p.report.Notes, fmt.Sprintf("%d packets have link type %d, which is not dissected", n, link))
	}
	slices.Sort(p.report.Notes)
	return nil
}

func (p *pass) seen(packet *pcap.Packet) {
	r := &p.report
	if r.Oldest == 0 || packet.Time < r.Oldest {
		r.Oldest = packet.Time
	}
	r.Newest = max(r.Newest, packet.Time)
	r.Dropped += packet.Drops
	if !packet.Iface.Link.Known() {
		p.skip[packet.Iface.Link]++
	}
}

// dissection prepares a run over the file.
func (p *pass) dissection(r *Request) (*dissection, error) {
	f, err := p.file.language.Compile(r.Filter)
	if err != nil {
		return nil, err
	}
	if err := r.Access.check(f); err != nil {
		return nil, err
	}
	return newDissection(r, f, p.file.protocols, p.names.Resolve), nil
}

func (p *pass) input(r *Request) input {
	stop := end(r)
	if stop < 1<<62 {
		stop += int64(tail)
	}
	return func(ctx context.Context, e *dissect.Engine) error {
		err := p.read(ctx, nil, func(packet *pcap.Packet) error {
			if packet.Time < stop {
				e.Packet(packet, 0, flow.UnknownOpener)
			}
			return nil
		})
		p.report.Notes = append(p.report.Notes, engineNotes(e)...)
		return err
	}
}

// engineNotes is what an asker must know of a dissection.
func engineNotes(e *dissect.Engine) (notes []string) {
	if n := e.Incomplete(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d fragmented packets are incomplete", n))
	}
	if n := e.Faults(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d flows were given up because of a fault in a parser: please report it", n))
	}
	return notes
}

func (p *pass) reported(matched uint64) *Report {
	p.report.Matched = matched
	return &Report{Nodes: []NodeReport{p.report}}
}

// Calls implements Source.
func (f *File) Calls(ctx context.Context, r *Request, each func(*dissect.Call) error) (*Report, error) {
	return CallsOnce(ctx, r, each, f.calls)
}

// calls hands out all sightings.
func (f *File) calls(ctx context.Context, r *Request, each func(*dissect.Call) error) (*Report, error) {
	p := f.pass()
	d, err := p.dissection(r)
	if err != nil {
		return p.reported(0), err
	}
	matched, err := d.calls(ctx, p.input(r), each)
	return p.reported(matched), err
}

// Flows implements Source.
func (f *File) Flows(ctx context.Context, r *Request, each func(*dissect.Flow) error) (*Report, error) {
	return FlowsOnce(ctx, r, each, f.flows)
}

// flows hands out all sightings.
func (f *File) flows(ctx context.Context, r *Request, each func(*dissect.Flow) error) (*Report, error) {
	p := f.pass()
	d, err := p.dissection(r)
	if err != nil {
		return p.reported(0), err
	}
	matched, err := d.flows(ctx, p.input(r), each)
	return p.reported(matched), err
}

// Packets implements Source. A first reading finds the flows that match, unless all do.
func (f *File) Packets(ctx context.Context, r *Request, out PacketSink) (*Report, error) {
	p := f.pass()
	wanted, err := f.wanted(ctx, r)
	if err != nil {
		return p.reported(0), err
	}
	tracker := flow.NewTracker[bool](trackedFlows, nil)
	var h flow.Header
	out, name := r.Access.guarded(out, func(end netip.AddrPort, at int64) identity.Owner { return OwnerAt(end, at, p.names) })
	t := taker{r: r, out: out}
	err = p.read(ctx, name, func(packet *pcap.Packet) error {
		if wanted != nil {
			h.Parse(packet.Iface.Link, packet.Data)
			e, fresh := tracker.Packet(packet, &h)
			if fresh {
				e.Value = wanted[e.ID]
			}
			if !e.Value {
				return nil
			}
		}
		return t.take(packet)
	})
	return p.reported(t.matched), t.finish(err)
}

// trackedFlows is how many flows a reading tells apart at once.
const trackedFlows = 500_000

// wanted finds the flows that match; nil stands for all packets.
func (f *File) wanted(ctx context.Context, r *Request) (map[flow.ID]bool, error) {
	if r.Filter == "" && r.Stream == 0 && (r.Vantage == Auto || r.Vantage == Both) && !r.Access.Limited {
		return nil, nil
	}
	p := f.pass()
	q := r.uncut()
	d, err := p.dissection(q)
	if err != nil {
		return nil, err
	}
	return d.matching(ctx, p.input(q))
}

// Nodes implements Source.
func (f *File) Nodes(ctx context.Context) ([]Node, *Report, error) {
	p := f.pass()
	n := Node{Name: filepath.Base(f.path), State: "reading", Time: time.Now().UnixNano(), Segments: 1}
	pods := map[string]*PodState{}
	err := p.read(ctx, nil, func(packet *pcap.Packet) error {
		n.Stats.Seen += 1 + packet.Drops
		n.Stats.Stored++
		n.Stats.Dropped += packet.Drops
		n.Stats.Bytes += uint64(len(packet.Data))
		return nil
	})
	for i := range p.learn.seen {
		if i.Pod.Name == "" {
			continue
		}
		s := pods[i.Pod.String()]
		if s == nil {
			s = &PodState{Pod: i.Pod}
			pods[i.Pod.String()] = s
		}
		s.Interfaces = append(s.Interfaces, i.Name)
		slices.Sort(s.Interfaces)
	}
	for _, s := range pods {
		n.Pods = append(n.Pods, *s)
	}
	slices.SortFunc(n.Pods, func(a, b PodState) int {
		if a.Pod.String() < b.Pod.String() {
			return -1
		}
		return 1
	})
	n.Oldest, n.Newest, n.Problem = p.report.Oldest, p.report.Newest, p.report.Missing
	if in, openErr := f.open(); openErr == nil {
		defer in.Close()
		if st, statErr := in.Stat(); statErr == nil {
			n.StoreUsed, n.StoreLimit = uint64(st.Size()), uint64(st.Size())
		}
	}
	return []Node{n}, p.reported(0), err
}
