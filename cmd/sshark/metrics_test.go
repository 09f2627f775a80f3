package main_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sshark/sshark/sshd/command"
	hubmetrics "github.com/sshark/sshark/sshd/metrics"
	"github.com/sshark/sshark/worker/metrics"
	"github.com/sshark/sshark/worker/query"
)

var update = flag.Bool("update", false, "write the golden files")

// idleNode is a worker that has nothing to tell.
type idleNode struct{ query.Source }

func (idleNode) Nodes(context.Context) ([]query.Node, *query.Report, error) {
	return []query.Node{{Name: "a", State: "capturing"}}, &query.Report{}, nil
}

const metricsHead = `# Metrics

Worker and hub serve them at /metrics of their --http address (port 9090), for Prometheus. No label
names a pod, a user or an address: each has few values, known beforehand. Besides these there are
the usual ones of Go (go_…) and of the process (process_…).

This list is compared with what is exposed by a test, which also writes it: go test ./cmd/sshark -run TestMetricsList -update
`

// TestMetricsList holds that docs/metrics.md lists what is exposed.
func TestMetricsList(t *testing.T) {
	text := bytes.NewBufferString(metricsHead)
	for _, part := range []struct {
		title      string
		collectors []prometheus.Collector
	}{
		{"Worker", []prometheus.Collector{metrics.NewWorker(idleNode{}, func() metrics.Identity { return metrics.Identity{} }, nil),
			metrics.NewQuestions("worker"), metrics.BuildInfo("worker", "v1")}},
		{"Hub", []prometheus.Collector{hubmetrics.NewConsole(command.Names()), hubmetrics.NewCluster(func() hubmetrics.View { return hubmetrics.View{} }),
			metrics.NewQuestions("hub"), metrics.BuildInfo("hub", "v1")}},
	} {
		fmt.Fprintf(text, "\n## %s\n\n| metric | type | labels | what it tells |\n|---|---|---|---|\n", part.title)
		r := prometheus.NewPedanticRegistry()
		r.MustRegister(part.collectors...)
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if !strings.HasPrefix(f.GetName(), "sshark_") {
				t.Errorf("%s: the prefix is sshark_", f.GetName())
			}
			var labels []string
			for _, l := range f.GetMetric()[0].GetLabel() {
				labels = append(labels, "`"+l.GetName()+"`")
			}
			slices.Sort(labels)
			fmt.Fprintf(text, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, " "), f.GetHelp())
		}
	}
	path := filepath.Join("..", "..", "docs", "metrics.md")
	if *update {
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text.Bytes(), want) {
		t.Errorf("%s is not what is exposed:\n%s", path, text)
	}
}
