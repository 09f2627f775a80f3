// Package worker is the node agent: it wires the capture to the store, tells the store who is
// who, and answers questions about both as a query.Source. Its own are the pods that a hub
// tells it of (roster), which of them are wanted (Targets), and the addresses that it asks
// the hub about (peers).
//
// In a pod it needs hostPID, so that capture.Processes finds the pods of its node and
// /proc/1/ns/net is the node's own network, and no credentials of the API. What it keeps never
// takes more than store.Options.MaxBytes: the volume must have room for that, and is to be
// larger than that where a limit would evict the pod.
//
// A Worker lives from Start to Close. Capture goes on whatever happens to the disk, to those
// who ask, or to the hub. Its methods are safe for concurrent use.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/store"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/worker/capture"
	"github.com/sshark/sshark/worker/query"
)

// Options of a worker.
type Options struct {
	Node      string
	Version   string          // of the program, for those who ask how the node is
	Targets   Targets         // which pods are captured; the zero value: all
	Proc      string          // where the node's processes are seen, to leave an operator's own traffic out; "": nowhere
	Capture   capture.Options // Node, Name, Target, Final and Log are filled in
	Store     store.Options   // Node, Namer, Met and Log are filled in
	Protocols []*dissect.Protocol
	Language  *filter.Language // of the protocols
	Log       *slog.Logger     // nil: nothing is logged
}

// Worker captures and answers.
type Worker struct {
	o       Options
	capture *capture.Capture
	store   *store.Store
	names   *identity.Table
	who     *Who
	source  *query.Stored
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	rates   rates

	mu    sync.Mutex
	err   error // why capturing ended, nil: it has not
	begun bool  // everything that was found was captured at some time
}

// Start opens the store and begins to capture. Its errors are those of store.Open and
// capture.Start, and one that says what is wrong with Targets.Labels.
func Start(o Options) (*Worker, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w := &Worker{o: o, names: identity.New()}
	var err error
	if w.who, err = newWho(w); err != nil {
		return nil, err
	}
	o.Store.Node, o.Store.Log, o.Store.Namer, o.Store.Met = o.Node, o.Log, w.namer, w.who.met
	o.Capture.Node, o.Capture.Log = o.Node, o.Log
	o.Capture.Name, o.Capture.Target = w.who.roster.name, w.who.roster.target
	o.Capture.Final = func(i *pcap.Interface, s pcap.Stats) { w.store.SetStats(i, s) }
	if w.store, err = store.Open(o.Store); err != nil {
		return nil, err
	}
	if w.capture, err = capture.Start(o.Capture); err != nil {
		return nil, errors.Join(err, w.store.Close())
	}
	w.source = query.NewStored(query.StoredOptions{Node: o.Node, Store: w.store, Names: w.names, State: w.state, Pod: w.who.pod,
		Protocols: o.Protocols, Language: o.Language})
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.tasks.Add(2)
	go func() {
		defer w.tasks.Done()
		w.run(ctx)
	}()
	go func() {
		defer w.tasks.Done()
		w.watch(ctx)
	}()
	return w, nil
}

// Source answers questions about this node.
func (w *Worker) Source() query.Source { return w.source }

// Inside runs f on a thread that is in the network namespace of the pod that has an address, see
// capture.Capture.Inside.
func (w *Worker) Inside(a netip.Addr, f func() error) (ok bool, err error) {
	return w.capture.Inside(a, f)
}

// Who is where a hub tells who is who.
func (w *Worker) Who() *Who { return w.who }

// Ready says whether it captures: the pods were looked for and are still being looked for, and
// every one that was found was captured. After that, what is wrong with one pod is said by
// Nodes and does not make the worker unready; what is wrong with all of them does.
func (w *Worker) Ready() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || !w.capture.Looked() || w.capture.Problem() != "" {
		return false
	}
	pods := w.capture.Pods()
	bad := 0
	for _, p := range pods {
		if p.Problem != "" {
			bad++
		}
	}
	if bad == 0 {
		w.begun = true
	}
	return bad == 0 || w.begun && bad < len(pods)
}

// Err says why capturing ended, nil: it goes on.
func (w *Worker) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close ends the capture, keeps what is under way, and closes the store.
func (w *Worker) Close() error {
	w.cancel()
	w.tasks.Wait()
	return errors.Join(w.capture.Close(), w.store.Close())
}

// run moves packets from the ring to the store.
func (w *Worker) run(ctx context.Context) {
	observer := newObserver(w)
	err := w.capture.Run(ctx, func(batch []pcap.Packet) error {
		observer.batch(batch)
		return w.store.Append(batch)
	})
	w.statistics()
	if err != nil {
		w.o.Log.Error("capture ended", "err", err)
		w.mu.Lock()
		w.err = fmt.Errorf("capture ended: %w", err)
		w.mu.Unlock()
	}
}

// watchEvery is how often the counters are looked at, controlEvery after how many looks the
// ports of the node's own programs are.
const (
	watchEvery   = time.Second
	controlEvery = 10
)

// watch keeps rates, the store's statistics, and who has which address up to date.
func (w *Worker) watch(ctx context.Context) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for n := 0; ; n++ {
		if w.o.Proc != "" && n%controlEvery == 0 {
			w.who.listen(capture.ControlPorts(w.o.Proc))
		}
		w.statistics()
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// statistics hands the capture's counters to the store, and learns the pods' addresses.
func (w *Worker) statistics() {
	now := time.Now().UnixNano()
	uids, own, seen := map[string]bool{}, map[netip.Addr]bool{}, map[netip.Addr]bool{}
	for _, p := range w.capture.Pods() {
		uids[p.Pod.UID] = true
		for _, i := range p.Interfaces {
			w.store.SetStats(i.Interface, i.Stats)
			w.who.sighted(i.Interface, now)
			for _, a := range i.Interface.Addrs {
				if p.Pod == (pcap.Pod{}) {
					seen[a.Addr().Unmap()] = true
				} else {
					own[a.Addr().Unmap()] = true
				}
			}
		}
	}
	for _, a := range w.capture.OwnAddrs() {
		if a = a.Unmap(); !seen[a] {
			own[a] = true
			w.who.owned(a, now)
		}
	}
	w.who.look(uids, own, now)
	st := w.store.Stats()
	w.rates.add(now, w.capture.Stats(), st.QueueDrops+st.DiskDrops)
}

// namer tells the store who an address is, for it to be kept with the packets.
func (w *Worker) namer(a netip.Addr) (pcap.Name, bool) {
	now := time.Now().UnixNano()
	o := w.names.Owner(a, now)
	if identity.Bare(o.Identity) {
		return pcap.Name{}, false // its name is yet to come
	}
	if o.Identity == nil {
		o.Identity = w.names.Resolve(netip.AddrPortFrom(a, 0), now) // a DNS name
	}
	names := identity.Encode(o)
	return pcap.Name{Addr: a, Names: names}, len(names) > 0
}

// state says how the node is; the store's part is the source's.
func (w *Worker) state() query.Node {
	n := query.Node{Name: w.o.Node, State: "capturing", Time: time.Now().UnixNano(), Stats: w.capture.Stats(),
		Version: w.o.Version, Kernel: kernelRelease()}
	n.PacketRate, n.ByteRate, n.DropRate = w.rates.now()
	w.mu.Lock()
	if w.err != nil {
		n.State, n.Problem = "degraded", w.err.Error()
	}
	w.mu.Unlock()
	if problem := w.capture.Problem(); problem != "" {
		n.State, n.Problem = "degraded", problem
	}
	for _, p := range w.capture.Pods() {
		s := query.PodState{Pod: p.Pod, Off: p.Off, Problem: p.Problem, Stats: p.Stats}
		for _, i := range p.Interfaces {
			s.Interfaces = append(s.Interfaces, i.Interface.Name)
		}
		n.Pods = append(n.Pods, s)
	}
	return n
}
