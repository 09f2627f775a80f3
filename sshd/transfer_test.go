package sshd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
)

const past = "/between/20260102T150405Z_20260102T151000Z.pcapng"

func (c *console) scp(args ...string) result {
	c.t.Helper()
	return c.scpAs("ada", args...)
}

func (c *console) remote(p string) string { return "ops@127.0.0.1:" + p }

// sftp runs a batch of commands.
func (c *console) sftp(commands string) result {
	c.t.Helper()
	return c.sftpAs("ada", commands)
}

// packets are the numbers of the calls that a capture holds.
func (c *console) packets(file string) (out []int) {
	c.t.Helper()
	b, err := os.ReadFile(c.file(file))
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := pcapng.NewReader(bytes.NewReader(b), pcapng.ReaderOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	for {
		var p pcap.Packet
		err := r.Next(&p)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			c.t.Fatal(err)
		}
		out = append(out, int(binary.BigEndian.Uint64(p.Data[28:])))
	}
}

func counts(n []int) bool {
	for i := 1; i < len(n); i++ {
		if n[i] != n[i-1]+1 {
			return false
		}
	}
	return true
}

func TestSCP(t *testing.T) {
	source := &sourcetest.Source{Kept: 600, Payload: 1400}
	c := start(t, source, nil)
	for _, mode := range [][]string{nil, {"-O"}} {
		name := strings.Join(append([]string{"scp"}, mode...), " ")
		t.Run(name, func(t *testing.T) {
			for _, tt := range []struct {
				path  string
				flags []string
				want  int
			}{{"/last/2m.pcapng", nil, 120}, {past, nil, 355}, {past, []string{"-p"}, 355}, {"/streams/0000000001003.pcapng", nil, 1}, {"last/1m.pcapng", nil, 60}} {
				args := append(append(append([]string{}, mode...), tt.flags...), c.remote(tt.path), c.file("got"))
				r := c.scp(args...)
				if r.status != 0 || r.stderr != "" {
					t.Errorf("%s: %+v", tt.path, r)
					continue
				}
				if got := c.packets("got"); len(got) != tt.want || !counts(got) {
					t.Errorf("%s: %d packets, want %d", tt.path, len(got), tt.want)
				}
			}
			// Globs, into a folder.
			if err := os.MkdirAll(c.file("many"), 0o700); err != nil {
				t.Fatal(err)
			}
			r := c.scp(append(append([]string{}, mode...), c.remote("/last/*m.pcapng"), c.file("many"))...)
			if list, err := os.ReadDir(c.file("many")); r.status != 0 || err != nil || len(list) != 3 {
				t.Errorf("glob: %+v, %v", r, list)
			}
			for _, bad := range []string{"/nothing", "/last/x.pcapng", "/last", "/streams/0000000009999.pcapng", "/etc/passwd"} {
				r := c.scp(append(append([]string{}, mode...), c.remote(bad), c.file("bad"))...)
				if _, err := os.Stat(c.file("bad")); r.status != 1 || r.stderr == "" || err == nil {
					t.Errorf("%s: %+v %v", bad, r, err)
				}
			}
			r = c.scp(append(append([]string{}, mode...), c.file("host.pub"), c.remote("/last/x.pcapng"))...)
			if r.status == 0 || r.stderr == "" {
				t.Errorf("upload: %+v", r)
			}
		})
	}
	c.logged(`"msg":"file"`)
	c.logged(`"what":"/last/2m.pcapng"`)
}

func TestSCPRecursive(t *testing.T) {
	c := start(t, &sourcetest.Source{Kept: 600}, nil)
	for _, mode := range [][]string{nil, {"-O"}} {
		dir := c.file("tree" + strings.Join(mode, ""))
		r := c.scp(append(append([]string{"-r"}, mode...), c.remote("/nodes"), dir)...)
		got, err := os.ReadFile(dir + "/node-a/last/5m.pcapng")
		if r.status != 0 || err != nil || len(got) == 0 {
			t.Errorf("%q: %+v %v", mode, r, err)
		}
	}
}

// TestIncompleteCopyFails: an export that lacks a node is copied, and the copy fails.
func TestIncompleteCopyFails(t *testing.T) {
	c := start(t, &sourcetest.Source{Kept: 8, Report: []query.NodeReport{{Node: "node-a"}, {Node: "node-b", Missing: "connection refused"}}}, nil)
	for _, args := range [][]string{{c.remote("/last/15m.pcapng")}, {c.remote(past)}, {"-O", c.remote("/last/15m.pcapng")}, {"-O", c.remote(past)}} {
		r := c.scp(append(args, c.file("got"))...)
		if r.status != 1 || !strings.Contains(r.stderr, "node-b did not answer: connection refused") {
			t.Errorf("%v: %+v", args, r)
		}
		if got := c.packets("got"); len(got) != 8 {
			t.Errorf("%v: %d packets", args, len(got))
		}
	}
}

func TestSFTP(t *testing.T) {
	c := start(t, &sourcetest.Source{Kept: 600, Payload: 1400}, nil)
	got := c.file("got")
	for _, tt := range []struct {
		name, batch string
		status      int
		shows       []string
		packets     int
	}{
		{"ls", "ls /\nls /last\nls -l /nodes/node-a/last\n", 0, []string{"between", "last", "1m.pcapng", "-r--r--r--"}, 0},
		{"get", "get /last/2m.pcapng " + got + "\n", 0, nil, 120},
		{"get what is closed", "ls -l " + past + "\nget " + past + " " + got + "\n", 0, nil, 355},
		{"in a folder", "cd /last\nlcd " + c.dir + "\nget 1m.pcapng got\n", 0, nil, 60},
		{"with times", "get -p /last/1m.pcapng " + got + "\n", 0, nil, 60},
		{"glob", "ls /streams/*1.pcapng\n", 0, []string{"/streams/0000000001251.pcapng"}, 0},
		{"nothing", "get /last/x.pcapng " + got + "\n", 1, nil, 0},
		{"put", "put " + c.file("host.pub") + " /last/x\n", 1, nil, 0},
		{"rm", "rm /last/1m.pcapng\n", 1, nil, 0},
		{"mkdir", "mkdir /x\n", 1, nil, 0},
		{"rename", "rename /last/1m.pcapng /x\n", 1, nil, 0},
		{"symlink", "ln -s /etc/passwd /last/x\n", 1, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			os.Remove(got)
			r := c.sftp(tt.batch)
			if r.status != tt.status {
				t.Fatalf("%+v", r)
			}
			for _, s := range tt.shows {
				if !strings.Contains(r.out, s) {
					t.Errorf("%q is not shown: %s", s, r.out)
				}
			}
			if tt.packets > 0 {
				if n := c.packets("got"); len(n) != tt.packets || !counts(n) {
					t.Errorf("%d packets, want %d", len(n), tt.packets)
				}
			}
		})
	}
}

// TestLarge: what is larger than every buffer arrives whole, in every way.
func TestLarge(t *testing.T) {
	source := &sourcetest.Source{Kept: 20000, Step: 1e6, Payload: 1400} // 29 MB
	c := start(t, source, func(o *Options) { o.Limits.SessionsOfConn = 4 })
	for _, args := range [][]string{{c.remote("/last/15m.pcapng")}, {c.remote(past)}, {"-O", c.remote("/last/15m.pcapng")}} {
		if r := c.scp(append(args, c.file("got"))...); r.status != 0 {
			t.Fatalf("%v: %+v", args, r)
		}
		if got := c.packets("got"); len(got) != source.Kept || !counts(got) {
			t.Errorf("%v: %d packets", args, len(got))
		}
	}
	r := c.run("pcap", "--all")
	if err := os.WriteFile(c.file("got"), []byte(r.out), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := c.packets("got"); r.status != 0 || len(got) != source.Kept || !counts(got) {
		t.Errorf("pcap: %d packets, status %d", len(got), r.status)
	}
	r = c.run("calls", "--all", "-o", "json")
	if n := strings.Count(r.out, "\n"); r.status != 0 || n != source.Kept {
		t.Errorf("calls: %d lines, status %d", n, r.status)
	}
}

// TestTransferEnds: a client that goes away in the middle of a copy ends the query.
func TestTransferEnds(t *testing.T) {
	for _, mode := range []string{"-s", "-O"} {
		source := &sourcetest.Source{Kept: 400000, Step: 1e3, Payload: 1400}
		c := start(t, source, nil)
		cmd := exec.Command(tool(t, "scp"), append(append(c.options("ada"), "-P", c.port, "-l", "10", mode), c.remote("/last/15m.pcapng"), c.file("got"))...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, "the copy runs", func() bool { return source.Running() == 1 })
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		until(t, "the query ends", func() bool { return source.Running() == 0 })
		c.logged(`"msg":"session"`)
	}
}

func TestPolicy(t *testing.T) {
	c := start(t, &sourcetest.Source{Kept: 8}, func(o *Options) {
		withScreen(o)
		o.Policy = filepath.Join(o.Spool, "policy.yaml")
		if err := os.WriteFile(o.Policy, []byte("rules: [{users: [ada@laptop], verbs: [see], namespaces: ['*']}]"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if r := c.run("calls"); r.status != 0 {
		t.Errorf("calls: %+v", r)
	}
	if r := c.run("pcap"); r.status != 4 || !strings.Contains(r.stderr, "ada@laptop may not export") || r.out != "" {
		t.Errorf("pcap: %+v", r)
	}
	for _, args := range [][]string{{"-O"}, {"-s"}} {
		if r := c.scp(append(args, c.remote("/last/5m.pcapng"), c.file("got"))...); r.status == 0 || !strings.Contains(r.stderr, "may not export") {
			t.Errorf("scp %v: %+v", args, r)
		}
	}
}
