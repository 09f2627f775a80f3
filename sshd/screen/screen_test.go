package screen

import (
	"context"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/tui"
	"github.com/sshark/sshark/worker/query"
)

func TestBackend(t *testing.T) {
	language, err := filter.New([]*dissect.Protocol{sourcetest.HTTP})
	if err != nil {
		t.Fatal(err)
	}
	source := &sourcetest.Source{Kept: 20, Language: language, Report: []query.NodeReport{
		{Node: "node-a", Oldest: 100, Newest: 900, Dropped: 3}, {Node: "node-b", Oldest: 200, Newest: 800, Lagged: 2}, {Node: "node-c", Missing: "no route"}},
		NodeList: []query.Node{{Name: "node-a", State: "capturing", Stats: pcap.Stats{Seen: 10, Dropped: 1}, QueueDrops: 2, DiskDrops: 4,
			Pods: []query.PodState{{Pod: pcap.Pod{Name: "cart"}, Problem: "gone"}, {Pod: pcap.Pod{Name: "shop"}}}}}}
	b := New(source, language)
	ctx := context.Background()

	var ref tui.Ref
	report, err := b.Calls(ctx, tui.Query{Filter: "status_code == 503", Last: 2}, func(c *dissect.Call) error {
		ref = tui.NewDetail(c).Ref
		return nil
	})
	if err != nil || report.Matched != 4 || report.Oldest != 200 || report.OldestNode != "node-b" || report.Newest != 900 || report.Dropped != 3 ||
		report.Lagged != 2 || len(report.Missing) != 1 || report.Missing[0].Node != "node-c" {
		t.Errorf("report %+v (%v)", report, err)
	}
	d, err := b.Detail(ctx, ref)
	if err != nil || d.Summary != "GET /cart/19" || d.Status != "503" {
		t.Errorf("detail %+v (%v)", d, err)
	}
	ref.ID++
	if _, err := b.Detail(ctx, ref); err == nil || !strings.Contains(err.Error(), "no longer kept") {
		t.Errorf("a call that nobody has: %v", err)
	}
	nodes, err := b.Nodes(ctx)
	if err != nil || len(nodes) != 1 || nodes[0].Dropped != 7 || nodes[0].Pods != 2 || len(nodes[0].Problems) != 1 {
		t.Errorf("nodes %+v (%v)", nodes, err)
	}
	if err := b.Check("staus_code == 1"); err == nil || !strings.Contains(err.Error(), "^") {
		t.Errorf("a typo: %v", err)
	}
	if all := b.Complete("stat", 4); len(all) == 0 || all[0].Text != "status_code" || all[0].Kind != "field" {
		t.Errorf("completions %+v", all)
	}
}
