package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/api/link"
	"github.com/sshark/sshark/worker/api/link/linktest"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/server"
)

// busy is one of many workers with traffic: who follows it is told three calls a second, of
// connections that carry four of them and then end, between a few pods.
type busy struct {
	query.Source // nil: only calls and nodes are asked for
	number       int
}

func (w *busy) Nodes(context.Context) ([]query.Node, *query.Report, error) {
	n := query.Node{Name: fmt.Sprintf("node-%04d", w.number), State: "capturing", PacketRate: 60}
	for p := range busyPods {
		n.Pods = append(n.Pods, query.PodState{Pod: pcap.Pod{Namespace: "shop", Name: fmt.Sprintf("cart-7d9f6c-%04d%02d", w.number, p), UID: fmt.Sprintf("%08x-6a0b-4f6e-9d2c-%012x", w.number, p)}, Interfaces: []string{"eth0"}})
	}
	return []query.Node{n}, &query.Report{Nodes: []query.NodeReport{{Node: n.Name}}}, nil
}

const (
	busyEvery = time.Second / 3
	busyFlow  = 4 // calls of one connection
	busyPods  = 20
)

func (w *busy) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	pod := func(role string, n int) *dissect.Identity {
		return &dissect.Identity{Namespace: "shop", Pod: fmt.Sprintf("%s-7d9f6c-%04d%02d", role, w.number, n), PodUID: fmt.Sprintf("%08x-6a0b-4f6e-9d2c-%012x", w.number, n),
			Workload: role, Kind: "Deployment", Service: role, Node: fmt.Sprintf("node-%04d", w.number),
			Labels: map[string]string{"app.kubernetes.io/name": role, "app.kubernetes.io/part-of": "shop", "pod-template-hash": "7d9f6c"}}
	}
	tick := time.NewTicker(busyEvery)
	defer tick.Stop()
	var f *dissect.Flow
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		now := time.Now().UnixNano()
		if n%busyFlow == 0 {
			k := n / busyFlow
			f = &dissect.Flow{ID: flow.ID(w.number<<32 | k), Node: fmt.Sprintf("node-%04d", w.number), Transport: flow.TCP, Protocol: sourcetest.HTTP,
				Client:  dissect.Endpoint{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(w.number >> 8), byte(w.number), byte(k % busyPods)}), uint16(32768+k%28000)), Identity: pod("gateway", k%busyPods)},
				Server:  dissect.Endpoint{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(w.number >> 8), byte(w.number), byte(100 + k%busyPods)}), 8080), Identity: pod("cart", k%busyPods)},
				Vantage: dissect.SideServer, First: now, Last: now}
		}
		err := each(&dissect.Call{Flow: f, Protocol: sourcetest.HTTP, Seq: uint32(n%busyFlow + 1), Time: now - 3e6, RequestEnd: now - 2e6, ResponseStart: now - 1e6, ResponseEnd: now, RequestSize: 400, ResponseSize: 900,
			Message: &query.Kept{Summary: fmt.Appendf(nil, "GET /cart/%d", n), Status: []byte("200"),
				Fields: fmt.Appendf(nil, `,"method":"GET","path":"/cart/%d","url":"/cart/%d?x=%0200d","status_code":200,"request.headers":{"host":"cart","user-agent":"shop/1.0","accept":"*/*"}`, n, n, n)}})
		if err != nil {
			return nil, err
		}
	}
}

// busyEnv asks the test binary to be many busy workers: number, TLS folder.
const busyEnv = "SSHARK_TEST_BUSY"

// TestBeBusy is the other process of BenchmarkFollowers1000.
func TestBeBusy(t *testing.T) {
	number, folder, ok := strings.Cut(os.Getenv(busyEnv), ",")
	if !ok {
		t.Skip("only as the other process of BenchmarkFollowers1000")
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	addrs := make([]string, n)
	for i := range addrs {
		addrs[i], _ = serve(t, "", folder, server.New(&busy{number: i}))
	}
	fmt.Println("\naddresses " + strings.Join(addrs, " "))
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark ends
}

// BenchmarkFollowers1000 is screens that follow the calls of 1,000 workers in another process on
// the same machine, each of which has three calls a second: all ask the same, or each asks
// with a filter of its own; and each asks every two seconds how the nodes are. The budget is the
// chart's limit for the hub, 1 GiB, with 100 of them. An operation is a call that is told to one
// screen; run it with -benchtime 20s.
func BenchmarkFollowers1000(b *testing.B) {
	const n = 1000
	ca := linktest.New(b)
	folder, hub := ca.Folder(b, link.WorkerName), ca.Folder(b, link.HubName)
	for _, bb := range []struct {
		screens int
		differ  bool
	}{{1, false}, {10, false}, {100, false}, {10, true}} {
		name := fmt.Sprintf("%d screens", bb.screens)
		if bb.differ {
			name += " with filters of their own"
		}
		b.Run(name, func(b *testing.B) {
			addrs := otherProcess(b, "TestBeBusy", fmt.Sprintf("%s=%d,%s", busyEnv, n, folder))
			m := newMembers(b, MembersOptions{TLS: hub})
			m.Set(listed(addrs))
			f := m.Fleet()
			debug.FreeOSMemory()
			if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // the peak begins anew
				b.Skip(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			var told atomic.Int64
			var followers sync.WaitGroup
			end := func() {
				cancel()
				followers.Wait()
			}
			defer end()
			for i := range bb.screens {
				followers.Go(func() {
					r := &query.Request{Since: time.Now().UnixNano(), Follow: true}
					if bb.differ {
						r.Filter = fmt.Sprintf("status_code < %d", 300+i)
					}
					_, err := f.Calls(ctx, r, func(*dissect.Call) error { told.Add(1); return nil })
					if !errors.Is(err, context.Canceled) {
						b.Error(err)
					}
				})
			}
			for range bb.screens {
				followers.Go(func() {
					for ctx.Err() == nil {
						if _, _, err := f.Nodes(ctx); err != nil && ctx.Err() == nil {
							b.Log(err)
						}
						select {
						case <-time.After(2 * time.Second):
						case <-ctx.Done():
						}
					}
				})
			}
			until(b, "each is told of each", func() bool { return told.Load() >= int64(bb.screens*n*busyFlow) })
			begun, before := time.Now(), told.Load()
			b.ResetTimer()
			until(b, "as many calls as are measured", func() bool { return told.Load()-before >= int64(b.N) })
			b.StopTimer()
			b.ReportMetric(float64(told.Load()-before)/time.Since(begun).Seconds()/float64(bb.screens), "calls/s/screen")
			b.ReportMetric(resident(b), "MB-most")
			b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
		})
	}
}
