package view

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
)

// match is where what was searched for is in a conversation.
type match struct{ from, to int }

// maxMatches bounds what a search finds.
const maxMatches = 10_000

// finder says where the next match in b is; nil: there is none.
type finder func(b []byte) []int

// newFinder reads what is typed: text (in any case, unless it has an upper one), `re:` and a
// regular expression, or `hex:` and bytes.
func newFinder(s string) (finder, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case kind == "re" && strings.Contains(s, ":"):
		re, err := regexp.Compile(rest)
		if err != nil {
			return nil, fmt.Errorf("this is no regular expression: %w", err)
		}
		return re.FindIndex, nil
	case kind == "hex" && strings.Contains(s, ":"):
		want, err := hex.DecodeString(strings.NewReplacer(" ", "", ":", "", "0x", "").Replace(rest))
		if err != nil || len(want) == 0 {
			return nil, errors.New("these are no bytes: type them as hex:16 03 01")
		}
		return plainFinder(want), nil
	case strings.ToLower(s) != s:
		return plainFinder([]byte(s)), nil
	}
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return foldFinder([]byte(s)), nil
	}
	re, err := regexp.Compile("(?i)" + regexp.QuoteMeta(s))
	if err != nil { // what is quoted compiles, but for what is too long
		return plainFinder([]byte(s)), nil
	}
	return re.FindIndex, nil
}

func plainFinder(want []byte) finder {
	return func(b []byte) []int {
		i := bytes.Index(b, want)
		if i < 0 {
			return nil
		}
		return []int{i, i + len(want)}
	}
}

// foldFinder finds lower-case ASCII in any case: a regular expression takes forty times as long.
func foldFinder(want []byte) finder {
	var lower [256]byte
	for i := range lower {
		lower[i] = byte(i)
		if i >= 'A' && i <= 'Z' {
			lower[i] += 'a' - 'A'
		}
	}
	return func(b []byte) []int {
	next:
		for i := 0; i+len(want) <= len(b); i++ {
			for k, c := range want {
				if lower[b[i+k]] != c {
					continue next
				}
			}
			return []int{i, i + len(want)}
		}
		return nil
	}
}

// find finds matches within turns: what one side said is searched as it said it, across
// packets, and never together with what the other did.
func find(c *conversation, s sides, next finder, cancelled func() bool) (found []match, more bool) {
	for i := range c.turns {
		t := &c.turns[i]
		if t.missing || !s.has(t.side) {
			continue
		}
		for at := t.from; at < t.to; {
			if cancelled() {
				return found, true
			}
			m := next(c.bytes[at:t.to])
			if m == nil {
				break
			}
			if m[1] == m[0] { // an expression that matches nothing at all
				at += m[1] + 1
				continue
			}
			if len(found) == maxMatches {
				return found, true
			}
			found = append(found, match{at + m[0], at + m[1]})
			at += m[1]
		}
	}
	return found, false
}

// foundMsg is what a search found.
type foundMsg struct {
	stream *Stream
	number int
	found  []match
	more   bool
	err    error
}

// seek searches for what was typed; first goes to the first match from the cursor on.
func (m *Stream) seek(first bool) tea.Cmd {
	m.search.number++
	m.search.found, m.search.more = nil, false
	if m.search.text == "" {
		m.search.picked = -1
		return nil
	}
	next, err := newFinder(m.search.text)
	if err != nil {
		return refuse("%s", err)
	}
	m.search.goTo = m.search.goTo || first
	m.search.asking = true
	msg := foundMsg{stream: m, number: m.search.number}
	own := *m.conv // what is there does not change, but for the end of the last turn
	own.turns = slices.Clone(own.turns)
	which, ctx := m.lines.sides, m.ctx
	return func() tea.Msg {
		func() {
			defer guard(&msg.err)
			msg.found, msg.more = find(&own, which, next, func() bool { return ctx.Err() != nil })
		}()
		return msg
	}
}

// takeFound takes what a search found.
func (m *Stream) takeFound(msg foundMsg) tea.Cmd {
	s := &m.search
	if msg.stream != m || msg.number != s.number {
		return nil
	}
	was := match{-1, -1}
	if s.picked >= 0 && s.picked < len(s.was) {
		was = s.was[s.picked]
	}
	s.asking = false
	s.found, s.more = msg.found, msg.more
	s.was = s.found
	s.picked = -1
	if msg.err != nil {
		return refuse("%s", msg.err)
	}
	for i, f := range s.found {
		if f == was {
			s.picked = i
		}
	}
	if !s.goTo {
		return nil
	}
	s.goTo = false
	if len(s.found) == 0 {
		return refuse("%q is not in what is shown", s.text)
	}
	from := m.cursorByte()
	m.pick(sort.Search(len(s.found), func(i int) bool { return s.found[i].from >= from }))
	return nil
}

// pick goes to a match, also over the ends.
func (m *Stream) pick(i int) {
	n := len(m.search.found)
	if n == 0 {
		return
	}
	m.search.picked = (i%n + n) % n
	m.follow = false
	m.to(m.lines.at(m.search.found[m.search.picked].from))
}

func (m *Stream) step(d int) tea.Cmd {
	switch {
	case m.search.text == "":
		return refuse("nothing is searched for: press / and type it")
	case m.search.asking:
		return refuse("it is being searched for")
	case len(m.search.found) == 0:
		return refuse("%q is not in what is shown", m.search.text)
	}
	from := m.cursorByte()
	i := m.search.picked + d
	if m.search.picked < 0 {
		i = sort.Search(len(m.search.found), func(i int) bool { return m.search.found[i].from >= from })
		if d < 0 {
			i--
		}
	}
	over := i < 0 || i >= len(m.search.found)
	m.pick(i)
	if over {
		return flash("over the end, on at the other")
	}
	return nil
}

// pressSearch handles a key while it is typed what to search for.
func (m *Stream) pressSearch(e component.Event) tea.Cmd {
	p := &m.search.prompt
	switch e {
	case component.Cancelled:
		m.search.typing = false
	case component.Changed, component.Accepted:
		text := p.Input.Value()
		_, err := newFinder(text)
		p.State, p.Message = component.Good, ""
		switch {
		case text == "":
			p.State = component.Idle
		case err != nil:
			p.State, p.Message = component.Bad, err.Error()
		}
		if e == component.Changed {
			return nil
		}
		if err != nil && text != "" {
			return refuse("%s", err)
		}
		m.search.typing = false
		m.search.text = text
		m.search.picked = -1
		p.Remember(text)
		return m.seek(true)
	}
	return nil
}
