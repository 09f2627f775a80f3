package http1

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
	t        testing.TB
	limit    int
	calls    []string
	lines    []string // JSON of each call
	switched bool
	next     string
	rest     string
	each     func(c *dissect.Call)
	memory   *memtest.Gauge // of a fuzzer, nil: nothing is watched
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

func (s *sink) Bodies() (int, bool) { return s.limit, s.limit > 0 }

func (s *sink) Switch(next string, rest []byte) {
	s.switched, s.next, s.rest = true, next, string(rest)
}

// tell is one call in short: what was asked, what came of it, the sizes of the bodies, and
// marks: "<" it is the server's, "~" it is incomplete.
func tell(c *dissect.Call) string {
	e := c.Message.(*exchange)
	var b []byte
	if c.Reverse {
		b = append(b, '<')
	}
	if c.Incomplete {
		b = append(b, '~')
	}
	if e.req.seen {
		b = fmt.Appendf(b, "%s", e.AppendSummary(nil))
		if e.req.size > 0 {
			b = fmt.Appendf(b, " [%d]", e.req.size)
		}
		b = append(b, " -> "...)
	}
	b = e.AppendStatus(b)
	if e.resp.size > 0 {
		b = fmt.Appendf(b, " [%d]", e.resp.size)
	}
	return strings.TrimSpace(string(b))
}

// step is a thing that happens to a flow: "> bytes", "< bytes", ">gap 5", "<gap 0".
type step struct {
	d    flow.Dir
	data string
	gap  int64 // -1: data
}

func c(data string) step { return step{0, data, -1} }
func s(data string) step { return step{1, data, -1} }
func cgap(n int64) step  { return step{0, "", n} }
func sgap(n int64) step  { return step{1, "", n} }
func rep(n int) string   { return strings.Repeat("x", n) }

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
