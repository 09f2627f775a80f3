package query

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/dissect/keylog"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/servicemap/identity"
)

// tail is how long behind the window packets are read, for the answers to its last requests.
const tail = 30 * time.Second

// File is a capture as a Source: one file, or several at once as one sequence of packets in the
// order of time, with their interfaces kept apart. It is read anew for each question, from its
// beginning, so that flows have the same IDs in every answer. What can be read only once, a
// pipe, is copied to a temporary folder first, and so is what an archive holds.
type File struct {
	parts     []part // at least one
	names     []nameAt
	bare      bool         // names are told beside the parts and not in them: by a history
	problems  []NodeReport // of archives
	temp      string       // the folder of copies, "" if there are none
	stdin     bool         // standard input was taken
	protocols []*dissect.Protocol
	language  *filter.Language
	secrets   *keylog.Store
	lookAhead int64 // bytes

	mu       sync.Mutex
	settled  bool     // the places of parts are known
	unlocked bool     // the secrets of parts are
	notes    []string // what the asker must know of the parts
}

// OpenFile is OpenFiles of one.
func OpenFile(path string, protocols []*dissect.Protocol, language *filter.Language) (*File, error) {
	return OpenFiles([]string{path}, protocols, language)
}

// OpenFiles makes sure that all paths are captures: pcap or pcapng, plain or compressed with gzip
// or zstd, or tar files of such. "-" is standard input; a path that is no file's may be a
// pattern (package filepath). The language must be that of the protocols. Close removes the
// copies.
func OpenFiles(paths []string, protocols []*dissect.Protocol, language *filter.Language) (*File, error) {
	f := &File{protocols: protocols, language: language, secrets: keylog.New(), lookAhead: lookAhead}
	for _, p := range paths {
		if err := f.add(p); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	if len(f.parts) == 0 {
		return nil, errors.New("open captures: no file was named")
	}
	f.name()
	return f, nil
}

// Name is what to call the file: its name, or how many captures it is.
func (f *File) Name() string {
	if len(f.parts) == 1 {
		return f.parts[0].label
	}
	return fmt.Sprintf("%d captures", len(f.parts))
}

// Close removes what OpenFiles made.
func (f *File) Close() error {
	if f.temp == "" {
		return nil
	}
	return os.RemoveAll(f.temp)
}

// told is what the asker must know of the parts.
func (f *File) told() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.notes)
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
	if keeper, ok := out.(SecretSink); ok && !r.Access.Limited && !r.Access.Metadata {
		p.secrets = keeper.Secrets
	}
	tracker := flow.NewTracker[bool](trackedFlows, nil)
	var h flow.Header
	out, told := bounded(r, out, storedNewest)
	out, name := r.Access.guarded(out, func(end netip.AddrPort, at int64) identity.Owner { return OwnerAt(end, at, p.names) })
	t := taker{r: r, out: out}
	beside := f.beside()
	err = p.read(ctx, name, func(packet *pcap.Packet) error {
		for ; len(beside) > 0 && beside[0].from <= packet.Time; beside = beside[1:] {
			names := identity.Encode(beside[0].owner)
			if name == nil || len(names) == 0 { // who may not see all is told of the ends of packets
				continue
			}
			if err := name(pcap.Name{Addr: beside[0].addr, Names: names}); err != nil {
				return err
			}
		}
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
	return p.reported(t.matched), told(t.finish(err))
}

// beside are the names that no part tells, in the order of time. Of those that an address had
// before the first packet all are told: the last one counts.
func (f *File) beside() []nameAt {
	if !f.bare {
		return nil
	}
	return slices.SortedStableFunc(slices.Values(f.names), func(a, b nameAt) int { return cmp.Compare(a.from, b.from) })
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

// Nodes implements Source: each part is a node.
func (f *File) Nodes(ctx context.Context) ([]Node, *Report, error) {
	p := f.pass()
	nodes := make([]Node, len(f.parts))
	pods := make([]map[string]*PodState, len(f.parts))
	for i := range nodes {
		size := uint64(f.parts[i].size)
		nodes[i] = Node{Name: f.parts[i].label, State: "reading", Time: time.Now().UnixNano(), Segments: 1, StoreUsed: size, StoreLimit: size}
		pods[i] = map[string]*PodState{}
	}
	p.each = func(n int, packet *pcap.Packet, fresh bool) {
		s := &nodes[n].Stats
		s.Seen += 1 + packet.Drops
		s.Stored++
		s.Dropped += packet.Drops
		s.Bytes += uint64(len(packet.Data))
		if i := packet.Iface; fresh && i.Pod.Name != "" {
			state := pods[n][i.Pod.String()]
			if state == nil {
				state = &PodState{Pod: i.Pod}
				pods[n][i.Pod.String()] = state
			}
			if !slices.Contains(state.Interfaces, i.Name) {
				state.Interfaces = append(state.Interfaces, i.Name)
				slices.Sort(state.Interfaces)
			}
		}
	}
	err := p.read(ctx, nil, func(*pcap.Packet) error { return nil })
	for n := range nodes {
		for _, pod := range slices.Sorted(maps.Keys(pods[n])) {
			nodes[n].Pods = append(nodes[n].Pods, *pods[n][pod])
		}
		r := &p.reports[n]
		nodes[n].Oldest, nodes[n].Newest, nodes[n].Problem = r.Oldest, r.Newest, r.Missing
	}
	return nodes, p.reported(0), err
}
