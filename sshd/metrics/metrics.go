// Package metrics tells Prometheus how the hub is: who signs in and is refused, what runs, what
// leaves the house, and how it stands with the workers and the cluster. docs/metrics.md is the
// list.
//
// Labels have few values, known beforehand: what a client makes up (a login, a command that
// does not exist) is counted as "other", and no metric names a user, a pod or an address.
// Nothing is registered by itself, and there is no state outside of what the New functions
// return. All is safe for concurrent use.
package metrics

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sshark/sshark/sshd"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/command"
)

// other stands for all that is not known beforehand.
const other = "other"

var (
	methods  = []string{"publickey", "keyboard-interactive", other}
	statuses = []int{command.ExitOK, command.ExitFailed, command.ExitUsage, command.ExitPartial, command.ExitRefused, command.ExitCancelled}
)

// Console counts what the SSH server does. It is an sshd.Observer and a prometheus.Collector.
type Console struct {
	commands []string
	refused  prometheus.Counter
	signIns  *prometheus.CounterVec
	open     *prometheus.GaugeVec
	sessions *prometheus.CounterVec
	statuses *prometheus.CounterVec
	running  *prometheus.GaugeVec
	took     *prometheus.HistogramVec
	refusals *prometheus.CounterVec
	sent     *prometheus.CounterVec
	exported prometheus.Counter
}

// NewConsole makes the counters; commands are the names of the console's commands.
func NewConsole(commands []string) *Console {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sshark_hub_" + name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sshark_hub_" + name, Help: help}, labels)
	}
	c := &Console{
		commands: append(slices.Clone(commands), other),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "sshark_hub_connections_refused_total",
			Help: "Connections that were closed unread: too many, or too fast."}),
		signIns:  counter("sign_ins_total", "Attempts to sign in, by method and result; a client may make several.", "method", "result"),
		open:     gauge("sessions_open", "Sessions that are open now, by kind.", "kind"),
		sessions: counter("sessions_total", "Sessions that were begun, by kind.", "kind"),
		running:  gauge("commands_running", "Commands that run now, by name.", "command"),
		statuses: counter("commands_total", "Commands that have ended, by name and exit status.", "command", "status"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sshark_hub_command_duration_seconds",
			Help: "How long commands ran, those that follow too.", Buckets: []float64{.01, .1, 1, 10, 60, 600, 3600}}, []string{"command"}),
		refusals: counter("refusals_total", "What policy refused to users who got in, by verb.", "verb"),
		sent:     counter("sent_bytes_total", "Bytes that went to clients, by kind of session.", "kind"),
		exported: prometheus.NewCounter(prometheus.CounterOpts{Name: "sshark_hub_exported_bytes_total",
			Help: "Bytes of packets and files that went to clients."}),
	}
	// Each is there from the start.
	for _, m := range methods {
		c.signIns.WithLabelValues(m, "accepted")
		c.signIns.WithLabelValues(m, "refused")
	}
	for _, k := range sshd.Kinds() {
		c.open.WithLabelValues(k)
		c.sessions.WithLabelValues(k)
		c.sent.WithLabelValues(k)
	}
	for _, name := range c.commands {
		c.running.WithLabelValues(name)
		c.took.WithLabelValues(name)
		c.statuses.WithLabelValues(name, strconv.Itoa(command.ExitOK))
	}
	for _, v := range auth.Verbs() {
		c.refusals.WithLabelValues(string(v))
	}
	return c
}

func (c *Console) all() []prometheus.Collector {
	return []prometheus.Collector{c.refused, c.signIns, c.open, c.sessions, c.running, c.statuses, c.took, c.refusals, c.sent, c.exported}
}

// Describe implements prometheus.Collector.
func (c *Console) Describe(out chan<- *prometheus.Desc) {
	for _, one := range c.all() {
		one.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (c *Console) Collect(out chan<- prometheus.Metric) {
	for _, one := range c.all() {
		one.Collect(out)
	}
}

// known is a value if it is one of those that there are.
func known(value string, of []string) string {
	if slices.Contains(of, value) {
		return value
	}
	return other
}

// ConnectionRefused implements sshd.Observer.
func (c *Console) ConnectionRefused() { c.refused.Inc() }

// SignIn implements sshd.Observer.
func (c *Console) SignIn(method string, accepted bool) {
	result := "refused"
	if accepted {
		result = "accepted"
	}
	c.signIns.WithLabelValues(known(method, methods), result).Inc()
}

// Session implements sshd.Observer.
func (c *Console) Session(kind, name string) (ended func(status int, sent int64)) {
	kind = known(kind, sshd.Kinds())
	c.sessions.WithLabelValues(kind).Inc()
	c.open.WithLabelValues(kind).Inc()
	begun := time.Now()
	if name = known(name, c.commands); kind == "command" {
		c.running.WithLabelValues(name).Inc()
	}
	return func(status int, sent int64) {
		c.open.WithLabelValues(kind).Dec()
		c.sent.WithLabelValues(kind).Add(float64(max(0, sent)))
		if kind != "command" {
			return
		}
		if !slices.Contains(statuses, status) {
			status = command.ExitFailed
		}
		c.running.WithLabelValues(name).Dec()
		c.statuses.WithLabelValues(name, strconv.Itoa(status)).Inc()
		c.took.WithLabelValues(name).Observe(time.Since(begun).Seconds())
	}
}

// Refused implements sshd.Observer.
func (c *Console) Refused(v auth.Verb) {
	if slices.Contains(auth.Verbs(), v) {
		c.refusals.WithLabelValues(string(v)).Inc()
	}
}

// Exported implements sshd.Observer.
func (c *Console) Exported(bytes int64) { c.exported.Add(float64(max(0, bytes))) }
