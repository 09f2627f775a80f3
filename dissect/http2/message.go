package http2

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/carried"
	"github.com/sshark/sshark/dissect/gql"
	"github.com/sshark/sshark/dissect/grpc"
	"github.com/sshark/sshark/dissect/http"
)

// message is a request or a response.
type message struct {
	list                  // all that was decoded
	fields    []http.Pair // headers
	trailers  []http.Pair
	method    []byte
	url       []byte
	authority []byte
	protocol  []byte // of an extended CONNECT
	status    int

	seen       bool // there is one
	done       bool // its end was seen
	incomplete bool
	asked      bool // the body is wanted,
	keep       bool // and still being kept
	cutBody    bool // body is not all of it
	limit      int  // of body
	block      int  // bytes of the header block
	body       []byte
	size       int64 // of the body, with what is missing
	wire       uint64
	first      int64 // times
	last       int64
}

// Memory that is larger than this is not kept for the next message.
const (
	keepList  = 16 << 10
	keepBody  = 64 << 10
	keepPairs = 64
)

func (m *message) reset() {
	mem, pairs, body := m.mem[:0], m.pairs[:0], m.body[:0]
	if cap(mem) > keepList {
		mem = nil
	}
	if cap(pairs) > keepPairs {
		pairs = nil
	}
	if cap(body) > keepBody {
		body = nil
	}
	*m = message{list: list{mem: mem, pairs: pairs}, body: body}
}

// head takes the fields that were decoded: those with a colon first are not headers
// (RFC 9113, 8.3).
func (m *message) head() {
	m.fields = m.pairs
	for i := range m.pairs {
		p := &m.pairs[i]
		if len(p.Name) == 0 || p.Name[0] != ':' {
			m.fields = m.pairs[i:]
			return
		}
		switch string(p.Name) {
		case ":method":
			m.method = p.Value
		case ":path":
			m.url = p.Value
		case ":authority":
			m.authority = p.Value
		case ":protocol":
			m.protocol = p.Value
		case ":status":
			if n, err := strconv.ParseUint(string(p.Value), 10, 10); err == nil && len(p.Value) == 3 {
				m.status = int(n)
			}
		}
	}
	m.fields = nil
}

func (m *message) keepBody(b []byte) int {
	if room := m.limit - len(m.body); len(b) > room {
		b = b[:max(0, room)]
		m.cutBody, m.keep = true, false
	}
	m.body = append(m.body, b...)
	return len(b)
}

// Method implements http.Message.
func (m *message) Method() []byte { return m.method }

// URL implements http.Message. CONNECT has no path.
func (m *message) URL() []byte {
	if len(m.url) == 0 && string(m.method) == "CONNECT" {
		return m.authority
	}
	return m.url
}

// Host implements http.Message.
func (m *message) Host() []byte {
	if len(m.authority) > 0 {
		return m.authority
	}
	return http.Find(m.fields, "host")
}

// Status implements http.Message.
func (m *message) Status() int { return m.status }

// Version implements http.Message.
func (m *message) Version() string { return "HTTP/2" }

// Headers implements http.Message.
func (m *message) Headers() []http.Pair { return m.fields }

// Trailers implements http.Message.
func (m *message) Trailers() []http.Pair { return m.trailers }

// HeadSize implements http.Message.
func (m *message) HeadSize() int { return m.block }

// BodySize implements http.Message.
func (m *message) BodySize() int64 { return m.size }

// exchange is a stream: the message of a call.
type exchange struct {
	req, resp message
	frames    http.Frames
	carries   carried.Call
	call      dissect.Call
	bodies    [2]dissect.Body
	opened    [2]bool // bodies are valid
	failed    bool    // the stream was reset for an error
	weight    int     // bytes that it holds
	tunnel    dissect.Parser
}

func (e *exchange) reset() {
	e.req.reset()
	e.resp.reset()
	e.carries.Reset()
	e.frames, e.failed, e.weight, e.tunnel = http.Frames{}, false, 0, nil
	if e.opened != [2]bool{} {
		e.bodies, e.opened = [2]dissect.Body{}, [2]bool{}
	}
}

// AppendSummary implements dissect.Message: "GET /cart", or "103" of a lone response. What is
// not known is a question mark.
func (e *exchange) AppendSummary(dst []byte) []byte {
	from := len(dst)
	if dst = e.carries.AppendSummary(dst); len(dst) > from {
		return dst
	}
	if !e.req.seen {
		return e.AppendStatus(dst)
	}
	dst = append(appendKnown(dst, e.req.method), ' ')
	return appendKnown(dst, e.req.URL())
}

func appendKnown(dst, b []byte) []byte {
	if len(b) == 0 {
		return append(dst, '?')
	}
	return append(dst, b...)
}

// AppendStatus implements dissect.Message.
func (e *exchange) AppendStatus(dst []byte) []byte {
	from := len(dst)
	if dst = e.carries.AppendStatus(dst); len(dst) > from {
		return dst
	}
	switch {
	case e.frames.Error != "" && !e.resp.done:
		return append(dst, e.frames.Error...)
	case e.resp.status != 0:
		return strconv.AppendInt(dst, int64(e.resp.status), 10)
	}
	return dst
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	return e.carries.AppendFields(http.AppendFields(dst, e))
}

// Body implements dissect.Message. It decodes at the first call.
func (e *exchange) Body(part int) *dissect.Body {
	m := &e.req
	if part == 1 {
		m = &e.resp
	}
	if !m.seen || !m.asked || m.size == 0 || part>>1 != 0 {
		return nil
	}
	b := &e.bodies[part]
	if !e.opened[part] {
		e.opened[part] = true
		http.Open(b, m, http.Kept{Data: m.body, Size: m.size, Cut: m.cutBody || m.incomplete, Limit: m.limit})
	}
	return b
}

// Request implements http.Call.
func (e *exchange) Request() http.Message {
	if !e.req.seen {
		return nil
	}
	return &e.req
}

// Response implements http.Call.
func (e *exchange) Response() http.Message {
	if !e.resp.seen {
		return nil
	}
	return &e.resp
}

// Frames tells what HTTP/2 alone has.
func (e *exchange) Frames() *http.Frames { return &e.frames }

// GRPC implements grpc.Carrier.
func (e *exchange) GRPC() *grpc.Call { return e.carries.GRPC() }

// GraphQL implements gql.Carrier.
func (e *exchange) GraphQL() *gql.Call { return e.carries.GraphQL() }
