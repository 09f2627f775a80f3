package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// A connection may be older than the window, and of a protocol that means little without its
// beginning (Protocol.FromStart): HTTP/2's header tables, a database's prepared statements. The
// packets of such a connection are read from the first one kept.
const (
	maxOlder      = 4096      // connections that are looked at, those with the newest packets
	shown         = 24        // packets of each that tell its protocol
	maxBeginnings = 256 << 20 // bytes that are read for them, on the wire
	// quiet is how long a connection may have been quiet when it is followed, and still have its
	// beginning.
	quiet = 10 * time.Minute
)

// kinds remembers which connections want their beginning, for the questions to come. It is safe
// for concurrent use.
type kinds struct {
	mu   sync.Mutex
	want map[flow.ID]bool
}

const maxKinds = 1 << 16

func (k *kinds) of(id flow.ID) (want, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	want, known = k.want[id]
	return want, known
}

func (k *kinds) learn(id flow.ID, want bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.want == nil || len(k.want) >= maxKinds {
		k.want = map[flow.ID]bool{}
	}
	k.want[id] = want
}

// beginnings feeds an engine with what the connections of a window that began before it, and
// want that, said before since.
func (q *reading) beginnings(ctx context.Context, e *dissect.Engine, since, until int64) error {
	if !slices.ContainsFunc(q.s.o.Protocols, func(p *dissect.Protocol) bool { return p.FromStart }) {
		return nil
	}
	from := since
	if q.r.Follow {
		from -= int64(quiet)
	}
	older, err := q.older(ctx, from, since, until)
	if err != nil || len(older) == 0 {
		return err
	}
	if err := q.recognize(ctx, older, since); err != nil {
		return err
	}
	want := map[flow.ID]bool{}
	for _, id := range older {
		if yes, _ := q.s.kinds.of(id); yes {
			want[id] = true
		}
	}
	if len(want) == 0 {
		return nil
	}
	if err := q.afford(ctx, want, since); err != nil {
		return err
	}
	learn := newLearner(q.names)
	learn.pod = q.pod
	return q.before(ctx, since, func(id flow.ID) bool { return want[id] }, learn.name, func(p *pcap.Packet, id flow.ID) {
		learn.packet(p)
		e.Packet(p, id, q.opener[id])
	})
}

// before visits the packets from before a time of wanted flows that may match. Judgements are
// not remembered: who is who may be known better in the window.
func (q *reading) before(ctx context.Context, since int64, wanted func(flow.ID) bool, name func(pcap.Name), visit func(*pcap.Packet, flow.ID)) error {
	it := q.s.o.Store.Packets(ctx, 0, since, func(i *flow.Info) bool {
		if !wanted(i.ID) || !q.byNames(i) {
			return false
		}
		q.opens(i)
		return true
	})
	defer it.Close()
	it.OnName, it.Known, it.Present, it.Only = name, q.hints.known, q.hints.present, q.only()
	var p pcap.Packet
	for {
		err := it.Next(&p)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		visit(&p, it.Flow())
	}
}

// older lists the connections with packets in [from, until) that have, or may have, some before
// since. No segment's names are known here, so only what needs none is left out.
func (q *reading) older(ctx context.Context, from, since, until int64) (ids []flow.ID, err error) {
	const syn = uint8(flow.SYN)
	streams := func(i *flow.Info) bool { return i.Key.Proto == flow.TCP && q.asked(i) }
	err = q.s.o.Store.Flows(ctx, from, until, streams, func(i *flow.Info) error {
		if begun := i.First >= since && (i.Flags[0]|i.Flags[1])&syn != 0; !begun {
			ids = append(ids, i.ID)
		}
		return nil
	})
	return ids[max(0, len(ids)-maxOlder):], err
}

// recognize finds out what those connections speak of which that is not known.
func (q *reading) recognize(ctx context.Context, ids []flow.ID, since int64) error {
	left := map[flow.ID]int{}
	for _, id := range ids {
		if _, known := q.s.kinds.of(id); !known {
			left[id] = shown
		}
	}
	if len(left) == 0 {
		return nil
	}
	e := dissect.NewEngine(dissect.Options{Protocols: q.s.o.Protocols, Workers: 1,
		Handler: func(int) dissect.Handler { return &recognizer{&q.s.kinds} }})
	err := q.before(ctx, since, func(id flow.ID) bool { return left[id] > 0 }, nil, func(p *pcap.Packet, id flow.ID) {
		if left[id] > 0 {
			left[id]--
			e.Packet(p, id, q.opener[id])
		}
	})
	e.Close() // those of which nothing is kept from before are asked for again another time
	return err
}

// recognizer notes what flows turned out to speak.
type recognizer struct{ kinds *kinds }

func (r *recognizer) Call(*dissect.Call) {}
func (r *recognizer) Batch()             {}

func (r *recognizer) FlowEnd(f *dissect.Flow) {
	r.kinds.learn(f.ID, f.Protocol != nil && f.Protocol.FromStart)
}

// afford leaves out the largest beginnings if all of them are too much, and says so.
func (q *reading) afford(ctx context.Context, want map[flow.ID]bool, since int64) error {
	type beginning struct {
		id    flow.ID
		bytes uint64
	}
	var all []beginning
	sum := uint64(0)
	err := q.s.o.Store.Flows(ctx, 0, since, func(i *flow.Info) bool { return want[i.ID] }, func(i *flow.Info) error {
		all = append(all, beginning{i.ID, i.Bytes[0] + i.Bytes[1]})
		sum += i.Bytes[0] + i.Bytes[1]
		return nil
	})
	if err != nil || sum <= maxBeginnings {
		return err
	}
	slices.SortFunc(all, func(a, b beginning) int { return int(min(max(int64(b.bytes)-int64(a.bytes), -1), 1)) })
	left := 0
	for _, b := range all {
		if sum <= maxBeginnings {
			break
		}
		sum -= b.bytes
		delete(want, b.id)
		left++
	}
	q.notes = append(q.notes, fmt.Sprintf("the beginnings of %d long connections are too long to be read: what depends on them (header tables, prepared statements) is not known; --since closer to their beginning reads it", left))
	return nil
}
