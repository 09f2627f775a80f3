package fleet

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/worker/api"
)

// Directory knows who is who in the cluster. Its methods are safe for concurrent use.
type Directory interface {
	// Who says to whom an address belonged at a time, in ns, and since when (0 and less: for ever);
	// the zero Owner is nobody of the cluster. known is false while it cannot tell.
	Who(a netip.AddrPort, at int64) (o identity.Owner, from int64, known bool)
	// Pods tells of the pods of a node: all there are at first (whole), then what changes,
	// until ctx or tell ends it. While tell blocks it holds back no more than what the node's
	// pods are by then.
	Pods(ctx context.Context, node string, tell func(pods []identity.Pod, gone []string, whole bool) error) error
	// Turned are the addresses whose owners changed since a number that it gave before, 0 at
	// first, and the number to ask with next; all is false where that is too long ago to tell.
	Turned(since uint64) (addrs []netip.Addr, next uint64, all bool)
	// ConsolePorts are the ports at the nodes' own addresses that lead to the console.
	ConsolePorts() []uint16
}

const (
	// ownersTold bounds how many answers go into one message.
	ownersTold = 256
	// tellFirst and tellMost are how long a worker is left alone that would not be told.
	tellFirst = 500 * time.Millisecond
	tellMost  = 10 * time.Second
	// turnEvery is how often it is looked whether what was answered has changed.
	turnEvery = 500 * time.Millisecond
	// maxAnswered bounds how many addresses of one worker are remembered to be answered again.
	maxAnswered = 1 << 15
	// lately is how far back those are told too who had an address before: a pod may have lived
	// for less time than it takes to tell. staysTold bounds how many they are.
	lately    = time.Minute
	staysTold = 4
	// tellGood is how long it must have gone well for the next failure to be the first.
	tellGood = time.Minute
)

// telling keeps one worker told who its pods are, and answers who the addresses are that it
// sees. It holds no more than the message that the worker takes next: one that is slow holds
// up nobody else.
type telling struct {
	node      string
	directory Directory
	changed   func() <-chan struct{} // closed when the console's ports may be others
	client    api.WorkerClient
	log       *slog.Logger
}

// run goes on until ctx ends. Each stream begins anew with all there is.
func (t *telling) run(ctx context.Context) {
	for wait := tellFirst; ; wait = min(2*wait, tellMost) {
		began := time.Now()
		err := t.once(ctx)
		if ctx.Err() != nil {
			return
		}
		t.log.Info("a worker is no longer told who is who", "node", t.node, "why", reason(fromStatus(err)), "again", wait)
		if time.Since(began) > tellGood {
			wait = tellFirst
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// errEnded: the directory had nothing more to say.
var errEnded = errors.New("the directory ended")

// once is one stream, from its begin to its end.
func (t *telling) once(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// It waits until the worker is there: nobody else does.
	stream, err := t.client.Identify(ctx, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	_, next, _ := t.directory.Turned(0) // before anything is answered
	w := &line{stream: stream, answered: map[netip.Addr][]uint16{}}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		switch err := t.directory.Pods(ctx, t.node, w.pods); {
		case err == nil:
			cancel(errEnded)
		case !errors.Is(err, io.EOF): // that is a stream's word that its Recv says why
			cancel(err)
		}
	})
	tasks.Go(func() {
		for {
			changed := t.changed() // before the ports: a change in between is seen
			if w.ports(t.directory.ConsolePorts()) != nil {
				return // Recv says why
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	})
	tasks.Go(func() { t.again(ctx, w, next) })
	err = t.answer(w)
	cancel(err)
	tasks.Wait()
	// What ended it first is the reason.
	return context.Cause(ctx)
}

// answer answers what the worker asks until the stream ends.
func (t *telling) answer(w *line) error {
	for {
		m, err := w.stream.Recv()
		if err != nil {
			return err
		}
		ends := make([]netip.AddrPort, 0, len(m.Addresses))
		for _, a := range m.Addresses {
			if addr, ok := netip.AddrFromSlice(a.Ip); ok && a.Port <= 0xffff {
				ends = append(ends, netip.AddrPortFrom(addr.Unmap(), uint16(a.Port)))
			}
		}
		w.remember(ends)
		if err := t.tell(w, ends); err != nil {
			return err
		}
	}
}

// tell says who is at these ends now, behind those who were lately.
func (t *telling) tell(w *line, ends []netip.AddrPort) error {
	now := time.Now().UnixNano()
	for part := range slices.Chunk(ends, ownersTold) {
		told := &api.Told{}
		for _, end := range part {
			told.Owners = append(told.Owners, t.stays(end, now)...)
		}
		if len(told.Owners) == 0 {
			continue
		}
		if err := w.tell(told); err != nil {
			return err
		}
	}
	return nil
}

// stays are who has an address now, and before that who had it lately, the first one first.
func (t *telling) stays(end netip.AddrPort, now int64) []*api.Owner {
	var all []*api.Owner
	for at, earliest := now, now-int64(lately); len(all) < staysTold; {
		o, from, known := t.directory.Who(end, at)
		if known && (at == now || o.Identity != nil || len(o.Ports) > 0) {
			owner := api.FromOwner(end.Addr(), o, from)
			owner.Past = at != now
			all = append(all, owner)
		}
		if from <= earliest || from > at {
			break
		}
		at = from - 1
	}
	slices.Reverse(all)
	return all
}

// again tells the worker of what it was answered and is so no longer, unasked: an address may
// be another pod's within a second.
func (t *telling) again(ctx context.Context, w *line, next uint64) {
	tick := time.NewTicker(turnEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		addrs, now, all := t.directory.Turned(next)
		next = now
		if t.tell(w, w.recall(addrs, all)) != nil {
			return // Recv says why
		}
	}
}

// line is what is told over one stream: by one at a time, as gRPC wants it.
type line struct {
	stream grpc.BidiStreamingClient[api.Told, api.Asked]

	mu    sync.Mutex
	never []uint16
	begun bool

	past     sync.Mutex              // guards what follows
	answered map[netip.Addr][]uint16 // the ports of each address that were asked for
}

// remember notes what is asked for.
func (l *line) remember(ends []netip.AddrPort) {
	l.past.Lock()
	defer l.past.Unlock()
	for _, end := range ends {
		ports, known := l.answered[end.Addr()]
		if !known && len(l.answered) >= maxAnswered {
			clear(l.answered) // the worker asks again for what it still sees
		}
		if !slices.Contains(ports, end.Port()) && len(ports) < ownersTold {
			l.answered[end.Addr()] = append(ports, end.Port())
		}
	}
}

// recall is what was asked for of these addresses, or of all.
func (l *line) recall(addrs []netip.Addr, some bool) (ends []netip.AddrPort) {
	l.past.Lock()
	defer l.past.Unlock()
	add := func(a netip.Addr, ports []uint16) {
		for _, port := range ports {
			ends = append(ends, netip.AddrPortFrom(a, port))
		}
	}
	if !some {
		for a, ports := range l.answered {
			add(a, ports)
		}
		return ends
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	for _, a := range slices.Compact(addrs) {
		add(a, l.answered[a])
	}
	return ends
}

func (l *line) tell(m *api.Told) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stream.Send(m)
}

// ports tells the console's ports if they are others than before.
func (l *line) ports(ports []uint16) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ports = slices.Sorted(slices.Values(ports))
	if l.begun && slices.Equal(ports, l.never) {
		return nil
	}
	l.begun, l.never = true, ports
	m := &api.Told{Never: true}
	for _, p := range ports {
		m.NeverPorts = append(m.NeverPorts, uint32(p))
	}
	return l.stream.Send(m)
}

// pods tells of pods.
func (l *line) pods(pods []identity.Pod, gone []string, whole bool) error {
	m := &api.Told{Gone: gone, Whole: whole}
	for i := range pods {
		m.Pods = append(m.Pods, api.FromPod(&pods[i]))
	}
	return l.tell(m)
}
