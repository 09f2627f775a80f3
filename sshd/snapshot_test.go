package sshd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/dissect/protocols"
	"github.com/sshark/sshark/sshd/command"
	"github.com/sshark/sshark/sshd/snapshots"
	"github.com/sshark/sshark/worker/query"
)

// withSnapshots gives a console a library of snapshots.
func withSnapshots(t *testing.T, dir string) func(*Options) {
	return func(o *Options) {
		l, err := snapshots.Open(snapshots.Options{Dir: dir, Settle: -1, Idle: 1, Program: "sshark test", Protocols: protocols.All(), Language: o.Language,
			Log: slog.New(slog.DiscardHandler), Now: o.Now, MaxBytes: 64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if left := leftovers(t, dir); len(left) > 0 {
				t.Errorf("left in the folder: %q", left)
			}
		})
		o.Snapshots = l
	}
}

// leftovers are the hidden files of a folder.
func leftovers(t *testing.T, dir string) (out []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), ".") && e.Name() != ".lock" {
			out = append(out, e.Name())
		}
	}
	return out
}

// slow is a source whose packets never come.
type slow struct{ query.Source }

func (s slow) Packets(ctx context.Context, _ *query.Request, _ query.PacketSink) (*query.Report, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// as runs a command line as a user.
func (x *tenants) as(user, line string) result { return finish(x.t, x.ssh(user, nil, line)) }

// answers are what a source tells of everything: calls and flows as JSON.
func answers(t *testing.T, source query.Source) string {
	t.Helper()
	var b []byte
	ask := func(r *query.Report, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ask(source.Calls(t.Context(), &query.Request{}, func(c *dissect.Call) error { b = append(dissect.AppendCall(b, c), '\n'); return nil }))
	ask(source.Flows(t.Context(), &query.Request{}, func(f *dissect.Flow) error { b = append(dissect.AppendFlow(b, f), '\n'); return nil }))
	return string(b)
}

// TestSnapshotRoundTrip: what was captured, kept as a snapshot, copied down, up to another
// console, and looked at on a third machine are the same calls, flows, names and times.
func TestSnapshotRoundTrip(t *testing.T) {
	x := newTenants(t, true, true, withSnapshots(t, t.TempDir()))
	asked := func(x *tenants, flags string) string {
		t.Helper()
		all := ""
		for _, what := range []string{"calls", "flows"} {
			r := x.as("ops", what+" -o json "+flags)
			if r.status != 0 || r.stderr != "" {
				t.Fatalf("%s: %+v", what, r)
			}
			all += r.out
		}
		return all
	}
	live := asked(x, "--all")
	if strings.Count(live, "\n") < 20 {
		t.Fatalf("too little is kept: %s", live)
	}
	r := x.as("ops", "snapshot create one --since 1h -o json")
	if r.status != 0 || !strings.Contains(r.stderr, "snapshot one: ") {
		t.Fatalf("%+v", r)
	}
	var m struct {
		Nodes []struct {
			Node    string
			Packets int
		}
	}
	if err := json.Unmarshal([]byte(r.out), &m); err != nil || len(m.Nodes) != 2 || m.Nodes[0].Packets == 0 || m.Nodes[1].Packets == 0 {
		t.Errorf("manifest %s: %v", r.out, err)
	}
	if got := asked(x, "--snapshot one"); got != live {
		t.Errorf("the snapshot tells\n%s\nand not\n%s", got, live)
	}
	size := int64(0)
	for _, mode := range [][]string{{"-s"}, {"-O"}, {"-s", "-p"}, {"-O", "-p"}} {
		file := x.file("got" + strings.Join(mode, ""))
		if r := x.scpAs("ops", append(mode, x.remote("/snapshots/one.tar.gz"), file)...); r.status != 0 || r.stderr != "" {
			t.Fatalf("%q: %+v", mode, r)
		}
		st, err := os.Stat(file)
		if err != nil || size != 0 && st.Size() != size {
			t.Errorf("%q: %v, %v", mode, st, err)
		}
		size = st.Size()
	}
	if r := x.sftpAs("ops", "ls -l /snapshots\n"); !strings.Contains(r.out, fmt.Sprint(size)) {
		t.Errorf("%d bytes are not in %s", size, r.out)
	}

	y := newTenants(t, false, true, withSnapshots(t, t.TempDir()))
	down := x.file("got-s")
	for n, args := range [][]string{{"-s", down, y.remote("/snapshots/up0.tar.gz")}, {"-O", down, y.remote("/snapshots/up1.tar.gz")},
		{"-s", "-p", down, y.remote("/snapshots/up2.tar.gz")}, {"-O", "-p", down, y.remote("/snapshots/up3.tar.gz")}} {
		if r := y.scpAs("ops", args...); r.status != 0 || r.stderr != "" {
			t.Fatalf("%q: %+v", args, r)
		}
		if got := asked(y, fmt.Sprintf("--snapshot up%d", n)); got != live {
			t.Errorf("%q tells\n%s\nand not\n%s", args, got, live)
		}
	}
	again := y.file("one.tar.gz")
	if r := y.scpAs("ops", "-O", y.remote("/snapshots/up1.tar.gz"), again); r.status != 0 {
		t.Fatalf("%+v", r)
	}
	want, err := os.ReadFile(down)
	if got, err2 := os.ReadFile(again); err != nil || err2 != nil || !bytes.Equal(got, want) {
		t.Errorf("the file has changed: %v, %v", err, err2)
	}
	if r := y.as("ops", "snapshot list"); strings.Count(r.out, "\n") != 5 {
		t.Errorf("%+v", r)
	}

	parsers := protocols.All()
	lang, err := filter.New(parsers)
	if err != nil {
		t.Fatal(err)
	}
	file, err := query.OpenFile(again, parsers, lang)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := answers(t, file); got != live {
		t.Errorf("the file tells\n%s\nand not\n%s", got, live)
	}
	for _, name := range []string{"up0", "up1", "up2", "up3"} {
		if r := y.as("ops", "snapshot delete "+name); r.status != 0 {
			t.Errorf("%+v", r)
		}
	}
	y.audited(`"msg":"snapshot"`, `"what":"bring up1"`, fmt.Sprintf(`"bytes":%d`, size))
	y.audited(`"msg":"snapshot"`, `"what":"delete up1"`)
	x.audited(`"msg":"snapshot"`, `"what":"create one"`, `"user":"ops"`)
}

func (c *console) scpAs(user string, args ...string) result {
	c.t.Helper()
	return finish(c.t, exec.Command(tool(c.t, "scp"), append(append(c.options(user), "-P", c.port), args...)...))
}

func (c *console) sftpAs(user, commands string) result {
	c.t.Helper()
	if err := os.WriteFile(c.file("batch"), []byte(commands), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return finish(c.t, exec.Command(tool(c.t, "sftp"), append(c.options(user), "-P", c.port, "-b", c.file("batch"), "ops@127.0.0.1")...))
}

// TestUploadRefused: what is no snapshot is refused with a reason, in both modes of scp and by
// sftp, and leaves nothing.
func TestUploadRefused(t *testing.T) {
	dir := t.TempDir()
	x := newTenants(t, true, true, withSnapshots(t, dir))
	if r := x.as("ops", "snapshot create one --since 1h"); r.status != 0 {
		t.Fatalf("%+v", r)
	}
	if r := x.scpAs("ops", x.remote("/snapshots/one.tar.gz"), x.file("good.tar.gz")); r.status != 0 {
		t.Fatalf("%+v", r)
	}
	good, err := os.ReadFile(x.file("good.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	x.write("cut.tar.gz", string(good[:len(good)/2]))
	x.write("text.tar.gz", "this is no archive")
	x.write("large.tar.gz", strings.Repeat("x", 65<<20))
	for _, tt := range []struct{ name, from, to, says string }{
		{"cut off", "cut.tar.gz", "/snapshots/x.tar.gz", "the end is missing"},
		{"no archive", "text.tar.gz", "/snapshots/x.tar.gz", "not a snapshot"},
		{"too large", "large.tar.gz", "/snapshots/x.tar.gz", "no room"},
		{"name taken", "good.tar.gz", "/snapshots/one.tar.gz", "already"},
		{"name wrong", "good.tar.gz", "/snapshots/A.tar.gz", "a-z"},
		{"hidden name", "good.tar.gz", "/snapshots/.x.tar.gz", "a-z"},
		{"no name of a snapshot", "good.tar.gz", "/snapshots/x.pcapng", "read only"},
		{"below", "good.tar.gz", "/snapshots/x/y.tar.gz", ""},
		{"elsewhere", "good.tar.gz", "/last/x.tar.gz", "read only"},
		{"out of the tree", "good.tar.gz", "/snapshots/../../x.tar.gz", "read only"},
	} {
		for _, mode := range []string{"-s", "-O"} {
			r := x.scpAs("ops", mode, x.file(tt.from), x.remote(tt.to))
			if r.status != 1 || !strings.Contains(r.stderr, tt.says) {
				t.Errorf("%s, scp %s: status %d, %s", tt.name, mode, r.status, r.stderr)
			}
		}
		if r := x.sftpAs("ops", "put "+x.file(tt.from)+" "+tt.to+"\n"); r.status != 1 || !strings.Contains(r.stderr, tt.says) {
			t.Errorf("%s, sftp: %+v", tt.name, r)
		}
		list, err := os.ReadDir(dir)
		var names []string
		for _, e := range list {
			names = append(names, e.Name())
		}
		if want := []string{".lock", "one.json", "one.tar.gz"}; err != nil || !slices.Equal(names, want) {
			t.Errorf("%s: left %q, %v", tt.name, names, err)
		}
	}
	if r := x.scpAs("ada", x.file("good.tar.gz"), x.remote("/snapshots/ada.tar.gz")); r.status != 1 || !strings.Contains(r.stderr, "may not manage snapshots") {
		t.Errorf("without the verb: %+v", r)
	}
	x.audited(`"user":"ada"`, `"what":"bring ada"`, `"refused":true`)
	if r := x.sftpAs("ops", "rm /snapshots/one.tar.gz\n"); r.status != 0 {
		t.Errorf("rm: %+v", r)
	}
	if r := x.sftpAs("ops", "rm /snapshots/one.tar.gz\n"); r.status != 1 {
		t.Errorf("rm again: %+v", r)
	}
}

// TestUploadGivenUp: an upload whose client dies leaves nothing.
func TestUploadGivenUp(t *testing.T) {
	dir := t.TempDir()
	x := newTenants(t, true, true, withSnapshots(t, dir))
	x.write("large.tar.gz", strings.Repeat("x", 8<<20))
	for _, mode := range []string{"-s", "-O"} {
		cmd := exec.Command(tool(t, "scp"), append(x.options("ops"), "-P", x.port, mode, "-l", "4000", x.file("large.tar.gz"), x.remote("/snapshots/x.tar.gz"))...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, "the copy has begun", func() bool { return len(leftovers(t, dir)) == 1 })
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		until(t, "nothing is left", func() bool { return len(leftovers(t, dir)) == 0 })
		x.audited(`"what":"bring x"`, `"user":"ops"`, `"error":`)
	}
}

// TestSnapshotCancelled: Ctrl-C leaves nothing, also over a connection that stays.
func TestSnapshotCancelled(t *testing.T) {
	dir := t.TempDir()
	x := newTenants(t, true, true, func(o *Options) {
		withSnapshots(t, dir)(o)
		o.Source = slow{o.Source}
	})
	cmd := x.ssh("ops", nil, "snapshot create x --since 1h")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is being made", func() bool { return len(leftovers(t, dir)) == 1 })
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	until(t, "nothing is left", func() bool { return len(leftovers(t, dir)) == 0 })
	x.audited(`"what":"snapshot create x --since 1h"`, fmt.Sprintf(`"status":%d`, command.ExitCancelled))
	if r := x.as("ops", "snapshot list -o json"); r.out != "" {
		t.Errorf("%+v", r)
	}
}

// without is a source of which one node does not say how it is.
type without struct {
	query.Source
	node string
}

func (w without) Nodes(ctx context.Context) ([]query.Node, *query.Report, error) {
	nodes, r, err := w.Source.Nodes(ctx)
	for i := range r.Nodes {
		if r.Nodes[i].Node == w.node {
			r.Nodes[i].Missing = "connection refused"
		}
	}
	return nodes, r, err
}

// TestSnapshotPartial: a node that does not answer is named, the snapshot is kept and says so, and
// whoever asks it is told again.
func TestSnapshotPartial(t *testing.T) {
	x := newTenants(t, true, true, func(o *Options) {
		withSnapshots(t, t.TempDir())(o)
		o.Source = without{o.Source, "node-b"}
	})
	for _, tt := range []struct {
		line   string
		status int
		out    []string
		errs   []string
	}{
		{"snapshot create part --since 1h", command.ExitPartial, nil, []string{"node-b did not answer: connection refused", "of 2 nodes, 1 of them incomplete or missing"}},
		{"snapshot list", 0, []string{"part", "1/2"}, nil},
		{"snapshot list -o json", 0, []string{`"missing":["node-b"]`}, nil},
		{"snapshot show part", 0, []string{"node-b", "connection refused"}, nil},
		{"snapshot show part -o json", 0, []string{`"missing":"connection refused"`}, nil},
		{"calls --snapshot part -o json", command.ExitPartial, []string{"/own/0"}, []string{"node-b"}},
		{"calls --snapshot part --since 2000-01-01", command.ExitPartial, []string{"/own/0"}, []string{"of the window that was asked for, the snapshot has packets only from "}},
		{"calls --snapshot part --until 2000-01-01", command.ExitPartial, nil, []string{"no calls: the window ends at 2000-01-01T00:00:00Z, and the snapshot has packets only from "}},
		{"nodes --snapshot part", command.ExitPartial, []string{"node-a"}, []string{"node-b: connection refused"}},
		{"calls --snapshot part -f", command.ExitUsage, nil, []string{"--follow"}},
		{"calls --snapshot nothing", command.ExitFailed, nil, []string{"there is no such snapshot"}},
		{"snapshot show nothing", command.ExitFailed, nil, []string{"there is no such snapshot"}},
		{"snapshot delete nothing", command.ExitFailed, nil, []string{"there is no such snapshot"}},
		{"snapshot create part --since 1h", command.ExitFailed, nil, []string{"already"}},
		{"snapshot create Part", command.ExitUsage, nil, []string{"a-z"}},
		{"snapshot create ../x", command.ExitUsage, nil, []string{"a-z"}},
		{"snapshot create", command.ExitUsage, nil, []string{"want a name"}},
		{"snapshot create x 'dst.prot == 1'", command.ExitUsage, nil, []string{"^"}},
		{"snapshot create x --since 1h --until 2h", command.ExitUsage, nil, []string{"empty"}},
		{"snapshot create x --last 5", command.ExitUsage, nil, []string{"--last", "help snapshot create"}},
		{"snapshot create x -n shop --print-filter", 0, []string{`"shop"`}, nil},
		{"snapshot show", command.ExitUsage, nil, []string{"want the name"}},
		{"snapshot", command.ExitUsage, nil, []string{"create, list, show or delete"}},
		{"snapshot make x", command.ExitUsage, nil, []string{"make"}},
		{"snapshot list x", command.ExitUsage, nil, []string{"takes no words"}},
		{"help snapshot", 0, []string{"snapshot create NAME [FILTER]", "snapshot delete NAME"}, nil},
		{"help snapshot create", 0, []string{"Usage: snapshot create NAME [FILTER]", "--since"}, nil},
		{"snapshot delete part", 0, nil, []string{"part is deleted"}},
		{"snapshot list", 0, nil, []string{"there are no snapshots"}},
	} {
		r := x.as("ops", tt.line)
		if r.status != tt.status {
			t.Errorf("%s: %+v", tt.line, r)
		}
		for _, s := range tt.out {
			if !strings.Contains(r.out, s) {
				t.Errorf("%s: %q is not in %s", tt.line, s, r.out)
			}
		}
		for _, s := range tt.errs {
			if !strings.Contains(r.stderr, s) {
				t.Errorf("%s: %q is not in %s", tt.line, s, r.stderr)
			}
		}
	}
}
