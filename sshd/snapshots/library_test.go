package snapshots

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap/snapshot"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/worker/query"
)

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	l := library(t, dir, nil)
	c := &cluster{packets: map[string]int{"node-a": 5, "node-b": 7}}
	i, err := create(t, l, "one", c)
	if err != nil {
		t.Fatal(err)
	}
	if i.Packets != 12 || i.Nodes != 2 || i.Drops != 6 || len(i.Missing) != 0 || i.By != "ada" {
		t.Errorf("%+v", i)
	}
	settled(t, l, "one")
	for _, r := range c.asked {
		if !r.Hold || r.Node == "" || r.Filter != "dns" || r.Until != now.UnixNano() {
			t.Errorf("asked %+v", r)
		}
	}
	m, err := l.Manifest("one")
	if err != nil {
		t.Fatal(err)
	}
	if n := m.Nodes[1]; m.CreatedBy != "ada" || n.Name != "node-b" || n.Packets != 7 || n.Drops != 3 || n.Notes[0] != "a note" || n.Kept.IsZero() {
		t.Errorf("%+v", m)
	}
	source, closer, err := l.Source(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := packetsOf(t, source); n != 12 || err != nil {
		t.Errorf("%d packets, %v", n, err)
	}
	if err := errors.Join(closer.Close(), closer.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if names, _ := within(t, dir); !slices.Equal(names, []string{"one.json", "one.tar.gz"}) {
		t.Errorf("left %q", names)
	}
	// What is there is found again, and what was not finished is gone.
	for _, name := range []string{".make-1", ".bring-2", "lost.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := library(t, dir, nil)
	got, err := again.Get("one")
	if err != nil || got.Packets != 12 || got.By != "ada" || !got.Holds.All || got.Brought {
		t.Errorf("%+v, %v", got, err)
	}
	settled(t, again, "one")
	if _, err := Open(again.o); err == nil {
		t.Error("two have the folder")
	}
	if err := again.Delete("one"); err != nil {
		t.Error(err)
	}
	settled(t, again)
}

// TestCreateFails: whatever goes wrong, nothing is left; a node that is missing is said.
func TestCreateFails(t *testing.T) {
	two := func() *cluster { return &cluster{packets: map[string]int{"node-a": 4, "node-b": 4}} }
	for _, tt := range []struct {
		name    string
		change  func(*cluster)
		options func(*Options)
		call    string
		missing []string
		packets uint64
		err     error
		says    string
	}{
		{"a node does not say how it is", func(c *cluster) { c.missing = map[string]string{"node-b": "connection refused"} }, nil, "x", []string{"node-b"}, 4, nil, ""},
		{"a node stops half way", func(c *cluster) { c.broken = map[string]string{"node-b": "it died"} }, nil, "x", []string{"node-b"}, 6, nil, ""},
		{"the ring was faster", func(c *cluster) { c.gone = 2 }, nil, "x", []string{"node-a", "node-b"}, 8, nil, ""},
		{"no node answers", func(c *cluster) {
			c.missing = map[string]string{"node-a": "connection refused", "node-b": "no route"}
		}, nil, "x", nil, 0, nil, "node-b: no route"},
		{"no nodes", func(c *cluster) { c.packets = nil }, nil, "x", nil, 0, nil, "no node"},
		{"refused", func(c *cluster) { c.err = query.ErrRefused }, nil, "x", nil, 0, query.ErrRefused, ""},
		{"quota", func(c *cluster) { c.payload, c.packets["node-b"] = 60000, 40 }, func(o *Options) { o.MaxBytes = 1 << 20 }, "x", nil, 0, ErrRoom, "1 MiB"},
		{"disk", func(c *cluster) { c.payload, c.packets["node-b"] = 60000, 40 }, func(o *Options) {
			o.MinFree, o.Free = 1<<30, func(string) (uint64, error) { return 1<<30 + 100, nil }
		}, "x", nil, 0, ErrRoom, "free on the disk"},
		{"name", nil, nil, "../x", nil, 0, ErrName, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := two()
			if tt.change != nil {
				tt.change(c)
			}
			l := library(t, t.TempDir(), tt.options)
			i, err := create(t, l, tt.call, c)
			if tt.missing == nil {
				if err == nil || tt.err != nil && !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%+v, %v", i, err)
				}
				settled(t, l)
				return
			}
			if err != nil || !slices.Equal(i.Missing, tt.missing) || i.Packets != tt.packets {
				t.Fatalf("%+v, %v", i, err)
			}
			settled(t, l, "x")
			source, closer, err := l.Source(t.Context(), "x")
			if err != nil {
				t.Fatal(err)
			}
			defer closer.Close()
			n, err := packetsOf(t, source)
			if n != int(tt.packets) || err == nil || !strings.Contains(err.Error(), "node-b") {
				t.Errorf("it tells %d packets, and %v", n, err)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	l := library(t, t.TempDir(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	c := &cluster{packets: map[string]int{"node-a": 4, "node-b": 4}, hold: make(chan struct{})}
	ended := make(chan error, 1)
	told := make(chan Progress, 1)
	go func() {
		_, err := l.Create(ctx, CreateOptions{Name: "x", By: "ada", Source: c, Since: 1, Until: now.UnixNano(), Progress: func(p Progress) {
			select {
			case told <- p:
			default:
			}
		}})
		ended <- err
	}()
	if p := <-told; p.Nodes != 2 || p.Packing {
		t.Errorf("%+v", p)
	}
	if _, err := create(t, l, "x", c); !errors.Is(err, ErrExists) {
		t.Errorf("a name is given twice: %v", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	settled(t, l)
	c.hold = nil
	if _, err := create(t, l, "x", c); err != nil {
		t.Errorf("the name is taken: %v", err)
	}
}

// TestDeleteWhileRead: who reads goes on, and then all is gone.
func TestDeleteWhileRead(t *testing.T) {
	l := library(t, t.TempDir(), nil)
	if _, err := create(t, l, "x", &cluster{packets: map[string]int{"node-a": 4}}); err != nil {
		t.Fatal(err)
	}
	source, closer, err := l.Source(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.File("x")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := l.Delete("x"); err != nil {
		t.Fatal(err)
	}
	if err := l.Delete("x"); !errors.Is(err, ErrNone) {
		t.Errorf("again: %v", err)
	}
	if n, err := packetsOf(t, source); n != 4 || err != nil {
		t.Errorf("%d packets, %v", n, err)
	}
	rd, err := snapshot.NewReader(file, snapshot.Limits{})
	if err == nil {
		err = snapshot.Extract(rd, nil, nil)
	}
	if err != nil {
		t.Error(err)
	}
	if err := closer.Close(); err != nil {
		t.Error(err)
	}
	settled(t, l)
	if _, _, err := l.Source(t.Context(), "x"); !errors.Is(err, ErrNone) {
		t.Errorf("opened: %v", err)
	}
}

// TestUnpackedGoes: what nobody reads makes room, and goes after a while.
func TestUnpackedGoes(t *testing.T) {
	l := library(t, t.TempDir(), func(o *Options) { o.MaxBytes = 3 << 20 })
	c := &cluster{packets: map[string]int{"node-a": 18}, payload: 60000}
	for _, name := range []string{"x", "y"} {
		if _, err := create(t, l, name, c); err != nil {
			t.Fatal(err)
		}
	}
	open := func(name string) func() {
		t.Helper()
		_, closer, err := l.Source(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return func() { _ = closer.Close() }
	}
	first := open("x")
	second := open("x")
	first()
	open("y")()
	if names, _ := within(t, l.o.Dir); len(names) != 6 {
		t.Errorf("both are unpacked: %q", names)
	}
	second()
	if _, err := create(t, l, "z", c); err != nil {
		t.Errorf("what nobody reads makes no room: %v", err)
	}
	l.o.Idle = 1
	open("x")()
	open("y")()
	until(t, "they go", func() bool { names, _ := within(t, l.o.Dir); return len(names) == 6 })
	settled(t, l, "x", "y", "z")
}

func TestBringTwice(t *testing.T) {
	l := library(t, t.TempDir(), nil)
	b, err := l.Bring("x", "ada")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Bring("x", "bob"); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if _, err := b.WriteAt([]byte("x"), 1<<40); !errors.Is(err, ErrRoom) {
		t.Errorf("far behind the end: %v", err)
	}
	if _, err := b.Keep(t.Context()); !errors.Is(err, ErrRoom) {
		t.Errorf("kept after that: %v", err)
	}
	b.Drop()
	settled(t, l)
	if b, err = l.Bring("x", "bob"); err != nil {
		t.Fatal(err)
	}
	b.Drop()
	if _, err := b.WriteAt([]byte("x"), 0); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	settled(t, l)
}

// TestDesk: who may do what with whose snapshot.
func TestDesk(t *testing.T) {
	l := library(t, t.TempDir(), nil)
	c := &cluster{packets: map[string]int{"node-a": 4}}
	policy := &auth.Policy{Rules: []auth.Rule{
		{Users: []string{"ops"}, Verbs: auth.Verbs(), Namespaces: []string{"*"}},
		{Users: []string{"ada", "bob"}, Verbs: auth.Verbs(), Namespaces: []string{"shop"}},
		{Users: []string{"eve"}, Verbs: []auth.Verb{auth.See, auth.Snapshot}, Namespaces: []string{"*"}},
		{Users: []string{"eve"}, Verbs: []auth.Verb{auth.Export}, Namespaces: []string{"bank"}},
		{Users: []string{"liz"}, Verbs: []auth.Verb{auth.See, auth.Snapshot}, Namespaces: []string{"shop"}},
		{Users: []string{"liz"}, Verbs: []auth.Verb{auth.Export}, Namespaces: []string{"bank"}},
	}}
	desk := func(name string) *Desk {
		u := &auth.User{Name: name, Method: auth.ByKey}
		return &Desk{Library: l, User: name, Scope: func(v auth.Verb) (auth.Scope, error) { return policy.Scope(u, v) },
			Guard: func(s query.Source) query.Source { return s },
			Live:  func(auth.Scope) (query.Source, func(), error) { return c, func() {}, nil }}
	}
	window := CreateOptions{Since: 1, Until: now.UnixNano()}
	for user, want := range map[string][]string{"ops": {"*"}, "ada": {"shop"}, "eve": {"bank"}, "liz": nil, "nil": nil} {
		window.Name = user
		i, err := desk(user).Create(t.Context(), window)
		if want == nil {
			if !errors.Is(err, auth.ErrRefused) {
				t.Errorf("%s makes one: %v", user, err)
			}
			continue
		}
		if err != nil || !slices.Equal(i.Holds.Names(), want) || i.By != user {
			t.Errorf("%s: %+v, %v", user, i, err)
		}
	}
	file, err := os.ReadFile(l.path("ada" + Ext))
	if err != nil {
		t.Fatal(err)
	}
	b, err := desk("bob").Bring("bobs")
	if err == nil {
		if _, err = b.WriteAt(file, 0); err == nil {
			_, err = b.Keep(t.Context())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		user, name         string
		show, file, delete bool
	}{
		{"ops", "ada", true, true, true}, {"ops", "bobs", true, true, true},
		{"ada", "ada", true, true, true}, {"bob", "ada", true, true, true}, {"ada", "ops", false, false, false}, {"ada", "eve", false, false, false},
		{"ada", "bobs", false, false, false}, {"bob", "bobs", false, true, true},
		{"eve", "ops", true, false, true}, {"eve", "eve", true, true, true}, {"eve", "bobs", true, false, true},
		{"nil", "ada", false, false, false},
	} {
		d := desk(tt.user)
		_, _, err := d.Show(tt.name)
		if ok := err == nil; ok != tt.show || !ok && !errors.Is(err, auth.ErrRefused) {
			t.Errorf("%s is shown %s: %v", tt.user, tt.name, err)
		}
		f, err := d.File(tt.name)
		if ok := err == nil; ok != tt.file || !ok && !errors.Is(err, auth.ErrRefused) {
			t.Errorf("%s gets %s: %v", tt.user, tt.name, err)
		}
		if f != nil {
			f.Close()
		}
		_, err = d.may(tt.name, auth.Snapshot)
		if ok := err == nil; ok != tt.delete {
			t.Errorf("%s deletes %s: %v", tt.user, tt.name, err)
		}
	}
	list, err := desk("ada").List()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if known := i.Name == "ada"; known != (i.Nodes > 0) || known != (i.Size > 0) || i.By == "" {
			t.Errorf("ada sees %+v", i)
		}
	}
}
