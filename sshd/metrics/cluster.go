package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// View is what the hub knows of its workers and the cluster. It is read at each scrape.
type View struct {
	Workers map[string]int // by state, of States
	Synced  bool           // the cluster is known
	Lag     time.Duration  // how old that knowledge may be, 0: each change is told as it comes
	Pods    int            // that have a network
}

// States are those of workers: they answer, they do not, or Kubernetes says that they are not
// there to be asked yet.
func States() []string { return []string{"connected", "missing", "starting"} }

// Cluster collects the hub's view. view returns at once.
type Cluster struct{ view func() View }

// NewCluster makes the collector.
func NewCluster(view func() View) *Cluster { return &Cluster{view} }

// What the hub knows. Descriptions are immutable.
var (
	workers = prometheus.NewDesc("sshark_hub_workers", "Workers by state: connected, missing (no connection), starting (no address yet).", []string{"state"}, nil)
	synced  = prometheus.NewDesc("sshark_hub_cluster_synced", "1 once the cluster's pods, services and nodes are known.", nil, nil)
	lag     = prometheus.NewDesc("sshark_hub_identity_lag_seconds", "How old the knowledge of who is who may be: 0 while the Kubernetes API tells what changes, else the time since it was last heard of.", nil, nil)
	pods    = prometheus.NewDesc("sshark_hub_pods", "Pods of the cluster that have a network now.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *Cluster) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{workers, synced, lag, pods} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Cluster) Collect(out chan<- prometheus.Metric) {
	v := c.view()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, s := range States() {
		gauge(workers, float64(v.Workers[s]), s)
	}
	gauge(synced, map[bool]float64{true: 1}[v.Synced])
	gauge(lag, v.Lag.Seconds())
	gauge(pods, float64(v.Pods))
}
