package http2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

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

// tell is one call in short: what was asked, what came of it, the sizes of the bodies, and
// marks: "<" it is the server's, "~" it is incomplete, "!" it is an error.
func tell(c *dissect.Call) string {
	var b []byte
	if c.Reverse {
		b = append(b, '<')
	}
	if c.Incomplete {
		b = append(b, '~')
	}
	if c.Error {
		b = append(b, '!')
	}
	e, ok := c.Message.(*exchange)
	if !ok {
		return string(c.Message.AppendSummary(b))
	}
	if e.req.seen {
		b = e.AppendSummary(b)
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

// step is a thing that happens to a flow.
type step struct {
	d    flow.Dir
	data string
	gap  int64 // -1: data
}

// side writes what one side sends, with the library.
type side struct {
	d      flow.Dir
	out    bytes.Buffer
	framer *http2.Framer
	block  bytes.Buffer
	enc    *hpack.Encoder
	talk   *talk
}

// talk is a conversation.
type talk struct {
	steps []step
	side  [2]*side
}

func newTalk() *talk {
	t := &talk{}
	for d := range t.side {
		s := &side{d: flow.Dir(d), talk: t}
		s.framer = http2.NewFramer(&s.out, nil)
		s.framer.AllowIllegalWrites = true
		s.enc = hpack.NewEncoder(&s.block)
		t.side[d] = s
	}
	return t
}

// begin is a conversation that is seen from its beginning.
func begin() *talk {
	t := newTalk()
	t.c().raw(preface).settings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100}).send()
	t.s().settings().ack().send()
	t.c().ack().send()
	return t
}

func (t *talk) c() *side { return t.side[0] }
func (t *talk) s() *side { return t.side[1] }

// send makes a step of what was written.
func (s *side) send() *side {
	s.talk.steps = append(s.talk.steps, step{s.d, s.out.String(), -1})
	s.out.Reset()
	return s
}

func (s *side) raw(b string) *side                   { s.out.WriteString(b); return s }
func (s *side) settings(list ...http2.Setting) *side { s.framer.WriteSettings(list...); return s }
func (s *side) ack() *side                           { s.framer.WriteSettingsAck(); return s }
func (s *side) data(id uint32, end bool, b string) *side {
	s.framer.WriteData(id, end, []byte(b))
	return s
}
func (s *side) padded(id uint32, end bool, b string, pad int) *side {
	s.framer.WriteDataPadded(id, end, []byte(b), make([]byte, pad))
	return s
}
func (s *side) reset(id uint32, code http2.ErrCode) *side {
	s.framer.WriteRSTStream(id, code)
	return s
}

// fields compresses "name value" pairs.
func (s *side) fields(list ...string) []byte {
	s.block.Reset()
	for _, f := range list {
		name, value, _ := strings.Cut(f, " ")
		s.enc.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	return append([]byte(nil), s.block.Bytes()...)
}

func (s *side) headers(id uint32, end bool, list ...string) *side {
	s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.fields(list...), EndStream: end, EndHeaders: true})
	return s
}

// get writes a request, ok a response.
func (s *side) get(id uint32, path string, more ...string) *side {
	return s.headers(id, true, append([]string{":method GET", ":scheme http", ":authority shop", ":path " + path, "user-agent test/1"}, more...)...)
}

func (s *side) post(id uint32, path string, more ...string) *side {
	return s.headers(id, false, append([]string{":method POST", ":scheme http", ":authority shop", ":path " + path}, more...)...)
}

func (s *side) answer(id uint32, end bool, status int, more ...string) *side {
	return s.headers(id, end, append([]string{fmt.Sprint(":status ", status), "server test/2"}, more...)...)
}

func cgap(n int64) step { return step{0, "", n} }
func sgap(n int64) step { return step{1, "", n} }

// run plays steps; each takes 1 ms. Pieces of data are at most chunk bytes long, 0: whole.
func run(k *sink, steps []step, chunk int) error {
	p := newParser(&dissect.Flow{}, k)
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
