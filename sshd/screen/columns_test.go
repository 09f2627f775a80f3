package screen

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/tui"
)

func backend(t *testing.T) *Backend {
	t.Helper()
	language, err := filter.New([]*dissect.Protocol{sourcetest.HTTP})
	if err != nil {
		t.Fatal(err)
	}
	return New(&sourcetest.Source{Kept: 20, Language: language}, language)
}

func TestColumnsAreRead(t *testing.T) {
	b, ctx := backend(t), context.Background()
	read, err := b.Columns("status_code", "path", "dst.port")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if _, err := b.Calls(ctx, tui.Query{Last: 2}, func(c *dissect.Call) error {
		got = append(got, fmt.Sprint(read(nil, c)[:2]))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := "[[200 /cart/18] [503 /cart/19]]"; fmt.Sprint(got) != want {
		t.Errorf("read %v, want %s", got, want)
	}
	if _, err := b.Columns("staus_code"); err == nil || !strings.Contains(err.Error(), "status_code") {
		t.Errorf("a typo: %v", err)
	}
}

// TestDetailIsWhatCallsPrint holds that a call is copied as `calls -o json` prints it, also one
// that was seen at both ends: of one stream there is nothing to join.
func TestDetailIsWhatCallsPrint(t *testing.T) {
	b, ctx := backend(t), context.Background()
	var ref tui.Ref
	var want string
	if _, err := b.Calls(ctx, tui.Query{Last: 1}, func(c *dissect.Call) error {
		joined := *c
		joined.Client = &dissect.Sighting{Node: "node-z", Time: c.Time + 5, RequestEnd: 1, ResponseStart: 2, ResponseEnd: 3}
		ref, want = tui.NewDetail(&joined).Ref, string(dissect.AppendCall(nil, &joined))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d, err := b.Detail(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	if string(d.JSON) != want || !json.Valid(d.JSON) || !strings.Contains(want, `"client_seen":{"node":"node-z"`) {
		t.Errorf("got  %s\nwant %s", d.JSON, want)
	}
	if d.Client == nil || d.Client.Node != "node-z" {
		t.Errorf("seen at the client: %+v", d.Client)
	}
}
