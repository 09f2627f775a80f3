package http1

import (
	"bytes"
	"strconv"

	"github.com/sshark/sshark/dissect"
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
		m.head, m.borrowed = m.mem, false
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
	keepHead = 16 << 10
	keepBody = 64 << 10
)

func (m *message) reset() {
	mem, body := m.mem[:0], m.body[:0]
	if cap(mem) > keepHead {
		mem = nil
	}
	if cap(body) > keepBody {
		body = nil
	}
	*m = message{mem: mem, body: body}
}

func (m *message) method() []byte { return m.head[:m.start.methodEnd] }
func (m *message) url() []byte    { return m.head[m.start.urlStart:m.start.urlEnd] }

// reason is the text behind the status.
func (m *message) reason() []byte {
	line := m.head
	if m.start.end > 0 {
		line = line[:m.start.end-1]
	}
	line = trim(line[min(len(line), 9):])
	return trim(line[min(len(line), 3):])
}

// exchange is a request and its response, or one of them: the message of a call.
type exchange struct {
	req, resp message
	call      dissect.Call
	bodies    [2]dissect.Body
	opened    [2]bool // bodies are valid
}

func (e *exchange) reset() {
	e.req.reset()
	e.resp.reset()
	if e.opened != [2]bool{} {
		e.bodies, e.opened = [2]dissect.Body{}, [2]bool{}
	}
}

// weight is how much memory its request holds.
func (e *exchange) weight() int { return len(e.req.mem) + len(e.req.body) }

// AppendSummary implements dissect.Message: "GET /cart", or "100 Continue" of a lone response.
func (e *exchange) AppendSummary(dst []byte) []byte {
	if e.req.seen {
		dst = append(append(dst, e.req.method()...), ' ')
		return append(dst, e.req.url()...)
	}
	dst = e.AppendStatus(dst)
	if r := e.resp.reason(); len(r) > 0 {
		dst = append(append(dst, ' '), r...)
	}
	return dst
}

// AppendStatus implements dissect.Message.
func (e *exchange) AppendStatus(dst []byte) []byte {
	if !e.resp.seen {
		return dst
	}
	return strconv.AppendInt(dst, int64(e.resp.start.status), 10)
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	var mem [48]pair
	if m := &e.req; m.seen {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "method"), m.method())
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "url"), m.url())
		path, query := splitURL(m.url())
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "path"), path)
		if host := m.host(); len(host) > 0 {
			dst = dissect.AppendBytes(dissect.AppendKey(dst, "host"), host)
		}
		dst = dissect.AppendString(dissect.AppendKey(dst, "http_version"), m.version())
		if len(query) > 0 {
			dst = appendMap(dissect.AppendKey(dst, "query_string"), appendQuery(mem[:0], query), queryKind)
		}
		headers := m.appendHeaders(mem[:0])
		dst = appendMap(dissect.AppendKey(dst, "request.headers"), headers, headerKind)
		if has(headers, "cookie") {
			dst = appendMap(dissect.AppendKey(dst, "request.cookies"), m.appendCookies(mem[:0]), cookieKind)
		}
		dst = strconv.AppendInt(dissect.AppendKey(dst, "request_headers_size"), int64(len(m.head)), 10)
		dst = strconv.AppendInt(dissect.AppendKey(dst, "request_body_size"), m.size, 10)
	}
	if m := &e.resp; m.seen {
		dst = e.AppendStatus(dissect.AppendKey(dst, "status_code"))
		if !e.req.seen {
			dst = dissect.AppendString(dissect.AppendKey(dst, "http_version"), m.version())
		}
		headers := m.appendHeaders(mem[:0])
		dst = appendMap(dissect.AppendKey(dst, "response.headers"), headers, headerKind)
		if has(headers, "set-cookie") {
			dst = appendMap(dissect.AppendKey(dst, "response.cookies"), m.appendSetCookies(mem[:0]), cookieKind)
		}
		dst = strconv.AppendInt(dissect.AppendKey(dst, "response_headers_size"), int64(len(m.head)), 10)
		dst = strconv.AppendInt(dissect.AppendKey(dst, "response_body_size"), m.size, 10)
	}
	return dst
}

// version is that of the message: "HTTP/1.1".
func (m *message) version() string {
	switch m.start.minor {
	case 0:
		return "HTTP/1.0"
	case 1:
		return "HTTP/1.1"
	}
	return version + strconv.Itoa(int(m.start.minor))
}

// host is who the request was for: the Host header, else the target's authority.
func (m *message) host() []byte {
	if h := m.header("host"); len(h) > 0 {
		return h
	}
	url := m.url()
	if i := bytes.Index(url, []byte("://")); i > 0 && url[0] != '/' {
		url = url[i+3:]
		if i := bytes.IndexAny(url, "/?#"); i >= 0 {
			url = url[:i]
		}
		return url
	}
	if string(m.method()) == "CONNECT" {
		return url
	}
	return nil
}

// splitURL returns path and query of a target, which may be absolute (RFC 9112, 3.2).
func splitURL(url []byte) (path, query []byte) {
	if len(url) > 0 && url[0] != '/' {
		i := bytes.Index(url, []byte("://"))
		if i < 0 {
			if string(url) == "*" {
				return url, nil
			}
			return nil, nil // of CONNECT
		}
		url = url[i+3:]
		if i = bytes.IndexAny(url, "/?#"); i < 0 {
			return []byte("/"), nil
		}
		url = url[i:]
	}
	if i := bytes.IndexByte(url, '#'); i >= 0 {
		url = url[:i]
	}
	path = url
	if i := bytes.IndexByte(url, '?'); i >= 0 {
		path, query = url[:i], url[i+1:]
	}
	if len(path) == 0 {
		path = []byte("/")
	}
	return path, query
}
