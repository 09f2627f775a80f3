package tui_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sshark/sshark/tui"
)

// drawer keeps made-up snapshots.
type drawer struct {
	shop *shop

	mu     sync.Mutex
	list   []tui.Snapshot
	asked  []tui.Query
	fail   error
	wait   chan struct{} // a making waits for it, if it is not nil
	opened int
}

// withDrawer gives a shop two snapshots, of one of which the operator may know little.
func withDrawer(s *shop) {
	at := s.start.UnixNano()
	s.drawer = &drawer{shop: s, list: []tui.Snapshot{
		{Name: "checkout", By: "anna", Filter: "http && status_code >= 500", Made: at - 3e12, Since: at - 4e12, Until: at - 3e12, Nodes: 3, Missing: 1, Packets: 1234567, Size: 56 << 20},
		{Name: "of-others\x1b[31m", By: "ops", Made: at - 9e13, Since: at - 9e13, Until: at - 8e13},
	}}
}

func (d *drawer) List(context.Context) ([]tui.Snapshot, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.list), d.fail
}

func (d *drawer) Create(ctx context.Context, name string, q tui.Query) (string, error) {
	if d.wait != nil {
		select {
		case <-d.wait:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, q)
	d.list = append(d.list, tui.Snapshot{Name: name, By: "anna", Made: time.Now().UnixNano(), Since: q.Since, Until: q.Until, Filter: q.Filter, Nodes: 3, Packets: 7})
	return name + " is kept", d.fail
}

func (d *drawer) Delete(_ context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = slices.DeleteFunc(d.list, func(s tui.Snapshot) bool { return s.Name == name })
	return d.fail
}

func (d *drawer) Open(_ context.Context, name string) (tui.Backend, func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return nil, nil, d.fail
	}
	d.opened++
	return d.shop, func() {
		d.mu.Lock()
		d.opened--
		d.mu.Unlock()
	}, nil
}

func command(op *operator, line string) {
	op.press(":")
	op.typed(line)
	op.press("enter")
}

func TestSnapshots(t *testing.T) {
	sit(t, plain, 120, 30, withDrawer, func(op *operator) {
		d := op.shop.drawer
		op.press("/")
		op.typed("http")
		op.press("enter")
		command(op, "snapshots")
		op.see("checkout", "2/3", "1.2M", "of-others", "http && status_code")
		op.checkScreen()

		// One is made of the window and the filter of the calls.
		op.press("n")
		op.press("ctrl+u")
		op.typed("mine")
		op.press("enter")
		op.see("mine is kept", "mine ")
		if q := d.asked[0]; q.Filter != "http" || q.Until-q.Since != int64(15*time.Minute) || q.Follow {
			t.Errorf("asked %+v", q)
		}

		// It is deleted only if one is sure.
		op.press("G", "D")
		op.see("delete mine?")
		op.press("n")
		op.see("nothing is deleted")
		op.press("D", "y")
		op.see("mine is deleted")
		if len(d.list) != 2 {
			t.Errorf("%+v", d.list)
		}

		// One is looked at, and what is captured again.
		op.press("g", "g", "enter")
		op.wait(300 * time.Millisecond)
		op.see("snapshot checkout", "calls", "GET /api/products")
		last := op.shop.asked()[len(op.shop.asked())-1]
		if last.Follow || last.Filter != "" || last.Since != 0 {
			t.Errorf("asked %+v", last)
		}
		if d.opened != 1 {
			t.Errorf("%d are open", d.opened)
		}
		command(op, "snapshots")
		op.press("n")
		op.see("this is a snapshot already")
		command(op, "live")
		op.wait(300 * time.Millisecond)
		op.seeNot("snapshot checkout")
		if d.opened != 0 {
			t.Errorf("%d are open", d.opened)
		}
		command(op, "live")
		op.see("this is no snapshot")
	})
}

// TestSnapshotHasItsOwnNodes: what the nodes said of themselves before is not said of a snapshot, nor
// the other way round.
func TestSnapshotHasItsOwnNodes(t *testing.T) {
	sit(t, plain, 120, 30, func(s *shop) {
		withDrawer(s)
		s.drawer.shop = newShop(s.now, 40, time.Second)
		aFile(s.drawer.shop)
	}, func(op *operator) {
		for _, way := range []struct{ line, now, before string }{
			{"snapshot checkout", "48.1M packets · 0 lost", "pkt/s"},
			{"live", "pkt/s", "48.1M packets"},
		} {
			command(op, way.line)
			for range 30 {
				op.wait(100 * time.Millisecond)
				op.seeNot(way.before)
			}
			op.see(way.now)
		}
	})
}

func TestSnapshotIsCancelled(t *testing.T) {
	sit(t, plain, 100, 24, func(s *shop) { withDrawer(s); s.drawer.wait = make(chan struct{}) }, func(op *operator) {
		command(op, "snapshots")
		op.press("x")
		op.see("nothing is being made")
		op.press("n", "enter")
		op.see("making ", "x cancels it")
		op.press("n")
		op.see("still being made")
		op.press("x")
		op.see("canceled")
		op.seeNot("making ")
		op.press("n", "esc", "j", "n", "enter")
		op.see("making ")
	}) // and ends with the screen
}

func TestSnapshotsFail(t *testing.T) {
	sit(t, plain, 100, 24, func(s *shop) { withDrawer(s); s.drawer.fail = errors.New("refused by policy") }, func(op *operator) {
		command(op, "snapshots")
		op.press("enter")
		op.see("refused by policy")
		op.press("n", "enter")
		op.see("refused by policy")
	})
	sit(t, plain, 100, 24, func(s *shop) {
		withDrawer(s)
		s.drawer.list, s.drawer.fail = nil, errors.New("it is not there")
	}, func(op *operator) {
		command(op, "snapshots")
		op.see("cannot be read", "it is not there")
		op.press("enter", "D")
		op.checkScreen()
	})
	for _, size := range [][2]int{{40, 10}, {80, 24}, {200, 50}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			sit(t, plain, size[0], size[1], nil, func(op *operator) {
				command(op, "snapshots")
				op.see("no snapshots here")
				op.press("n")
				op.see("no snapshots here")
				op.checkScreen()
			})
		})
	}
}
