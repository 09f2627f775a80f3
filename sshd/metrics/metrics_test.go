package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/command"
)

func TestConsole(t *testing.T) {
	c := NewConsole(command.Names())
	for _, name := range []string{"calls", "doctor"} {
		if known(name, c.commands) != name {
			t.Errorf("%s is no command", name)
		}
	}
	c.SignIn("publickey", true)
	c.SignIn("gssapi-with-mic", false)
	ended := c.Session("command", "calls")
	typo := c.Session("command", "cals")
	screen := c.Session("screen", "")
	for what, want := range map[prometheus.Collector]float64{
		c.signIns.WithLabelValues("publickey", "accepted"): 1,
		c.signIns.WithLabelValues(other, "refused"):        1,
		c.open.WithLabelValues("command"):                  2,
		c.open.WithLabelValues("screen"):                   1,
		c.running.WithLabelValues("calls"):                 1,
		c.running.WithLabelValues(other):                   1,
	} {
		if n := testutil.ToFloat64(what); n != want {
			t.Errorf("%v: %v, want %v", what, n, want)
		}
	}
	ended(command.ExitPartial, 1000)
	typo(command.ExitUsage, 10)
	screen(0, 50)
	c.Refused(auth.Export)
	c.Refused("rule")
	c.Exported(4096)
	for what, want := range map[prometheus.Collector]float64{
		c.open.WithLabelValues("command"):        0,
		c.running.WithLabelValues("calls"):       0,
		c.statuses.WithLabelValues("calls", "3"): 1,
		c.statuses.WithLabelValues(other, "2"):   1,
		c.sent.WithLabelValues("command"):        1010,
		c.refusals.WithLabelValues("export"):     1,
		c.exported:                               4096,
	} {
		if n := testutil.ToFloat64(what); n != want {
			t.Errorf("%v: %v, want %v", what, n, want)
		}
	}
	if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// TestBounded holds that clients cannot make metrics grow.
func TestBounded(t *testing.T) {
	c := NewConsole(command.Names())
	try := func(n int) {
		for i := range n {
			c.SignIn(fmt.Sprint("method", i), i%2 == 0)
			c.Session(fmt.Sprint("kind", i), fmt.Sprint("command", i))(i, 1)
			c.Session("command", fmt.Sprint("command", i))(i, 1)
			c.Refused(auth.Verb(fmt.Sprint("verb", i)))
		}
	}
	try(300) // all statuses, too
	before := testutil.CollectAndCount(c)
	try(2000)
	if after := testutil.CollectAndCount(c); after != before {
		t.Errorf("%d metrics grew to %d", before, after)
	}
}

func TestCluster(t *testing.T) {
	c := NewCluster(func() View {
		return View{Workers: map[string]int{"connected": 2, "missing": 1}, Synced: true, Lag: 250 * time.Millisecond, Pods: 40}
	})
	const want = `
# HELP sshark_hub_cluster_synced 1 once the cluster's pods, services and nodes are known.
# TYPE sshark_hub_cluster_synced gauge
sshark_hub_cluster_synced 1
# HELP sshark_hub_identity_lag_seconds How old the knowledge of who is who may be: 0 while the Kubernetes API tells what changes, else the time since it was last heard of.
# TYPE sshark_hub_identity_lag_seconds gauge
sshark_hub_identity_lag_seconds 0.25
# HELP sshark_hub_workers Workers by state: connected, missing (no connection), starting (no address yet).
# TYPE sshark_hub_workers gauge
sshark_hub_workers{state="connected"} 2
sshark_hub_workers{state="missing"} 1
sshark_hub_workers{state="starting"} 0
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "sshark_hub_cluster_synced", "sshark_hub_identity_lag_seconds", "sshark_hub_workers"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
