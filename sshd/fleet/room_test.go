package fleet

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sshark/sshark/worker/query"
)

// Who follows a question that others follow needs no room; another question is refused when there is
// none, and admitted when one has ended.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newStore(), newStore()
		var c cluster
		c.set(Member{"node-a", a}, Member{"node-b", b})
		f := c.fleet()
		f.room.limit = func() int64 { return 4 * listenPart * listenBytes }
		begin()
		ask := func(filter string) *follower {
			r := since(0)
			r.Filter = filter
			w := startFollower(f, r)
			settle()
			return w
		}
		first, second, same := ask(""), ask("http"), ask("http")
		a.counts(t, 2, 2)
		refused := ask("dns")
		<-refused.ended
		if !errors.Is(refused.err, ErrNoRoom) || !strings.Contains(refused.err.Error(), "2 others are followed, at 2 nodes") {
			t.Errorf("ended with %v", refused.err)
		}
		history := startFollower(f, query.Request{Since: 1}) // and alone
		<-history.ended
		if !errors.Is(history.err, ErrNoRoom) {
			t.Errorf("ended with %v", history.err)
		}
		first.end(t)
		third := ask("dns")
		a.counts(t, 3, 2)
		for _, w := range []*follower{second, same, third} {
			w.end(t)
		}
		f.room.limit = func() int64 { return 0 }
		w := ask("") // the first one, whatever it takes
		a.counts(t, 4, 1)
		w.end(t)
		if f.room.questions != 0 || f.room.nodes != 0 {
			t.Errorf("%d questions at %d nodes are left", f.room.questions, f.room.nodes)
		}
	})
}
