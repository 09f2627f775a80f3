package fleet

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"slices"

	"github.com/sshark/sshark/pcap/merge"
	"github.com/sshark/sshark/worker/query"
)

// gather asks all nodes, merges what they say in the order of time (a follower gets it as it
// comes), cuts it to the newest or oldest, and reports.
func gather[T any](ctx context.Context, f *Fleet, r *query.Request, question question[T],
	time func(*T) int64, each func(T) error) (*query.Report, error) {
	members := f.of(r)
	switch {
	case len(members) == 0:
		return nobody(r)
	case r.Follow:
		return follow(ctx, f, r, question, each)
	}
	if few := fewFirst(r.Last, len(members)); few > 0 {
		return newest(ctx, members, r, few, question, time, each)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := ask(ctx, members, r, question)
	err := ordered(answers, nil, r, time, each)
	if err != nil {
		cancel()
	}
	end(answers)
	joined, reportErr := report(members, answers, err != nil)
	if errors.Is(err, query.ErrStop) {
		err = nil
	}
	return joined, cmp.Or(err, reportErr)
}

// nobody is the answer where no member can be asked.
func nobody(r *query.Request) (*query.Report, error) {
	if r.Node != "" {
		return absent(r.Node, nil, unreachable("no such worker is known any more"), false), nil
	}
	return &query.Report{}, ErrNoWorkers
}

// newestBytes bounds what is held until it is known to be the newest. Few ask for so many that
// it matters but of packets, of which nodes tell all. Twice as much is there between looks.
const newestBytes = 96 << 20

func weights[T any](items []T) (sum int64) {
	for _, item := range items {
		sum += weight(item)
	}
	return sum
}

// list is a source of pcap/merge.
type list[T any] []T

func (l *list[T]) Next(v *T) error {
	if len(*l) == 0 {
		return io.EOF
	}
	*v, *l = (*l)[0], (*l)[1:]
	return nil
}

// ordered hands out the items of all answers and lists in the order of time, as many as the
// request wants.
func ordered[T any](answers []*answer[T], lists []*list[T], r *query.Request, time func(*T) int64, each func(T) error) error {
	sources := make([]merge.Source[T], 0, len(answers)+len(lists))
	for _, a := range answers {
		sources = append(sources, a)
	}
	for _, l := range lists {
		sources = append(sources, l)
	}
	m := merge.New(time, sources...)
	var newest []T
	var held int64
	for told := 0; ; {
		var item T
		if err := m.Next(&item); err != nil {
			break // their end: no source knows another error
		}
		if r.Last > 0 {
			newest = append(newest, item)
			if held += weight(item); held > 2*newestBytes || len(newest) >= 2*r.Last {
				newest = append(newest[:0], newest[max(0, len(newest)-r.Last):]...)
				clear(newest[len(newest):cap(newest)])
				if held = weights(newest); held > newestBytes {
					return query.ErrTooMuch
				}
			}
			continue
		}
		if err := each(item); err != nil {
			return err
		}
		if told++; told == r.First {
			return query.ErrStop
		}
	}
	for _, item := range newest[max(0, len(newest)-max(r.Last, 0)):] {
		if err := each(item); err != nil {
			return err
		}
	}
	return nil
}

// fewFirst is how many items each of n nodes is asked for first, if the newest of all are
// wanted: of many nodes most have but few of these. 0: it is not worth asking twice.
func fewFirst(last, n int) int {
	few := 2*((last+n-1)/n) + 4
	if last == 0 || 2*few > last {
		return 0
	}
	return few
}

// newest finds the newest items of all nodes without asking each for so many. All are asked
// for a few. Those that may have more which are newer than the oldest one wanted, as far as
// that is known by then, are asked again, for what is newer than that.
func newest[T any](ctx context.Context, members []Member, r *query.Request, few int, question question[T],
	time func(*T) int64, each func(T) error) (*query.Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	part := *r
	part.Last = few
	answers := ask(ctx, members, &part, question)
	lists := make([]*list[T], len(answers))
	var times []int64
	for i, a := range answers {
		lists[i] = new(list[T])
		for item, ok := a.take(); ok; item, ok = a.take() {
			*lists[i] = append(*lists[i], item)
			times = append(times, time(&item))
		}
	}
	if joined, err := report(members, answers, false); err != nil {
		return joined, err
	}
	slices.Sort(times)
	since := r.Since
	if len(times) >= r.Last {
		since = max(since, times[len(times)-r.Last])
	}
	var busy []Member
	var first []*answer[T] // of these
	for i, a := range answers {
		if a.err != nil || a.told < few {
			continue
		}
		oldest := int64(math.MaxInt64)
		for _, item := range *lists[i] {
			oldest = min(oldest, time(&item))
		}
		if oldest >= since {
			busy, first = append(busy, members[i]), append(first, a)
			lists[i] = new(list[T])
		}
	}
	part.Since, part.Last = since, r.Last
	more := ask(ctx, busy, &part, question)
	err := ordered(more, lists, r, time, each)
	if err != nil {
		cancel()
	}
	end(more)
	for i, a := range more {
		first[i].err = a.err // what matched before it was cut is in the first report
	}
	joined, reportErr := report(members, answers, err != nil)
	if errors.Is(err, query.ErrStop) {
		err = nil
	}
	return joined, cmp.Or(err, reportErr)
}
