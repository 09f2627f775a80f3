package postgresql

import (
	"encoding/binary"
	"encoding/json"
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
	each     func(c *dissect.Call)
	switched bool
	next     string
	rest     string
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

// msg is a message: its kind, and a payload put together from strings (which end with a zero
// byte), bytes, and numbers of two (int16) and four bytes (int).
func msg(kind byte, parts ...any) string {
	b := []byte{kind, 0, 0, 0, 0}
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(append(b, p...), 0)
		case []byte:
			b = append(b, p...)
		case byte:
			b = append(b, p)
		case int16:
			b = binary.BigEndian.AppendUint16(b, uint16(p))
		case int:
			b = binary.BigEndian.AppendUint32(b, uint32(p))
		}
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-1))
	return string(b)
}

// first is a packet without a kind.
func first(code int, parts ...any) string {
	return msg(0, append([]any{code}, parts...)...)[1:]
}

func query(text string) string       { return msg('Q', text) }
func parse(name, text string) string { return msg('P', name, text, int16(0)) }
func bind(portal, name string) string {
	return msg('B', portal, name, int16(0), int16(0), int16(0))
}
func run1(portal string) string              { return msg('E', portal, 0) }
func describe(what byte, name string) string { return msg('D', what, name) }
func closes(what byte, name string) string   { return msg('C', what, name) }
func failure(code, text string) string {
	return msg('E', []byte("SERROR\x00VERROR\x00C"+code+"\x00M"+text+"\x00"), byte(0))
}
func tag(text string) string { return msg('C', text) }
func row(columns ...string) string {
	parts := []any{int16(len(columns))}
	for _, c := range columns {
		if c == "NULL" {
			parts = append(parts, -1)
			continue
		}
		parts = append(parts, len(c), []byte(c))
	}
	return msg('D', parts...)
}

var (
	syncs   = msg('S')
	flushes = msg('H')
	idle    = msg('Z', byte('I'))
	parsed  = msg('1')
	bound   = msg('2')
	closed  = msg('3')
	noData  = msg('n')
	columns = msg('T', int16(1), "id", 0, int16(0), 23, int16(4), -1, int16(0))
	types   = msg('t', int16(1), 23)
	hello   = first(versionThree, "user", "shop", "database", "orders", byte(0))
	welcome = msg('R', 0) + msg('S', "server_version", "15") + msg('K', 1, 2) + idle
)

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
			if k.switched {
				return nil
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
