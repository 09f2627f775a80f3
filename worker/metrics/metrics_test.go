package metrics

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/worker/query"
)

// fixed is a source that answers what it is told to.
type fixed struct {
	query.Source
	nodes  []query.Node
	report *query.Report
	err    error
}

func (f *fixed) Nodes(context.Context) ([]query.Node, *query.Report, error) {
	return f.nodes, f.report, f.err
}

func (f *fixed) Calls(context.Context, *query.Request, func(*dissect.Call) error) (*query.Report, error) {
	return f.report, f.err
}

var now = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

func clock() time.Time { return now }

func TestWorker(t *testing.T) {
	at := func(ago time.Duration) int64 { return now.Add(-ago).UnixNano() }
	n := query.Node{State: "capturing", Stats: pcap.Stats{Seen: 100, Stored: 80, Dropped: 5, Filtered: 15, Bytes: 8000},
		QueueDrops: 3, DiskDrops: 2, Oldest: at(time.Hour), Newest: at(time.Second), StoreUsed: 1 << 20, StoreLimit: 1 << 30, Segments: 4,
		Pods: []query.PodState{{Interfaces: []string{"lo"}}, {Interfaces: []string{"eth0", "lo"}}, {Problem: "no"}, {}}}
	s := &fixed{nodes: []query.Node{n}}
	w := NewWorker(s, func() Identity { return Identity{true, now.Add(-3 * time.Second), 7} }, clock)
	expect := func(text string) {
		t.Helper()
		if err := testutil.CollectAndCompare(w, strings.NewReader(text), names(text)...); err != nil {
			t.Error(err)
		}
	}
	expect(`
# HELP sshark_worker_packets_dropped_total Packets that were lost, by where: ring (the worker was too slow), queue (the disk was too slow), disk (it did not take them).
# TYPE sshark_worker_packets_dropped_total counter
sshark_worker_packets_dropped_total{reason="disk"} 2
sshark_worker_packets_dropped_total{reason="queue"} 3
sshark_worker_packets_dropped_total{reason="ring"} 5
# HELP sshark_worker_packets_stored_total Packets that were handed to the store and not lost on the way to the disk.
# TYPE sshark_worker_packets_stored_total counter
sshark_worker_packets_stored_total 75
# HELP sshark_worker_pods_captured Pods that are captured now, and the node's own network as one.
# TYPE sshark_worker_pods_captured gauge
sshark_worker_pods_captured 2
# HELP sshark_worker_pods_with_problems Pods that are not captured as they should be: doctor says why.
# TYPE sshark_worker_pods_with_problems gauge
sshark_worker_pods_with_problems 1
# HELP sshark_worker_store_oldest_age_seconds Age of the oldest packet kept, 0: none is.
# TYPE sshark_worker_store_oldest_age_seconds gauge
sshark_worker_store_oldest_age_seconds 3600
# HELP sshark_worker_hub_heard_age_seconds Time since the hub said something last; since the worker's start if it never did.
# TYPE sshark_worker_hub_heard_age_seconds gauge
sshark_worker_hub_heard_age_seconds 3
# HELP sshark_worker_identity_addresses_waiting Addresses that were seen and whose owner the hub has not told yet.
# TYPE sshark_worker_identity_addresses_waiting gauge
sshark_worker_identity_addresses_waiting 7
`)

	// What was lost turns out to be kept: the counter waits.
	s.nodes[0].QueueDrops = 1
	expect(`
# HELP sshark_worker_packets_dropped_total Packets that were lost, by where: ring (the worker was too slow), queue (the disk was too slow), disk (it did not take them).
# TYPE sshark_worker_packets_dropped_total counter
sshark_worker_packets_dropped_total{reason="disk"} 2
sshark_worker_packets_dropped_total{reason="queue"} 3
sshark_worker_packets_dropped_total{reason="ring"} 5
`)
	if problems, err := testutil.CollectAndLint(w); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// names are the metrics of an exposition.
func names(text string) (out []string) {
	for _, line := range strings.Split(text, "\n") {
		if f := strings.Fields(line); len(f) > 2 && f[1] == "TYPE" {
			out = append(out, f[2])
		}
	}
	return out
}

// TestNoState holds that a node which does not say how it is makes the scrape fail, and is not
// told as one that captures nothing.
func TestNoState(t *testing.T) {
	w := NewWorker(&fixed{err: errors.New("stuck")}, nil, clock)
	if err := testutil.CollectAndCompare(w, strings.NewReader("")); err == nil || !strings.Contains(err.Error(), "stuck") {
		t.Errorf("collected with %v", err)
	}
}

func TestQuestions(t *testing.T) {
	q := NewQuestions("worker")
	for _, tt := range []struct {
		report *query.Report
		err    error
		result string
	}{
		{&query.Report{}, nil, "answered"},
		{nil, query.ErrStop, "answered"},
		{&query.Report{Nodes: []query.NodeReport{{Missing: "gone"}}}, nil, "partial"},
		{nil, context.Canceled, "cancelled"},
		{nil, errors.New("disk"), "failed"},
	} {
		before := testutil.ToFloat64(q.total.WithLabelValues("calls", tt.result))
		s := q.Of(&fixed{report: tt.report, err: tt.err})
		if _, err := s.Calls(t.Context(), &query.Request{}, nil); !errors.Is(err, tt.err) {
			t.Errorf("the answer's error became %v", err)
		}
		if n := testutil.ToFloat64(q.total.WithLabelValues("calls", tt.result)) - before; n != 1 {
			t.Errorf("%v, %v: %v counted as %s", tt.report, tt.err, n, tt.result)
		}
	}
	if n := testutil.ToFloat64(q.running.WithLabelValues("calls")); n != 0 {
		t.Errorf("%v are running", n)
	}
	if problems, err := testutil.CollectAndLint(q); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
