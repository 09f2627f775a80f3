package query

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/pcap/snapshot"
	"github.com/sshark/sshark/servicemap/identity"
)

// packed makes a snapshot of one node out of a capture, with a name that only it knows, and a
// node that is missing if why says so.
func packed(t *testing.T, path, why string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := snapshot.Node{Name: "node-a", File: "node-a.pcapng", Size: int64(len(text))}
	rd, err := pcapng.NewReader(bytes.NewReader(text), pcapng.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		var p pcap.Packet
		if err := rd.Next(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		n.Add(&p)
	}
	var history snapshot.History
	history.Learn(netip.MustParseAddr("10.0.0.9"), 0, identity.Encode(identity.Owner{Identity: &dissect.Identity{Namespace: "shop", Pod: "told"}}))
	var names, out bytes.Buffer
	if _, err := history.WriteTo(&names); err != nil {
		t.Fatal(err)
	}
	m := &snapshot.Manifest{Name: "x", Created: n.Newest, Since: n.Oldest, Until: n.Newest.Add(time.Second), Nodes: []snapshot.Node{n}}
	if why != "" {
		m.Nodes = append(m.Nodes, snapshot.Node{Name: "node-b", Missing: why})
	}
	files := fstest.MapFS{"names.json": {Data: names.Bytes()}, "node-a.pcapng": {Data: text}}
	if err := snapshot.Write(m, files, func() (io.Writer, error) { out.Reset(); return &out, nil }); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestOpenSnapshot(t *testing.T) {
	path := capture(t, 40)
	plain := openFile(t, path)
	want := strings.Join(jsonLines(t, plain, Request{}), "\n")
	good, partial := packed(t, path, ""), packed(t, path, "connection refused")
	for _, tt := range []struct {
		name    string
		bytes   []byte
		err     error
		missing string // what a report says
		same    bool
	}{
		{"good", good, nil, "", true},
		{"a node is missing", partial, nil, "node-b did not answer: connection refused", true},
		{"cut off", good[:len(good)*2/3], nil, "complete", false},
		{"with something behind it", append(bytes.Clone(good), good...), snapshot.ErrUnsafe, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			temp := t.TempDir()
			t.Setenv("TMPDIR", temp)
			name := filepath.Join(t.TempDir(), "x.tar.gz")
			if err := os.WriteFile(name, tt.bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := OpenFile(name, plain.protocols, plain.language)
			if !errors.Is(err, tt.err) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if err == nil {
				var lines []string
				report, err := f.Calls(context.Background(), &Request{}, func(c *dissect.Call) error {
					lines = append(lines, string(dissect.AppendCall(nil, c)))
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(lines, "\n"); tt.same && got != want || !tt.same && (len(lines) == 0 || got == want) {
					t.Errorf("it tells\n%s\nwant\n%s", got, want)
				}
				said := ""
				for i := range report.Nodes {
					said += report.Nodes[i].Absence()
				}
				if (said == "") != (tt.missing == "") || !strings.Contains(said, tt.missing) {
					t.Errorf("it says %q", said)
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// TestSnapshotNames: the history of names that a snapshot tells counts.
func TestSnapshotNames(t *testing.T) {
	path := capture(t, 4)
	plain := openFile(t, path)
	rd, err := snapshot.NewReader(bytes.NewReader(packed(t, path, "")), snapshot.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenSnapshot(rd, t.TempDir(), plain.protocols, plain.language, func(path string) (io.WriteCloser, error) { return os.Create(path) })
	if err != nil {
		t.Fatal(err)
	}
	if id := f.pass().names.Resolve(netip.MustParseAddrPort("10.0.0.9:80"), 1); id == nil || id.Pod != "told" {
		t.Errorf("%+v", id)
	}
}
