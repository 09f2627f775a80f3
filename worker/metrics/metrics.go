// Package metrics tells Prometheus how a worker is: what it captures, keeps and loses, who asks
// it, and whether the hub tells it who is who. docs/metrics.md is the list.
//
// The numbers are those that the parts count anyway, read when somebody asks; only questions
// are counted here. Labels have few values, known beforehand: no metric names a pod, a user or
// an address. Nothing is registered by itself, and there is no state outside of what the New
// functions return. All is safe for concurrent use.
package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sshark/sshark/worker/query"
)

// collectTime bounds how long a scrape waits for the state of the node.
const collectTime = 5 * time.Second

// Identity is how a worker knows who is who.
type Identity struct {
	Connected bool      // the hub keeps its connection open
	Heard     time.Time // when the hub said something last
	Waiting   int       // addresses that were seen and whose owner the hub has not told yet
}

// Worker collects the state of one node.
type Worker struct {
	source   query.Source
	identity func() Identity
	now      func() time.Time

	mu    sync.Mutex
	highs map[*prometheus.Desc]map[string]float64
}

// NewWorker makes the collector of a node. identity is nil where there is no hub, and its
// metrics are left out then. now is the clock, nil: the system's.
func NewWorker(source query.Source, identity func() Identity, now func() time.Time) *Worker {
	if now == nil {
		now = time.Now
	}
	return &Worker{source: source, identity: identity, now: now, highs: map[*prometheus.Desc]map[string]float64{}}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sshark_worker_"+name, help, labels, nil)
}

// What a node tells. Descriptions are immutable.
var (
	up       = desc("capturing", "1 while packets are captured, 0 if the worker is degraded: nodes and doctor say why.")
	seen     = desc("packets_seen_total", "Packets that came by: captured, filtered, or dropped in the ring.")
	captured = desc("packets_captured_total", "Packets that the ring took.")
	bytes    = desc("captured_bytes_total", "Bytes of these packets, as far as they are kept.")
	stored   = desc("packets_stored_total", "Packets that were handed to the store and not lost on the way to the disk.")
	filtered = desc("packets_filtered_total", "Packets that are not wanted, left out in the kernel.")
	dropped  = desc("packets_dropped_total", "Packets that were lost, by where: ring (the worker was too slow), queue (the disk was too slow), disk (it did not take them).", "reason")
	pods     = desc("pods_captured", "Pods that are captured now, and the node's own network as one.")
	troubled = desc("pods_with_problems", "Pods that are not captured as they should be: doctor says why.")
	used     = desc("store_bytes", "Bytes of the store on the disk.")
	limit    = desc("store_limit_bytes", "Bytes that the store may take.")
	age      = desc("store_oldest_age_seconds", "Age of the oldest packet kept, 0: none is.")
	idle     = desc("store_newest_age_seconds", "Age of the newest packet kept, 0: none is.")
	segments = desc("store_segments", "Files of the store, with the open one.")
	linked   = desc("hub_connected", "1 while the hub tells this worker who is who.")
	heard    = desc("hub_heard_age_seconds", "Time since the hub said something last; since the worker's start if it never did.")
	waiting  = desc("identity_addresses_waiting", "Addresses that were seen and whose owner the hub has not told yet.")
)

// Describe implements prometheus.Collector.
func (w *Worker) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{up, seen, captured, bytes, stored, filtered, dropped, pods, troubled, used, limit, age, idle, segments} {
		out <- d
	}
	if w.identity != nil {
		out <- linked
		out <- heard
		out <- waiting
	}
}

// Collect implements prometheus.Collector.
func (w *Worker) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTime)
	defer cancel()
	nodes, _, err := w.source.Nodes(ctx)
	switch {
	case err != nil:
		out <- prometheus.NewInvalidMetric(up, err)
	case len(nodes) > 0:
		w.node(out, &nodes[0])
	}
	if w.identity != nil {
		i := w.identity()
		gauge(out, linked, truth(i.Connected))
		gauge(out, heard, w.since(i.Heard))
		gauge(out, waiting, float64(i.Waiting))
	}
}

func (w *Worker) node(out chan<- prometheus.Metric, n *query.Node) {
	lost := n.QueueDrops + n.DiskDrops
	gauge(out, up, truth(n.State == "capturing"))
	w.counter(out, seen, n.Stats.Seen)
	w.counter(out, captured, n.Stats.Stored)
	w.counter(out, bytes, n.Stats.Bytes)
	w.counter(out, stored, n.Stats.Stored-min(n.Stats.Stored, lost))
	w.counter(out, filtered, n.Stats.Filtered)
	w.counter(out, dropped, n.Stats.Dropped, "ring")
	w.counter(out, dropped, n.QueueDrops, "queue")
	w.counter(out, dropped, n.DiskDrops, "disk")
	well, ill := 0, 0
	for i := range n.Pods {
		switch p := &n.Pods[i]; {
		case p.Problem != "":
			ill++
		case len(p.Interfaces) > 0:
			well++
		}
	}
	gauge(out, pods, float64(well))
	gauge(out, troubled, float64(ill))
	gauge(out, used, float64(n.StoreUsed))
	gauge(out, limit, float64(n.StoreLimit))
	gauge(out, age, w.since(stamp(n.Oldest)))
	gauge(out, idle, w.since(stamp(n.Newest)))
	gauge(out, segments, float64(n.Segments))
}

// counter tells a count, never less than before: what was counted as lost is taken back when
// it turns out to be kept, and Prometheus takes less for a new start.
func (w *Worker) counter(out chan<- prometheus.Metric, d *prometheus.Desc, n uint64, labels ...string) {
	key := ""
	if len(labels) > 0 {
		key = labels[0]
	}
	w.mu.Lock()
	high := w.highs[d]
	if high == nil {
		high = map[string]float64{}
		w.highs[d] = high
	}
	high[key] = max(high[key], float64(n))
	v := high[key]
	w.mu.Unlock()
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, v float64) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// stamp is the time of ns since 1970, the zero time of 0.
func stamp(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// since is the seconds since a time, 0 of the zero time and of the future.
func (w *Worker) since(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(0, w.now().Sub(t).Seconds())
}

// BuildInfo is a metric that is always 1: which version runs, as what.
func BuildInfo(side, version string) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sshark_build_info", Help: "1: the version that runs, and as what.",
		ConstLabels: prometheus.Labels{"version": version, "part": side}})
	g.Set(1)
	return g
}
