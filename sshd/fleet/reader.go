package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/worker/query"
)

// readItems is how many a reader takes at once.
const readItems = 256

// reader is one who reads a shared answer.
type reader[T any] struct {
	from    *shared[T]
	request *query.Request

	// Guarded by from.mu.
	next    uint64 // number of what it reads next
	lost    uint64 // that it was too slow for, not told yet
	notices []query.NodeReport
	gone    map[string]bool // nodes that were gone before it came

	lostAll uint64 // the reader's own
}

// notice is told in time; of a node only the last thing counts. from.mu is held.
func (r *reader[T]) notice(n query.NodeReport) {
	if r.gone[n.Node] && n.Missing != "" {
		return
	}
	delete(r.gone, n.Node)
	if r.request.Notice == nil {
		return
	}
	r.notices = slices.DeleteFunc(r.notices, func(old query.NodeReport) bool { return old.Node == n.Node })
	r.notices = append(r.notices, n)
}

// portion is what a reader gets at once.
type portion[T any] struct {
	items   []T
	notices []query.NodeReport
	lost    uint64
	news    <-chan struct{} // closed when there is more
}

func (p *portion[T]) empty() bool { return len(p.items)+len(p.notices) == 0 && p.lost == 0 }

// take is what there is to read, into the memory of the portion before.
func (r *reader[T]) take(p *portion[T]) {
	a := r.from
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(p.items)
	p.items, p.news = p.items[:0], a.news
	p.notices, r.notices = r.notices, nil
	if r.next < a.first {
		r.lost += a.first - r.next
		r.next = a.first
	}
	p.lost, r.lost = r.lost, 0
	from := a.held[r.next-a.first:]
	for i := 0; i < len(from) && len(p.items) < readItems; i++ {
		if h := &from[i]; h.at == 0 || h.at >= r.request.Since {
			p.items = append(p.items, h.item)
		}
		r.next++
	}
	a.makeRoom()
}

// read hands out what comes until each returns an error, ctx ends or all is said.
func (r *reader[T]) read(ctx context.Context, each func(T) error) (*query.Report, error) {
	a := r.from
	var p portion[T]
	for {
		over := closed(a.ended) // before it is looked whether there is more
		if r.take(&p); p.empty() {
			if over {
				return r.leave(ctx, a.err)
			}
			select {
			case <-p.news:
			case <-a.ended:
			case <-ctx.Done():
				return r.leave(ctx, ctx.Err())
			}
			continue
		}
		for _, n := range p.notices {
			r.request.Notice(n)
		}
		r.tellLost(p.lost)
		for _, item := range p.items {
			err := ctx.Err()
			if err == nil {
				err = each(item)
			}
			if err != nil {
				return r.leave(ctx, err)
			}
		}
	}
}

// tellLost says at once what the reader was too slow for, if it listens; else the report does.
func (r *reader[T]) tellLost(n uint64) {
	if r.lostAll += n; n > 0 && r.request.Notice != nil {
		r.request.Notice(query.NodeReport{Notes: []string{lostText[T](n)}})
	}
}

// lostText is the sentence that says it.
func lostText[T any](n uint64) string {
	what := "flows"
	if _, ok := any(*new(T)).(*dissect.Call); ok {
		what = "calls"
	}
	return fmt.Sprintf("%s left out, as they came faster than they were taken here: %d", what, n)
}

// leave ends the reading. The last one ends the answer, and waits for that.
func (r *reader[T]) leave(ctx context.Context, err error) (*query.Report, error) {
	a := r.from
	a.in.mu.Lock()
	a.mu.Lock()
	delete(a.readers, r)
	last := len(a.readers) == 0
	if last {
		a.in.remove(a)
	}
	a.makeRoom()
	missing := maps.Clone(a.missing)
	a.mu.Unlock()
	a.in.mu.Unlock()
	if last {
		a.cancel()
		<-a.ended
	}
	report := &query.Report{}
	if closed(a.ended) {
		report.Nodes = slices.Clone(a.report.Nodes)
	} else {
		for _, n := range missing {
			report.Nodes = append(report.Nodes, n)
		}
		slices.SortFunc(report.Nodes, func(x, y query.NodeReport) int { return strings.Compare(x.Node, y.Node) })
	}
	report.Nodes = slices.DeleteFunc(report.Nodes, func(n query.NodeReport) bool { return n.Missing != "" && r.gone[n.Node] })
	if r.lostAll > 0 && r.request.Notice == nil {
		report.Nodes = append(report.Nodes, query.NodeReport{Notes: []string{lostText[T](r.lostAll)}})
	}
	if errors.Is(err, query.ErrStop) {
		err = nil
	}
	return report, err
}
