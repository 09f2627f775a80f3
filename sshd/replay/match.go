package replay

import (
	"fmt"
)

// matcher compares what comes with what came then, byte by byte.
type matcher struct {
	want [][]byte
	at   int // within want[0]
	same int64
	got  int64
	was  []byte // from the first difference on, a little
	is   []byte
	off  bool
}

func (m *matcher) add(b []byte) {
	m.got += int64(len(b))
	for len(b) > 0 && !m.off {
		for len(m.want) > 0 && m.at == len(m.want[0]) {
			m.want, m.at = m.want[1:], 0
		}
		if len(m.want) == 0 {
			m.off, m.is = true, clone(b)
			return
		}
		w := m.want[0][m.at:]
		n := common(w, b)
		m.same += int64(n)
		m.at += n
		b = b[n:]
		if n < len(w) && len(b) > 0 {
			m.off, m.was, m.is = true, clone(w[n:]), clone(b)
		}
	}
}

func clone(b []byte) []byte { return append([]byte(nil), b[:min(len(b), 64)]...) }

// difference is the first one, if there is any.
func (m *matcher) difference() (Difference, bool) {
	var rest int64
	for i, w := range m.want {
		rest += int64(len(w))
		if i == 0 {
			rest -= int64(m.at)
		}
	}
	size := m.same + rest
	switch {
	case m.off:
		return Difference{"bytes", fmt.Sprintf("%d bytes, at %d %s", size, m.same, around(m.was, 0)), fmt.Sprintf("%d bytes, at %d %s", m.got, m.same, around(m.is, 0))}, true
	case rest > 0:
		return Difference{"bytes", fmt.Sprintf("%d bytes", size), fmt.Sprintf("%d bytes, the first %d the same", m.got, m.same)}, true
	}
	return Difference{}, false
}

// key is what makes two calls the same request.
type key struct {
	protocol, summary string
	size              uint64
	reverse           bool
}

func keyOf(c *Call) key { return key{c.Protocol, c.Summary, c.Sizes[0], c.Reverse} }

// pair finds for each call the one that asked the same, in order: answers may come in another
// order than they did. What is left is paired by its place.
func (r *Rules) pair(was, is []*Call) []Outcome {
	places := map[key][]int{}
	for i, c := range is {
		places[keyOf(c)] = append(places[keyOf(c)], i)
	}
	taken := make([]bool, len(is))
	out := make([]Outcome, len(was))
	for i, c := range was {
		out[i].Was = c
		if list := places[keyOf(c)]; len(list) > 0 {
			out[i].Is, taken[list[0]] = is[list[0]], true
			places[keyOf(c)] = list[1:]
		}
	}
	next := 0
	for i := range out {
		for next < len(is) && taken[next] {
			next++
		}
		if out[i].Is == nil && next < len(is) && is[next].Protocol == out[i].Was.Protocol && is[next].Reverse == out[i].Was.Reverse {
			out[i].Is, taken[next] = is[next], true
		}
	}
	for i := range is {
		if !taken[i] {
			out = append(out, Outcome{Is: is[i]})
		}
	}
	for i := range out {
		o := &out[i]
		switch {
		case o.Is == nil:
			o.Differences = []Difference{{"call", short(firstOf(o.Was.Status, o.Was.Summary)), ""}}
		case o.Was == nil:
			o.Differences = []Difference{{"call", "", short(firstOf(o.Is.Summary, o.Is.Status))}}
		default:
			o.Differences, o.More, o.Ignored = r.compare(o.Was, o.Is)
		}
	}
	return out
}
