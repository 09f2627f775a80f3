package http2

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

type (
	sink = cuttest.Script
	step = cuttest.Step
)

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

// said is what was sent in a step.
func (t *talk) said(step int) string { return string(t.steps[step].Data) }

// send makes a step of what was written.
func (s *side) send() *side {
	s.talk.steps = append(s.talk.steps, step{Dir: s.d, Data: bytes.Clone(s.out.Bytes())})
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

func cgap(n int64) step { return cuttest.Missing(0, n) }
func sgap(n int64) step { return cuttest.Missing(1, n) }

// run plays steps; see cuttest.Script.
func run(k *sink, steps []step, chunk int) error {
	return k.Play(newParser(&dissect.Flow{}, k), steps, chunk)
}
