package sshd

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/sourcetest"
)

func TestUsage(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	u := newUsage(func() time.Time { return now })
	l := auth.Limit{Sessions: 2, Queries: 1, ExportMB: 1}
	var leave []func()
	for range 2 {
		end, err := u.session("ada", l)
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, end)
	}
	if _, err := u.session("ada", l); !errors.Is(err, errUserSessions) || !errors.Is(err, auth.ErrRefused) {
		t.Errorf("a third session: %v", err)
	}
	if end, err := u.session("eve", l); err != nil {
		t.Errorf("another user: %v", err)
	} else {
		end()
	}
	end, err := u.question("ada", l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.question("ada", l); !errors.Is(err, errUserQueries) {
		t.Errorf("a second question: %v", err)
	}
	end()
	if end, err = u.question("ada", l); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
	end()

	if err := u.spend("ada", l, 1<<20); err != nil {
		t.Error(err)
	}
	if err := u.spend("ada", l, 1<<19); !errors.Is(err, errUserExport) || !strings.Contains(err.Error(), "30m0s") {
		t.Errorf("beyond the limit: %v", err)
	}
	now = now.Add(30 * time.Minute)
	if err := u.spend("ada", l, 1<<19); err != nil {
		t.Errorf("half an hour later: %v", err)
	}
	if err := u.spend("ada", auth.Limit{}, 1<<40); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	for _, end := range leave {
		end()
	}
	now = now.Add(2 * time.Hour)
	if err := u.spend("ada", l, 0); err != nil {
		t.Error(err)
	}
	for range 3 {
		if end, err := u.session("ada", l); err != nil {
			t.Error(err)
		} else {
			end()
		}
	}
	if len(u.users) != 0 {
		t.Errorf("%d users who take nothing are remembered", len(u.users))
	}
}

// TestUserLimits: each limit of the policy is told to the user and is in the log.
func TestUserLimits(t *testing.T) {
	limited := func(t *testing.T, source *sourcetest.Source, limits string) *console {
		return start(t, source, func(o *Options) {
			withScreen(o)
			o.Policy = o.Spool + "/policy.yaml"
			policy := "rules:\n- users: ['*']\n  verbs: [see, payload, export]\n  namespaces: ['*']\nlimits:\n  " + limits + "\n"
			if err := os.WriteFile(o.Policy, []byte(policy), 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("sessions", func(t *testing.T) {
		c := limited(t, &sourcetest.Source{Kept: 1}, "sessions: 1")
		x := c.terminal(24, 80, nil)
		x.shows("size 80x24")
		if r := c.run("version"); r.status != 4 || !strings.Contains(r.stderr, "too many of your sessions are open: the limit is 1") {
			t.Errorf("%+v", r)
		}
		c.logged("too many of your sessions")
		x.types("q")
		x.status()
		until(t, "there is room again", func() bool { return c.run("version").status == 0 })
	})
	t.Run("questions", func(t *testing.T) {
		source := &sourcetest.Source{Kept: 1}
		c := limited(t, source, "queries: 1")
		x := c.terminal(24, 80, nil, "calls -f")
		until(t, "the first question is asked", func() bool { return source.Running() == 1 })
		if r := c.run("calls"); r.status != 4 || !strings.Contains(r.stderr, "too many of your questions are being answered: the limit is 1") {
			t.Errorf("%+v", r)
		}
		c.logged("too many of your questions")
		x.types("\x03")
		x.status()
		if r := c.run("calls"); r.status != 0 {
			t.Errorf("afterwards: %+v", r)
		}
	})
	t.Run("exports", func(t *testing.T) {
		c := limited(t, &sourcetest.Source{Kept: 30, Payload: 60 << 10}, "exportMBPerHour: 1")
		r := c.run("pcap")
		if r.status != 4 || !strings.Contains(r.stderr, "your exports of this hour are used up: the limit is 1 MiB an hour") || len(r.out) > 1<<20+4096 {
			t.Errorf("status %d, %d bytes, %s", r.status, len(r.out), r.stderr)
		}
		if r := c.scp(c.remote("/last/15m.pcapng"), c.file("got")); r.status == 0 || !strings.Contains(r.stderr, "used up") {
			t.Errorf("scp: %+v", r)
		}
		c.logged("your exports of this hour")
		if r := c.run("calls"); r.status != 0 {
			t.Errorf("calls are no export: %+v", r)
		}
	})
	t.Run("time", func(t *testing.T) {
		source := &sourcetest.Source{Kept: 1}
		c := limited(t, source, "sessionTime: 300ms")
		if r := c.run("calls -f -o json"); r.status != 130 || !strings.Contains(r.stderr, errSessionTime.Error()) {
			t.Errorf("%+v", r)
		}
		x := c.terminal(24, 80, nil)
		if got := x.status(); got != 1 || !strings.Contains(x.text(), errSessionTime.Error()) {
			t.Errorf("screen: status %d: %s", got, x.text())
		}
	})
	t.Run("idle", func(t *testing.T) {
		c := limited(t, &sourcetest.Source{Kept: 1}, "idle: 300ms")
		x := c.terminal(24, 80, nil)
		if got := x.status(); got != 1 || !strings.Contains(x.text(), errIdle.Error()) {
			t.Errorf("status %d: %s", got, x.text())
		}
	})
}
