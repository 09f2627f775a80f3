package redis

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
)

// sink notes what a parser hands out.
type sink struct {
	t      testing.TB
	limit  int
	calls  []string
	lines  []string // JSON of each call
	each   func(c *dissect.Call)
	memory *memtest.Gauge // of a fuzzer, nil: nothing is watched
}

func (s *sink) Call(c *dissect.Call) {
	s.calls = append(s.calls, tell(c))
	line := "{" + strings.TrimPrefix(string(c.Message.AppendFields(nil)), ",") + "}"
	if s.t != nil && !json.Valid([]byte(line)) {
		s.t.Errorf("no JSON: %s", line)
	}
	s.lines = append(s.lines, line)
	if s.each != nil {
		s.each(c)
	}
}

func (s *sink) Bodies() (int, bool)   { return s.limit, s.limit > 0 }
func (s *sink) Switch(string, []byte) {}

// tell is one call in short: what was asked, what came of it, and marks: "<" it is the
// server's, "~" it is incomplete, "!" it is an error.
func tell(c *dissect.Call) string {
	e := c.Message.(*exchange)
	var b []byte
	for _, mark := range []struct {
		set bool
		c   byte
	}{{c.Reverse, '<'}, {c.Incomplete, '~'}, {c.Error, '!'}} {
		if mark.set {
			b = append(b, mark.c)
		}
	}
	b = e.AppendSummary(b)
	if e.asked && e.said {
		b = e.AppendStatus(append(b, " -> "...))
	}
	return string(b)
}

// step is a thing that happens to a flow.
type step struct {
	d    flow.Dir
	data string
	gap  int64 // -1: data
}

func c(data string) step { return step{0, data, -1} }
func s(data string) step { return step{1, data, -1} }
func cgap(n int64) step  { return step{0, "", n} }
func sgap(n int64) step  { return step{1, "", n} }

// cmd is a command as clients send it.
func cmd(words ...string) string {
	b := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, w := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
	}
	return string(b)
}

// run plays steps; each takes 1 ms. Pieces of data are at most chunk bytes long, 0: whole.
func run(k *sink, steps []step, chunk int) error {
	p := newParser(k)
	now := int64(1_000_000_000)
	for _, st := range steps {
		now += 1e6
		at := dissect.Stamp{Time: now}
		if st.gap >= 0 {
			if err := p.Gap(st.d, st.gap, at); err != nil {
				return err
			}
			continue
		}
		b := []byte(st.data)
		for len(b) > 0 {
			n := len(b)
			if chunk > 0 {
				n = min(n, chunk)
			}
			piece := append([]byte(nil), b[:n]...)
			if err := p.Data(st.d, piece, at); err != nil {
				return err
			}
			clear(piece) // it was borrowed
			if k.memory != nil {
				k.memory.Check(k.t)
				k.calls, k.lines = nil, nil
			}
			b = b[n:]
		}
	}
	p.Close(dissect.Stamp{Time: now + 1e6})
	return nil
}
