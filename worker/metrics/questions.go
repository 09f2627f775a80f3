package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/worker/query"
)

// The questions and how they ended, all values of the labels.
var (
	questions = []string{"calls", "flows", "packets", "stream", "nodes"}
	results   = []string{"answered", "partial", "cancelled", "failed"}
)

// Questions counts the questions that a source is asked, and how long they take. The time of
// those that follow is their asker's and not told.
type Questions struct {
	running *prometheus.GaugeVec
	total   *prometheus.CounterVec
	took    *prometheus.HistogramVec
}

// NewQuestions makes the counters of a side: "worker" or "hub".
func NewQuestions(side string) *Questions {
	q := &Questions{
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "sshark", Subsystem: side, Name: "queries_running",
			Help: "Questions that are being answered now."}, []string{"question"}),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sshark", Subsystem: side, Name: "queries_total",
			Help: "Questions that have ended, by how: answered, partial (a node is missing), cancelled (the asker went away), failed."}, []string{"question", "result"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "sshark", Subsystem: side, Name: "query_duration_seconds",
			Help:    "How long questions took that do not follow.",
			Buckets: []float64{.005, .02, .1, .3, 1, 3, 10, 30, 120}}, []string{"question"}),
	}
	for _, name := range questions { // so that each is there from the start
		q.running.WithLabelValues(name)
		q.took.WithLabelValues(name)
		for _, result := range results {
			q.total.WithLabelValues(name, result)
		}
	}
	return q
}

// Describe implements prometheus.Collector.
func (q *Questions) Describe(out chan<- *prometheus.Desc) {
	q.running.Describe(out)
	q.total.Describe(out)
	q.took.Describe(out)
}

// Collect implements prometheus.Collector.
func (q *Questions) Collect(out chan<- prometheus.Metric) {
	q.running.Collect(out)
	q.total.Collect(out)
	q.took.Collect(out)
}

// Of counts what is asked of a source.
func (q *Questions) Of(s query.Source) query.Source { return &counted{q, s} }

// begin counts a question until the end that it returns is called.
func (q *Questions) begin(name string, follow bool) (end func(*query.Report, error)) {
	begun := time.Now()
	q.running.WithLabelValues(name).Inc()
	return func(r *query.Report, err error) {
		q.running.WithLabelValues(name).Dec()
		q.total.WithLabelValues(name, resultOf(r, err)).Inc()
		if !follow {
			q.took.WithLabelValues(name).Observe(time.Since(begun).Seconds())
		}
	}
}

func resultOf(r *query.Report, err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case err != nil && !errors.Is(err, query.ErrStop) && !errors.Is(err, query.ErrNoSuchFlow):
		return "failed"
	case r != nil && r.Partial():
		return "partial"
	}
	return "answered"
}

// counted is a source whose questions are counted.
type counted struct {
	q *Questions
	query.Source
}

func (c *counted) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (report *query.Report, err error) {
	end := c.q.begin("calls", r.Follow)
	defer func() { end(report, err) }()
	return c.Source.Calls(ctx, r, each)
}

func (c *counted) Flows(ctx context.Context, r *query.Request, each func(*dissect.Flow) error) (report *query.Report, err error) {
	end := c.q.begin("flows", r.Follow)
	defer func() { end(report, err) }()
	return c.Source.Flows(ctx, r, each)
}

func (c *counted) Packets(ctx context.Context, r *query.Request, out query.PacketSink) (report *query.Report, err error) {
	end := c.q.begin("packets", r.Follow)
	defer func() { end(report, err) }()
	return c.Source.Packets(ctx, r, out)
}

func (c *counted) Stream(ctx context.Context, r *query.Request, out query.StreamSink) (report *query.Report, err error) {
	end := c.q.begin("stream", r.Follow)
	defer func() { end(report, err) }()
	return c.Source.Stream(ctx, r, out)
}

func (c *counted) Nodes(ctx context.Context) (nodes []query.Node, report *query.Report, err error) {
	end := c.q.begin("nodes", false)
	defer func() { end(report, err) }()
	return c.Source.Nodes(ctx)
}
