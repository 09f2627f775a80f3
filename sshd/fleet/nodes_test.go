package fleet

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshark/sshark/worker/query"
)

// asked is a node that takes a moment to say how it is, and counts how often it does.
type asked struct {
	query.Source
	mu      sync.Mutex
	times   int
	running int
	takes   time.Duration
}

func (a *asked) Nodes(ctx context.Context) ([]query.Node, *query.Report, error) {
	a.mu.Lock()
	a.times++
	a.running++
	n := query.Node{Name: "node-a", Segments: a.times}
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.running--
		a.mu.Unlock()
	}()
	select {
	case <-time.After(a.takes):
		return []query.Node{n}, &query.Report{Nodes: []query.NodeReport{{Node: "node-a"}}}, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// Many screens that ask how the nodes are within a second are one question.
func TestNodesShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{takes: 200 * time.Millisecond}
		var c cluster
		c.set(Member{"node-a", a})
		f := c.fleet()
		ask := func(want int) {
			t.Helper()
			nodes, r, err := f.Nodes(t.Context())
			if err != nil || len(nodes) != 1 || nodes[0].Segments != want || len(r.Nodes) != 1 {
				t.Errorf("%+v, %+v, %v, want answer %d", nodes, r, err, want)
				return
			}
			nodes[0].Segments, r.Nodes[0].Matched = -1, 7 // its own
		}
		var screens sync.WaitGroup
		for range 100 {
			screens.Go(func() { ask(1) })
		}
		screens.Wait()
		<-time.After(freshMost)
		ask(1)
		<-time.After(time.Millisecond)
		ask(2)
		c.set(Member{"node-a", &asked{takes: time.Millisecond}}) // a node is another one: at once
		ask(1)
		<-time.After(freshTimes * time.Millisecond)
		ask(1)
		<-time.After(time.Millisecond) // it was quick: there is no reason to wait
		ask(2)

		// Whoever leaves ends nothing for others; the last one ends the question.
		c.set(Member{"node-a", a})
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 2)
		for range 2 {
			go func() {
				_, _, err := f.Nodes(ctx)
				gone <- err
			}()
		}
		synctest.Wait()
		other, stop := context.WithCancel(t.Context())
		go func() {
			_, _, err := f.Nodes(other)
			gone <- err
		}()
		synctest.Wait()
		cancel()
		if err := errors.Join(<-gone, <-gone); !errors.Is(err, context.Canceled) || a.running != 1 {
			t.Errorf("%v, %d go on", err, a.running)
		}
		stop()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if synctest.Wait(); a.running != 0 {
			t.Error("a question goes on for nobody")
		}
		ask(4)
	})
}
