// Package merge merges sequences that are in order of time into one. It owns no memory of
// theirs: what it hands out is borrowed as the source says, until the next Next. A Merger is
// used by one goroutine.
package merge

import (
	"errors"
	"io"
)

// Source is a sequence in the order of its times.
type Source[T any] interface {
	// Next fills v. It returns io.EOF at the end. What v borrows is good until the next Next.
	Next(v *T) error
}

// Merger is the merged sequence. It asks a source for its next value only when the one before
// has been left behind, so a borrowed value stays good until then.
type Merger[T any] struct {
	time  func(*T) int64
	heads []head[T] // a heap by time, then by number
	fresh []head[T] // to be asked before the next value is told
	err   error
}

type head[T any] struct {
	src    Source[T]
	number int
	time   int64
	value  *T
}

// New merges sources; time tells the time of a value. Of values with the same time that of
// the source that was named first comes first.
func New[T any](time func(*T) int64, sources ...Source[T]) *Merger[T] {
	m := &Merger[T]{time: time}
	for n, s := range sources {
		m.fresh = append(m.fresh, head[T]{src: s, number: n, value: new(T)})
	}
	return m
}

// Next fills v with the next value. It returns io.EOF when all sources are at their end. An
// error of a source ends that source; it is joined to what Next returns at the end, so that
// the others are not lost.
func (m *Merger[T]) Next(v *T) error {
	for _, h := range m.fresh {
		switch err := h.src.Next(h.value); {
		case err == nil:
			h.time = m.time(h.value)
			m.push(h)
		case err != io.EOF:
			m.err = errors.Join(m.err, err)
		}
	}
	m.fresh = m.fresh[:0]
	if len(m.heads) == 0 {
		if m.err != nil {
			return m.err
		}
		return io.EOF
	}
	h := m.pop()
	*v = *h.value
	m.fresh = append(m.fresh, h)
	return nil
}

func (a *head[T]) before(b *head[T]) bool {
	return a.time < b.time || a.time == b.time && a.number < b.number
}

func (m *Merger[T]) push(h head[T]) {
	m.heads = append(m.heads, h)
	for i := len(m.heads) - 1; i > 0; {
		parent := (i - 1) / 2
		if !m.heads[i].before(&m.heads[parent]) {
			return
		}
		m.heads[i], m.heads[parent] = m.heads[parent], m.heads[i]
		i = parent
	}
}

func (m *Merger[T]) pop() head[T] {
	top := m.heads[0]
	last := len(m.heads) - 1
	m.heads[0] = m.heads[last]
	m.heads = m.heads[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return top
		}
		if child+1 < last && m.heads[child+1].before(&m.heads[child]) {
			child++
		}
		if !m.heads[child].before(&m.heads[i]) {
			return top
		}
		m.heads[i], m.heads[child] = m.heads[child], m.heads[i]
		i = child
	}
}
