package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
)

// begin waits, in virtual time, until the shop's first call.
func begin() { <-time.After(time.Until(sourcetest.Start)) }

// since asks for what came since call n.
func since(n int) query.Request { return query.Request{Since: shop.Call(n).Time} }

func numbers(from, to int) (all []int) {
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}

// counts are how often a node was asked, and how many questions go on.
func (s *store) counts(t *testing.T, asked, running int) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) != asked || s.running != running {
		t.Errorf("asked %d times, %d go on, want %d and %d", len(s.asked), s.running, asked, running)
	}
}

// settle waits until who waits has been woken.
func settle() {
	<-time.After(2 * wakeEvery)
	synctest.Wait()
}

// Several who ask the same are one question to each node, which ends with the last of them.
func TestSharedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newStore(), newStore()
		var c cluster
		c.set(Member{"node-a", a}, Member{"node-b", b})
		f := c.fleet()
		begin()
		var all []*follower
		for range 3 {
			all = append(all, startFollower(f, since(0)))
			synctest.Wait()
		}
		a.add(0, 2)
		b.add(1)
		settle()
		for _, w := range all {
			w.is(t, []int{0, 1, 2}, nil)
		}
		a.counts(t, 1, 1)
		all[0].end(t) // who began it
		b.add(3)
		settle()
		all[1].is(t, numbers(0, 4), nil)
		all[2].is(t, numbers(0, 4), nil)
		all[1].end(t)
		b.counts(t, 1, 1)
		all[2].end(t)
		a.counts(t, 1, 0)
		b.counts(t, 1, 0)
		if f.sharedCalls.n != 0 || len(f.sharedCalls.going) != 0 {
			t.Errorf("%d answers are left", f.sharedCalls.n)
		}
		// The next one begins anew.
		w := startFollower(f, since(1))
		settle()
		w.is(t, []int{1, 2, 3}, nil)
		a.counts(t, 2, 1)
		w.end(t)
	})
}

// Who comes later hears what was told since their own beginning, then what comes: without a hole
// and nothing twice. If that is not held, they ask themselves.
func TestSharedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newStore()
		var c cluster
		c.set(Member{"node-a", a})
		f := c.fleet()
		begin()
		first := startFollower(f, since(0))
		a.add(0, 1, 2, 3)
		settle()
		late := startFollower(f, since(2))
		a.add(4)
		settle()
		first.is(t, numbers(0, 5), nil)
		late.is(t, numbers(2, 5), nil)
		a.counts(t, 1, 1)

		earlier := startFollower(f, query.Request{Since: shop.Call(0).Time - 1}) // nobody asked for that
		settle()
		earlier.is(t, numbers(0, 5), nil)
		a.counts(t, 2, 2)
		history := startFollower(f, query.Request{Since: time.Now().Add(-time.Minute).UnixNano()}) // that may take long
		settle()
		history.is(t, numbers(0, 5), nil)
		a.counts(t, 3, 3)

		<-time.After(2 * recent) // what was told is held no more
		a.add(20, 45)            // a clock that is ahead
		settle()
		again := startFollower(f, since(20))
		settle()
		again.is(t, []int{20, 45}, nil)
		a.counts(t, 3, 3)
		<-time.After(recent + time.Second)
		a.add(30)
		settle()
		lost := startFollower(f, since(35)) // something since then is forgotten
		settle()
		lost.is(t, []int{45}, nil)
		a.counts(t, 4, 4)
		for _, w := range []*follower{first, late, earlier, history, again, lost} {
			w.end(t)
		}
		a.counts(t, 4, 0)
	})
}

// One who takes nothing holds back nobody, and is told what was left out.
func TestSharedStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 3 * sharedBytes / 512
		a := newStore()
		var c cluster
		c.set(Member{"node-a", a})
		f := c.fleet()
		begin()
		slow, quick := startFollower(f, since(0)), startFollower(f, since(0))
		synctest.Wait()
		slow.mu.Lock()
		slow.stall = make(chan struct{})
		slow.mu.Unlock()
		for n := 0; n < many; n += 1000 { // each as much as is taken at once
			a.add(numbers(n, n+1000)...)
			settle()
			quick.mu.Lock()
			if len(quick.calls) != n+1000 {
				t.Fatalf("%d told, want %d", len(quick.calls), n+1000)
			}
			quick.mu.Unlock()
		}
		a.counts(t, 1, 1)
		slow.mu.Lock()
		close(slow.stall)
		slow.stall = nil
		slow.mu.Unlock()
		settle()
		slow.mu.Lock()
		defer slow.mu.Unlock()
		total := len(quick.calls)
		if !slices.IsSorted(slow.calls) || slow.calls[len(slow.calls)-1] != total-1 || len(slices.Compact(slow.calls)) != len(slow.calls) {
			t.Error("something is out of order, told twice or missing at the end")
		}
		want := []string{lostText[*dissect.Call](uint64(total - len(slow.calls)))}
		if len(slow.calls) == total || !slices.Equal(slow.notes, want) || quick.notes != nil {
			t.Errorf("%d of %d told, notes %q, want %q; the other one's %q", len(slow.calls), total, slow.notes, want, quick.notes)
		}
		slow.stop()
		quick.end(t)
	})
}

// Who is alone holds the answer back, so that nothing is lost; somebody else who comes does not
// wait for them.
func TestSharedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 2 * sharedBytes / 512
		a := newStore()
		var c cluster
		c.set(Member{"node-a", a})
		f := c.fleet()
		begin()
		stalled := func() *follower {
			w := startFollower(f, since(0))
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			w.stall = make(chan struct{})
			return w
		}
		w := stalled()
		a.add(numbers(0, many)...)
		settle()
		if n := len(f.sharedCalls.going); n != 1 {
			t.Fatalf("%d answers", n)
		}
		close(w.stall)
		settle()
		w.is(t, numbers(0, many), nil)
		w.end(t)

		w = stalled()
		a.add(many)
		settle()
		other := startFollower(f, query.Request{Since: shop.Call(many).Time})
		settle()
		other.is(t, []int{many}, nil)
		a.counts(t, 2, 1)
		close(w.stall)
		settle()
		w.mu.Lock()
		if len(w.notes) != 1 || len(w.calls) > many {
			t.Errorf("%d told, notes %q", len(w.calls), w.notes)
		}
		w.mu.Unlock()
		w.end(t)
		other.end(t)
		a.counts(t, 2, 0)
	})
}

// Only the beginning may differ between questions that are the same: a field that is new is none
// that may, unless somebody says so here.
func TestSameQuestion(t *testing.T) {
	now := time.Now().Add(time.Minute).UnixNano()
	same := query.Request{Follow: true, Since: now}
	want, ok := sameQuestion(&same)
	if !ok {
		t.Fatal("cannot be shared")
	}
	// The asker's own: they are told of the answer, and do not make it another one.
	own := map[string]bool{"Since": true, "Notice": true, "Withheld": true}
	var differ func(path string, r *query.Request, v reflect.Value)
	differ = func(path string, r *query.Request, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				if name := v.Type().Field(i).Name; !own[name] {
					differ(path+"."+name, r, v.Field(i))
				}
			}
			return
		case reflect.String:
			v.SetString("shop")
		case reflect.Slice:
			v.Set(reflect.ValueOf([]string{"shop"}))
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Int, reflect.Int64:
			v.SetInt(5)
		default:
			v.SetUint(1)
		}
		if got, ok := sameQuestion(r); ok && got == want {
			t.Errorf("%s does not count", path)
		}
		v.SetZero()
		r.Follow = true
	}
	r := same
	differ("Request", &r, reflect.ValueOf(&r).Elem())
	r = same
	r.Since, r.Notice, r.Withheld = now+5, func(query.NodeReport) {}, func() {}
	if got, ok := sameQuestion(&r); !ok || got != want {
		t.Error("the asker's own counts")
	}
	limited := func(namespaces ...string) string {
		key, _ := sameQuestion(&query.Request{Follow: true, Since: now, Access: query.Access{Limited: true, Namespaces: namespaces}})
		return key
	}
	if limited("shop") == limited("bank") || limited("shop", "bank") == limited("shopbank") || limited("shop") == limited("shop", "bank") {
		t.Error("namespaces do not count")
	}
}

// Who may see other things never hears an answer of somebody else's; and of one that is shared, what
// a node should not have told is left out for all, and counts for all.
func TestSharedAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newStore()
		var c cluster
		c.set(Member{"node-a", a})
		f := c.fleet()
		begin()
		var mu sync.Mutex
		withheld := map[string]int{}
		ask := func(who string, namespaces ...string) *follower {
			r := since(0)
			if len(namespaces) > 0 {
				r.Access = query.Access{Limited: true, Namespaces: namespaces}
			}
			r.Withheld = func() {
				mu.Lock()
				defer mu.Unlock()
				withheld[who]++
			}
			w := startFollower(f, r)
			synctest.Wait()
			return w
		}
		all, ada, bob, eve := ask("all"), ask("ada", "shop"), ask("bob", "bank"), ask("eve", "bank")
		a.counts(t, 3, 3)
		a.add(0, 1) // of the shop; this worker tells everybody all
		settle()
		all.is(t, []int{0, 1}, nil)
		ada.is(t, []int{0, 1}, nil)
		bob.is(t, nil, nil)
		eve.is(t, nil, nil)
		if fmt.Sprint(withheld) != "map[bob:2 eve:2]" {
			t.Errorf("withheld %v", withheld)
		}
		for i, r := range a.asked {
			if want := [][]string{nil, {"shop"}, {"bank"}}[i]; !slices.Equal(r.Access.Namespaces, want) || r.Access.Limited != (i > 0) {
				t.Errorf("question %d may see %+v", i, r.Access)
			}
		}
		for _, w := range []*follower{all, ada, bob, eve} {
			w.end(t)
		}
	})
}

// Who comes later is told which nodes are missing, and not of those that had gone before.
func TestSharedMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newStore(), newStore()
		var c cluster
		c.set(Member{"node-a", a}, Member{"node-b", b}, Member{"node-c", &absentee{"its pod is pending"}})
		f := c.fleet()
		begin()
		first := startFollower(f, since(0))
		a.add(0)
		settle()
		a.kill()
		settle()
		c.set(Member{"node-a", a}, Member{"node-b", b})
		settle()
		first.is(t, []int{0}, []string{"node-c did not answer: its pod is pending", "node-a stopped answering: the connection broke"})
		late := startFollower(f, since(0))
		settle()
		late.is(t, []int{0}, []string{"node-a did not answer: the connection broke"})
		a.start()
		<-time.After(againMost)
		b.kill()
		settle()
		late.is(t, []int{0}, []string{"node-a did not answer: the connection broke", "node-a answers", "node-b did not answer: the connection broke"})
		late.end(t)
		if got := absences(late.report); !slices.Equal(got, []string{"node-b did not answer: the connection broke"}) {
			t.Errorf("report %q", got)
		}
		first.end(t)
		if got := absences(first.report); len(got) != 2 {
			t.Errorf("report %q", got)
		}
	})
}

// What is wrong with the question is told to all who ask it, and the next one asks anew.
func TestSharedRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cluster
		c.set(Member{"node-a", newStore()}, Member{"node-b", refusing{}})
		f := c.fleet()
		begin()
		for range 2 {
			x, y := startFollower(f, since(0)), startFollower(f, since(0))
			<-x.ended
			<-y.ended
			if !errors.Is(x.err, ErrRefused) || !errors.Is(y.err, ErrRefused) {
				t.Errorf("ended with %v and %v", x.err, y.err)
			}
		}
	})
}

// ticking is a worker that makes calls as fast as it goes, numbered by their sequence.
type ticking struct {
	query.Source
	mu  sync.Mutex
	all []int64 // times
}

func (s *ticking) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	f := shop.Flow(0)
	for told := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		s.mu.Lock()
		s.all = append(s.all, time.Now().UnixNano())
		all := s.all
		s.mu.Unlock()
		for ; told < len(all); told++ {
			if all[told] < r.Since {
				continue
			}
			if err := each(&dissect.Call{Flow: f, Protocol: sourcetest.HTTP, Time: all[told], Seq: uint32(told), Message: &query.Kept{}}); err != nil {
				return nil, err
			}
		}
	}
}

// Many come and go at once: each hears all since its beginning until it leaves.
func TestSharedComeAndGo(t *testing.T) {
	w := &ticking{}
	var c cluster
	c.set(Member{"node-a", w})
	f := c.fleet()
	var askers sync.WaitGroup
	for i := range 32 {
		askers.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(i)))
			for range 5 {
				since := time.Now().Add(-time.Duration(random.IntN(20)) * time.Millisecond).UnixNano()
				left, next := 1+random.IntN(60), -1
				stop := query.ErrStop
				if left%2 == 0 {
					stop = context.DeadlineExceeded // any other
				}
				_, err := f.Calls(t.Context(), &query.Request{Since: since, Follow: true}, func(c *dissect.Call) error {
					w.mu.Lock()
					first, _ := slices.BinarySearch(w.all, since)
					w.mu.Unlock()
					if next < 0 {
						next = first
					}
					if int(c.Seq) != next {
						t.Errorf("told %d, want %d", c.Seq, next)
					}
					next++
					if left--; left == 0 {
						return stop
					}
					return nil
				})
				if left != 0 || err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%d left, %v", left, err)
				}
			}
		})
	}
	askers.Wait()
	if f.sharedCalls.n != 0 || len(f.sharedCalls.going) != 0 {
		t.Errorf("%d answers are left", f.sharedCalls.n)
	}
}

// Flows are lent by who joins them, and shared all the same.
func TestSharedFlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &closing{}
		var c cluster
		c.set(Member{"node-a", w})
		f := c.fleet()
		begin()
		var askers sync.WaitGroup
		for range 4 {
			askers.Go(func() {
				var got []*dissect.Flow
				_, err := f.Flows(t.Context(), &query.Request{Since: shop.Flow(0).Last, Follow: true}, func(fl *dissect.Flow) error {
					if got = append(got, fl); len(got) == 500 {
						return query.ErrStop
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				for n, fl := range got {
					if want := shop.Flow(n); fl.ID != want.ID || fl.Client.Addr != want.Client.Addr {
						t.Fatalf("flow %d is %s", n, fl.ID)
					}
				}
			})
		}
		askers.Wait()
		if w.asked != 1 {
			t.Errorf("asked %d times", w.asked)
		}
	})
}

// closing is a worker where connections end.
type closing struct {
	query.Source
	asked int
}

func (w *closing) Flows(ctx context.Context, _ *query.Request, each func(*dissect.Flow) error) (*query.Report, error) {
	w.asked++
	for n := 0; ; n++ {
		<-time.After(time.Millisecond)
		if err := errors.Join(ctx.Err(), each(shop.Flow(n))); err != nil {
			return nil, err
		}
	}
}
