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
	// Who says to whom an address belonged at a time, in ns, and since when; the zero Owner is
	// nobody of the cluster. known is false while it cannot tell.
	Who(a netip.AddrPort, at int64) (o identity.Owner, from int64, known bool)
	// Pods tells of the pods of a node: all there are at first (whole), then what changes,
	// until ctx or tell ends it. While tell blocks it holds back no more than what the node's
	// pods are by then.
	Pods(ctx context.Context, node string, tell func(pods []identity.Pod, gone []string, whole bool) error) error
	// ConsolePorts are the ports at the nodes' own addresses that lead to the console.
	ConsolePorts() []uint16
}

const (
	// ownersTold bounds how many answers go into one message.
	ownersTold = 256
	// tellFirst and tellMost are how long a worker is left alone that would not be told.
	tellFirst = 500 * time.Millisecond
	tellMost  = 10 * time.Second
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
	w := &line{stream: stream}
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
		now := time.Now().UnixNano()
		for part := range slices.Chunk(m.Addresses, ownersTold) {
			told := &api.Told{}
			for _, a := range part {
				addr, ok := netip.AddrFromSlice(a.Ip)
				if !ok || a.Port > 0xffff {
					continue
				}
				if o, from, known := t.directory.Who(netip.AddrPortFrom(addr, uint16(a.Port)), now); known {
					told.Owners = append(told.Owners, api.FromOwner(addr, o, from))
				}
			}
			if len(told.Owners) == 0 {
				continue
			}
			if err := w.tell(told); err != nil {
				return err
			}
		}
	}
}

// line is what is told over one stream: by one at a time, as gRPC wants it.
type line struct {
	stream grpc.BidiStreamingClient[api.Told, api.Asked]

	mu    sync.Mutex
	never []uint16
	begun bool
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
