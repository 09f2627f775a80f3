package http1

import (
	"bytes"
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/carried"
	"github.com/sshark/sshark/dissect/gql"
	"github.com/sshark/sshark/dissect/grpc"
	"github.com/sshark/sshark/dissect/http"
)

// message is a request or a response.
type message struct {
	start      start
	seen       bool // there is one
	done       bool // its end was seen
	incomplete bool
	borrowed   bool // head is not ours
	asked      bool // the body is wanted,
	keep       bool // and still being kept
	cut        bool // body is not all of it
	limit      int  // of body
	head       []byte
	mem        []byte // where head is kept
	body       []byte // as sent, without chunk framing
	size       int64  // of the body, with what is missing
	wire       uint64
	headers    []http.Pair // of head, once they were asked for
	listed     bool
	first      int64 // times
	last       int64
}

// begin takes the head, which is borrowed.
func (m *message) begin(h *half, head []byte, first, now int64) {
	m.start, m.head, m.borrowed, m.seen = h.start, head, true, true
	m.first, m.last, m.wire = first, now, uint64(len(head))
	m.incomplete = h.framing.cut
}

// own copies what is borrowed.
func (m *message) own() {
	if m.borrowed {
		m.mem = append(m.mem[:0], m.head...)
		m.head, m.borrowed, m.listed = m.mem, false, false
	}
}

func (m *message) keepBody(b []byte) {
	if room := m.limit - len(m.body); len(b) > room {
		b = b[:max(0, room)]
		m.cut, m.keep = true, false
	}
	m.body = append(m.body, b...)
}

// Memory that is larger than this is not kept for the next message.
const (
	keepHead    = 16 << 10
	keepBody    = 64 << 10
	keepHeaders = 64
)

func (m *message) reset() {
	mem, body, headers := m.mem[:0], m.body[:0], m.headers[:0]
	if cap(mem) > keepHead {
		mem = nil
	}
	if cap(body) > keepBody {
		body = nil
	}
	if cap(headers) > keepHeaders {
		headers = nil
	}
	*m = message{mem: mem, body: body, headers: headers}
}

// part is 0 for a request and 1 for a response.
func (m *message) part() int {
	if m.start.request {
		return 0
	}
	return 1
}

// Method implements http.Message.
func (m *message) Method() []byte { return m.head[:m.start.methodEnd] }

// URL implements http.Message.
func (m *message) URL() []byte { return m.head[m.start.urlStart:m.start.urlEnd] }

// Status implements http.Message.
func (m *message) Status() int { return int(m.start.status) }

// HeadSize implements http.Message.
func (m *message) HeadSize() int { return len(m.head) }

// BodySize implements http.Message.
func (m *message) BodySize() int64 { return m.size }

// Trailers implements http.Message: those of a chunked body are not kept.
func (m *message) Trailers() []http.Pair { return nil }

// Headers implements http.Message.
func (m *message) Headers() []http.Pair {
	if !m.listed {
		m.headers, m.listed = m.appendHeaders(m.headers[:0]), true
	}
	return m.headers
}

// reason is the text behind the status.
func (m *message) reason() []byte {
	line := m.head
	if m.start.end > 0 {
		line = line[:m.start.end-1]
	}
	line = http.Trim(line[min(len(line), 9):])
	return http.Trim(line[min(len(line), 3):])
}

// exchange is a request and its response, or one of them: the message of a call.
type exchange struct {
	req, resp message
	carries   carried.Call
	call      dissect.Call
	bodies    [2]dissect.Body
	opened    [2]bool // bodies are valid
}

func (e *exchange) reset() {
	e.req.reset()
	e.resp.reset()
	e.carries.Reset()
	if e.opened != [2]bool{} {
		e.bodies, e.opened = [2]dissect.Body{}, [2]bool{}
	}
}

// weight is how much memory its request holds.
func (e *exchange) weight() int { return len(e.req.mem) + len(e.req.body) + e.carries.Weight() }

// AppendSummary implements dissect.Message: "GET /cart", or "100 Continue" of a lone response.
func (e *exchange) AppendSummary(dst []byte) []byte {
	from := len(dst)
	if dst = e.carries.AppendSummary(dst); len(dst) > from {
		return dst
	}
	if e.req.seen {
		dst = append(append(dst, e.req.Method()...), ' ')
		return append(dst, e.req.URL()...)
	}
	dst = e.AppendStatus(dst)
	if r := e.resp.reason(); len(r) > 0 {
		dst = append(append(dst, ' '), r...)
	}
	return dst
}

// AppendStatus implements dissect.Message.
func (e *exchange) AppendStatus(dst []byte) []byte {
	from := len(dst)
	if dst = e.carries.AppendStatus(dst); !e.resp.seen || len(dst) > from {
		return dst
	}
	return strconv.AppendInt(dst, int64(e.resp.start.status), 10)
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
		http.Open(b, m, http.Kept{Data: m.body, Size: m.size, Cut: m.cut || m.incomplete, Limit: m.limit})
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

// GRPC implements grpc.Carrier, for gRPC-Web.
func (e *exchange) GRPC() *grpc.Call { return e.carries.GRPC() }

// GraphQL implements gql.Carrier.
func (e *exchange) GraphQL() *gql.Call { return e.carries.GraphQL() }

// Version implements http.Message: "HTTP/1.1".
func (m *message) Version() string {
	switch m.start.minor {
	case 0:
		return "HTTP/1.0"
	case 1:
		return "HTTP/1.1"
	}
	return version + strconv.Itoa(int(m.start.minor))
}

// Host implements http.Message: the Host header, else the target's authority.
func (m *message) Host() []byte {
	if h := m.header("host"); len(h) > 0 {
		return h
	}
	url := m.URL()
	if i := bytes.Index(url, []byte("://")); i > 0 && url[0] != '/' {
		url = url[i+3:]
		if i := bytes.IndexAny(url, "/?#"); i >= 0 {
			url = url[:i]
		}
		return url
	}
	if string(m.Method()) == "CONNECT" {
		return url
	}
	return nil
}
