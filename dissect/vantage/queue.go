package vantage

import "slices"

// timed is what is kept in order of time.
type timed interface {
	comparable
	when() int64
}

// dated is what waited until a time of the clock.
type dated interface{ until() int64 }

// queue keeps what comes about in order of time in that order. Adding at the end and taking
// from the front are cheap.
type queue[T timed] struct {
	list []T
	head int // what is before it has been taken
}

func (q *queue[T]) len() int { return len(q.list) - q.head }
func (q *queue[T]) all() []T { return q.list[q.head:] }
func (q *queue[T]) first() T { return q.list[q.head] }

// add puts one in behind those that are not younger.
func (q *queue[T]) add(v T) {
	if q.head > 64 && q.head > len(q.list)/2 {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	if n := len(q.list); n == q.head || q.list[n-1].when() <= v.when() {
		q.list = append(q.list, v)
		return
	}
	q.list = slices.Insert(q.list, q.head+q.from(v.when()+1), v)
}

func (q *queue[T]) pop() T {
	v := q.list[q.head]
	clear(q.list[q.head : q.head+1])
	q.head++
	return v
}

// remove takes one out that is near the front.
func (q *queue[T]) remove(v T) {
	if q.len() > 0 && q.first() == v {
		q.pop()
	} else if i := slices.Index(q.all(), v); i >= 0 {
		q.list = slices.Delete(q.list, q.head+i, q.head+i+1)
	}
}

// from is the index in all of the first that is not before a time.
func (q *queue[T]) from(time int64) int {
	n, _ := slices.BinarySearchFunc(q.all(), time, func(v T, t int64) int {
		if v.when() < t {
			return -1
		}
		return 1
	})
	return n
}

// reset empties it for another use.
func (q *queue[T]) reset() {
	clear(q.list)
	q.list, q.head = q.list[:0], 0
}

// past remembers what was told, the oldest of which goes first. What is between head and the end
// of the list is remembered.
type past[T dated] struct {
	list []T
	head int
}

func (p *past[T]) len() int { return len(p.list) - p.head }
func (p *past[T]) first() T { return p.list[p.head] }

// over says whether the oldest has to go.
func (p *past[T]) over(live bool, clock int64) bool {
	if live {
		return p.len() > maxToldLive || p.len() > 0 && p.first().until() < clock-int64(late)
	}
	return p.len() > maxTold
}

func (p *past[T]) add(v T) {
	if p.head > 64 && p.head > len(p.list)/2 {
		n := copy(p.list, p.list[p.head:])
		clear(p.list[n:])
		p.list, p.head = p.list[:n], 0
	}
	p.list = append(p.list, v)
}

func (p *past[T]) pop() T {
	v := p.list[p.head]
	clear(p.list[p.head : p.head+1])
	p.head++
	return v
}
