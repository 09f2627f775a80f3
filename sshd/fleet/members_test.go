package fleet

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/api"
	"github.com/sshark/sshark/worker/api/link"
	"github.com/sshark/sshark/worker/api/link/linktest"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/server"
)

// serve is a worker on loopback; at "" it chooses a port. dir is its TLS folder, "" none.
func serve(t testing.TB, at, dir string, service api.WorkerServer) (addr string, stop func()) {
	t.Helper()
	if at == "" {
		at = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	options := link.ServerOptions()
	if dir != "" {
		config, err := link.ServerTLS(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	g := grpc.NewServer(options...)
	api.RegisterWorkerServer(g, service)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	return l.Addr().String(), g.Stop
}

func newMembers(t testing.TB, o MembersOptions) *Members {
	t.Helper()
	o.Protocols = []*dissect.Protocol{sourcetest.HTTP}
	m, err := NewMembers(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("in vain: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// absences is what a report says is missing.
func absences(r *query.Report) (out []string) {
	for i := range r.Nodes {
		if line := r.Nodes[i].Absence(); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// Workers come, go, are without an address, and are at another one, over mutual TLS.
func TestMembers(t *testing.T) {
	ca := linktest.New(t)
	folder := ca.Folder(t, link.WorkerName)
	m := newMembers(t, MembersOptions{TLS: ca.Folder(t, link.HubName)})
	f := m.Fleet()
	asks := func(want int, missing ...string) {
		t.Helper()
		got, report, err := calls(t, f, query.Request{})
		if err != nil || len(got) != want || !slices.Equal(absences(report), missing) {
			t.Errorf("%d calls, want %d; %q, want %q (%v)", len(got), want, absences(report), missing, err)
		}
	}
	a, stopA := serve(t, "", folder, server.New(&sourcetest.Source{Kept: 10}))
	b, _ := serve(t, "", folder, server.New(&sourcetest.Source{Kept: 20, Step: time.Minute}))
	if _, _, err := calls(t, f, query.Request{}); !errors.Is(err, ErrNoWorkers) {
		t.Errorf("nobody is listed: %v", err)
	}
	m.Set([]Worker{{Node: "node-a", Addr: a}, {Node: "node-b", Addr: b}})
	asks(30)
	m.Set([]Worker{{Node: "node-a", Addr: a}, {Node: "node-b"}, {Node: "node-c", Problem: "sshark-worker-x is pending: no room"}})
	asks(10, "node-b did not answer: its worker has no address", "node-c did not answer: sshark-worker-x is pending: no room")
	m.Set([]Worker{{Node: "node-a", Addr: a}, {Node: "node-b", Addr: b}})
	asks(30)
	// The worker is replaced: the first is gone, its successor is elsewhere.
	stopA()
	got, report, err := calls(t, f, query.Request{})
	if lines := absences(report); err != nil || len(got) != 20 || len(lines) != 1 || !strings.HasPrefix(lines[0], "node-a did not answer: ") ||
		strings.Contains(lines[0], "desc =") {
		t.Errorf("%d calls, %q (%v)", len(got), lines, err)
	}
	m.Set([]Worker{{Node: "node-a", Addr: a, Problem: "sshark-worker-a is being deleted"}, {Node: "node-b", Addr: b}})
	if _, report, _ = calls(t, f, query.Request{}); !strings.HasSuffix(absences(report)[0], "(sshark-worker-a is being deleted)") {
		t.Errorf("%q", absences(report))
	}
	moved, _ := serve(t, "", folder, server.New(&sourcetest.Source{Kept: 15}))
	m.Set([]Worker{{Node: "node-a", Addr: moved}, {Node: "node-b", Addr: b}})
	asks(35)
	m.Set([]Worker{{Node: "node-b", Addr: b}})
	asks(20)
	m.Close()
	if _, _, err := calls(t, f, query.Request{}); !errors.Is(err, ErrNoWorkers) {
		t.Errorf("after the end: %v", err)
	}
}

// A worker that is started again at its address is found again by itself, and so is one whose
// certificates were wrong.
func TestMemberIsBack(t *testing.T) {
	ca, other := linktest.New(t), linktest.New(t)
	folder := ca.Folder(t, link.WorkerName)
	hub := t.TempDir()
	other.Write(t, hub, link.HubName, time.Hour)
	m := newMembers(t, MembersOptions{TLS: hub})
	f := m.Fleet()
	source := &sourcetest.Source{Kept: 10}
	addr, stop := serve(t, "", folder, server.New(source))
	m.Set([]Worker{{Node: "node-a", Addr: addr}})
	_, report, err := calls(t, f, query.Request{})
	if lines := absences(report); err != nil || len(lines) != 1 || !strings.Contains(lines[0], "peer is not trusted") {
		t.Fatalf("%q (%v)", lines, err)
	}
	answers := func() bool {
		got, report, err := calls(t, f, query.Request{})
		return err == nil && len(got) == 10 && !report.Partial()
	}
	ca.Write(t, hub, link.HubName, time.Hour)
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		if err := os.Chtimes(hub+"/"+name, time.Now(), time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the new CA is taken", answers)
	stop()
	if answers() {
		t.Fatal("a dead worker answers")
	}
	serve(t, addr, folder, server.New(source))
	until(t, "the worker is back", answers)
}

// Who follows over gRPC hears a worker again that was started again.
func TestFollowOverConnection(t *testing.T) {
	m := newMembers(t, MembersOptions{})
	s := newStore()
	s.add(1, 2, 3)
	addr, stop := serve(t, "", "", server.New(s))
	m.Set([]Worker{{Node: "node-a", Addr: addr}})
	w := startFollower(m.Fleet(), query.Request{})
	heard := func(n int) func() bool {
		return func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.calls) >= n }
	}
	until(t, "what is kept", heard(3))
	stop()
	until(t, "its end is told", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.notes) == 1 })
	s.add(4)
	serve(t, addr, "", server.New(s))
	until(t, "what is new", heard(4))
	s.add(5)
	until(t, "what comes", heard(5))
	w.end(t)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.calls, []int{1, 2, 3, 4, 5}) || len(w.notes) != 2 || w.notes[1] != "node-a answers" {
		t.Errorf("calls %v, notes %q", w.calls, w.notes)
	}
}

// A connection that is left is closed when the last question that goes over it has ended.
func TestReplacedWhileAsked(t *testing.T) {
	m := newMembers(t, MembersOptions{})
	source := &sourcetest.Source{Kept: 30000}
	addr, _ := serve(t, "", "", server.New(source))
	m.Set([]Worker{{Node: "node-a", Addr: addr}})
	old := m.members["node-a"].conn
	told := 0
	_, err := m.Fleet().Calls(context.Background(), &query.Request{}, func(*dissect.Call) error {
		if told++; told == 1 {
			m.Set(nil)
			if s := old.conn.GetState(); s == connectivity.Shutdown {
				t.Error("closed while it is used")
			}
		}
		return nil
	})
	if err != nil || told != 30000 {
		t.Errorf("%d calls (%v)", told, err)
	}
	if s := old.conn.GetState(); s != connectivity.Shutdown {
		t.Errorf("then it is %v", s)
	}
	if _, _, err := old.Nodes(context.Background()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("asked again: %v", err)
	}
}
