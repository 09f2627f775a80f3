package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/merge"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/servicemap/identity"
)

// pass is one reading of a file's parts, as one sequence in the order of time.
type pass struct {
	file    *File
	names   *identity.Table
	reports []NodeReport             // one for each part
	notes   []string                 // about all of it
	skip    map[pcap.LinkType]uint64 // packets that cannot be dissected
	learn   *learner
	secrets func(kind uint32, data []byte) error // takes what packets are decrypted with, may be nil
	failed  error                                // of secrets: the reading must end
	engine  *dissect.Engine                      // that is fed, nil: none is
	// each is called for each packet of part n as it is read, may be nil; fresh says that the
	// packet before was of another interface.
	each func(n int, p *pcap.Packet, fresh bool)

	vantages map[string]uint32 // of several parts: by node and pod
}

func (f *File) pass() *pass {
	names := identity.New()
	for _, n := range f.names {
		names.Learn(n.addr, n.from, n.owner)
	}
	p := &pass{file: f, names: names, skip: map[pcap.LinkType]uint64{}, learn: newLearner(names), vantages: map[string]uint32{}}
	for i := range f.parts {
		p.reports = append(p.reports, NodeReport{Node: f.parts[i].label})
	}
	return p
}

// item is a packet of a part, with the names that the part tells before it.
type item struct {
	packet pcap.Packet
	names  []pcap.Name
}

// Buffers of readers: that of a lone one, what several have in all, and what each has at
// least, in bytes.
const (
	oneBuffer  = 1 << 20
	allBuffers = 16 << 20
	minBuffer  = 16 << 10
)

// maxPending is how many names wait for the packet that they come before.
const maxPending = 1 << 14

// partReader reads one part. It is a merge.Source: what is wrong with the part ends it, and
// goes into its report.
type partReader struct {
	pass   *pass
	part   *part
	report *NodeReport
	in     *os.File
	rd     *pcapng.Reader
	names  []pcap.Name
	number int
	alone  bool

	last       *pcap.Interface // of the packet before
	read, told *pcap.Interface // the last packet's interface, as it is in the part and as it is told
	ifaces     map[*pcap.Interface]*pcap.Interface
}

func (p *pass) open(n int) (*partReader, error) {
	part := &p.file.parts[n]
	in, err := os.Open(part.path)
	if err != nil {
		return nil, err
	}
	r := &partReader{pass: p, part: part, report: &p.reports[n], in: in, number: n, alone: len(p.file.parts) == 1}
	o := pcapng.ReaderOptions{OnName: r.name, OnSecrets: r.found, Buffer: max(minBuffer, min(oneBuffer, allBuffers/len(p.file.parts)))}
	if r.rd, err = pcapng.NewReader(in, o); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", part.label, err), in.Close())
	}
	return r, nil
}

// name takes a name. A reader among others is ahead of the packets that are told: names wait.
func (r *partReader) name(n pcap.Name) {
	if r.alone || len(r.names) == maxPending {
		r.pass.learn.name(n)
		return
	}
	r.names = append(r.names, n)
}

// Next implements merge.Source.
func (r *partReader) Next(v *item) error {
	err := r.rd.Next(&v.packet)
	var corrupt *pcapng.CorruptError
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.As(err, &corrupt):
		r.report.Missing = fmt.Sprintf("the file is damaged %v; what comes before is complete", err)
		return io.EOF
	default:
		return fmt.Errorf("read %s: %w", r.part.label, err)
	}
	v.names, r.names = r.names, v.names[:0]
	if !r.alone || r.part.place != "" {
		v.packet.Iface = r.iface(v.packet.Iface)
	}
	r.seen(&v.packet)
	return nil
}

// iface is an interface as it is told among those of other parts.
func (r *partReader) iface(i *pcap.Interface) *pcap.Interface {
	if i == r.read {
		return r.told
	}
	told := r.ifaces[i]
	if told == nil {
		own := *i
		if own.Node == "" && own.Pod == (pcap.Pod{}) {
			own.Node = r.part.place
		}
		own.Vantage = r.pass.vantage(&own)
		if len(r.ifaces) >= maxInterfaces || r.ifaces == nil {
			r.ifaces = map[*pcap.Interface]*pcap.Interface{}
		}
		told = &own
		r.ifaces[i] = told
	}
	r.read, r.told = i, told
	return told
}

// vantage numbers the pods and nodes of all parts.
func (p *pass) vantage(i *pcap.Interface) uint32 {
	key := i.Node + "\x00" + flow.Vantage(i)
	if key == "\x00" {
		return 0
	}
	v, ok := p.vantages[key]
	if !ok && len(p.vantages) < maxInterfaces {
		v = uint32(len(p.vantages) + 1)
		p.vantages[key] = v
	}
	return v
}

func (r *partReader) seen(packet *pcap.Packet) {
	n := r.report
	if n.Oldest == 0 || packet.Time < n.Oldest {
		n.Oldest = packet.Time
	}
	n.Newest = max(n.Newest, packet.Time)
	n.Dropped += packet.Drops
	if each := r.pass.each; each != nil {
		each(r.number, packet, packet.Iface != r.last)
		r.last = packet.Iface
	}
	if !packet.Iface.Link.Known() {
		r.pass.skip[packet.Iface.Link]++
	}
}

// read visits all packets and names. What is wrong with a part goes into its report.
func (p *pass) read(ctx context.Context, name func(pcap.Name) error, visit func(*pcap.Packet) error) (err error) {
	if err := p.file.settle(ctx); err != nil {
		return err
	}
	p.learn.next = name
	var readers []*partReader
	defer func() {
		for _, r := range readers {
			_ = r.in.Close() // it was only read
		}
	}()
	var sources []merge.Source[item]
	for n := range p.file.parts {
		r, err := p.open(n)
		if err != nil {
			return err
		}
		readers, sources = append(readers, r), append(sources, r)
	}
	in := sources[0]
	if len(sources) > 1 {
		in = merge.New(func(v *item) int64 { return v.packet.Time }, sources...)
	}
	var v item
	for n := 0; ; n++ {
		if n&1023 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		err := in.Next(&v)
		if err := errors.Join(p.learn.err, p.failed); err != nil {
			return err
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return err
			}
			return p.done(readers)
		}
		for i := range v.names {
			p.learn.name(v.names[i])
		}
		p.learn.packet(&v.packet)
		if err := visit(&v.packet); err != nil {
			return err
		}
	}
}

// done ends a reading that came to the end of all parts.
func (p *pass) done(readers []*partReader) error {
	for _, r := range readers {
		for _, n := range r.names { // behind the last packet
			p.learn.name(n)
		}
	}
	for link, n := range p.skip {
		p.notes = append(p.notes, fmt.Sprintf("%d packets have link type %d, which is not dissected", n, link))
	}
	slices.Sort(p.notes)
	return p.learn.err
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
	d := newDissection(r, f, p.file.protocols, p.names.Resolve)
	d.options.Secrets = p.file.secrets
	return d, nil
}

func (p *pass) input(r *Request) input {
	stop := end(r)
	if stop < 1<<62 {
		stop += int64(tail)
	}
	return func(ctx context.Context, e *dissect.Engine) error {
		if err := p.file.unlock(ctx); err != nil {
			return err
		}
		p.engine = e
		err := p.read(ctx, nil, func(packet *pcap.Packet) error {
			if packet.Time < stop {
				e.Packet(packet, 0, flow.UnknownOpener)
			}
			return nil
		})
		p.notes = append(p.notes, engineNotes(e)...)
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

// reported is what the asker must know. A report without a node is about all parts.
func (p *pass) reported(matched uint64) *Report {
	p.reports[0].Matched = matched
	notes := slices.Concat(p.file.told(), p.notes)
	r := &Report{Nodes: append(slices.Clone(p.reports), p.file.problems...)}
	if len(r.Nodes) == 1 {
		r.Nodes[0].Notes = notes
	} else if len(notes) > 0 {
		r.Nodes = append(r.Nodes, NodeReport{Notes: notes})
	}
	return r
}
