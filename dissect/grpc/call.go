package grpc

import (
	"bytes"
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/http"
)

// Call is what gRPC says of one HTTP call. It belongs to that call and is used again with it.
type Call struct {
	side    [2]messages // of the request and the response
	known   bool        // there is a status
	status  int64
	message []byte
	method  []byte // of the request's path; borrowed from the request
	service []byte
}

// maxMessage is how much of grpc-message is kept.
const maxMessage = 4 << 10

// Reset makes it the call of a request or response with that content type.
func (c *Call) Reset(contentType []byte) {
	c.side[0].reset(contentType)
	c.side[1].reset(contentType)
	c.known, c.status, c.message, c.method, c.service = false, 0, c.message[:0], nil, nil
}

// Response takes the headers of the response, which may be all that there is of it.
func (c *Call) Response(m http.Message) {
	headers := m.Headers()
	if t := http.Find(headers, "content-type"); len(t) > 0 && Is(t) {
		c.side[1].reset(t)
	}
	c.Trailers(headers)
}

// Trailers takes headers that may hold the status.
func (c *Call) Trailers(pairs []http.Pair) {
	for i := range pairs {
		c.trailer(pairs[i].Name, pairs[i].Value)
	}
}

func (c *Call) trailer(name, value []byte) {
	switch {
	case http.EqualFold(name, "grpc-status"):
		if n, err := strconv.ParseUint(string(value), 10, 31); err == nil {
			c.known, c.status = true, int64(n)
		}
	case http.EqualFold(name, "grpc-message"):
		c.message = http.AppendUnescaped(c.message[:0], value[:min(len(value), maxMessage)], false)
	}
}

// Data takes bytes of the body of the request (0) or the response (1).
func (c *Call) Data(part int, b []byte) { c.side[part].data(b) }

// Missing says that bytes of a body are missing: what follows them cannot be counted.
func (c *Call) Missing(part int) { c.side[part].broken = true }

// End takes what the finished call holds, and says whether it failed.
func (c *Call) End(h http.Call) (failed bool) {
	if m := h.Request(); m != nil {
		path, _ := http.SplitURL(m.URL())
		c.service, c.method = split(path)
	}
	for rest := c.bodyTrailers(h.Response()); len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		if name, value, ok := bytes.Cut(line, []byte{':'}); ok {
			c.trailer(http.Trim(name), http.Trim(value))
		}
	}
	return c.known && c.status != 0
}

// bodyTrailers are the trailers of gRPC-Web.
func (c *Call) bodyTrailers(m http.Message) []byte {
	s := &c.side[1]
	if !s.packed || m == nil {
		return s.trailers
	}
	coding := string(http.AppendLower(nil, http.Header(m, "grpc-encoding")))
	plain, _, err := http.Decode(s.trailers, []string{coding}, maxTrailers)
	if err != nil {
		return nil
	}
	return plain
}

// AppendSummary appends "package.Service/Method".
func (c *Call) AppendSummary(dst []byte) []byte {
	dst = append(append(dst, c.service...), '/')
	return append(dst, c.method...)
}

// Told says whether there is a summary.
func (c *Call) Told() bool { return len(c.method) > 0 }

// AppendStatus appends the name of the status, "" where there is none.
func (c *Call) AppendStatus(dst []byte) []byte {
	switch {
	case !c.known:
		return dst
	case c.status < int64(len(codes)):
		return append(dst, codes[c.status]...)
	}
	return strconv.AppendInt(dst, c.status, 10)
}

// codes are the names of the status codes (grpc.io, statuscodes.md).
var codes = [...]string{"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL",
	"UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}

// AppendFields appends `,"name":value` for each field that is known.
func (c *Call) AppendFields(dst []byte) []byte {
	if len(c.method) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "grpc_service"), c.service)
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "grpc_method"), c.method)
	}
	dst = appendCount(dst, "grpc_request_messages", c.side[0].told(c.side[0].n))
	dst = appendCount(dst, "grpc_request_messages_size", c.side[0].told(c.side[0].size))
	if c.known {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "grpc_status"), c.status, 10)
	}
	if len(c.message) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "grpc_message"), c.message)
	}
	dst = appendCount(dst, "grpc_response_messages", c.side[1].told(c.side[1].n))
	return appendCount(dst, "grpc_response_messages_size", c.side[1].told(c.side[1].size))
}

// told is a count of messages, nil: nothing was seen, or could be read, of them.
func (m *messages) told(n int64) any {
	if m.broken && m.n == 0 {
		return nil
	}
	return n
}

func appendCount(dst []byte, name string, n any) []byte {
	if n, ok := n.(int64); ok {
		return strconv.AppendInt(dissect.AppendKey(dst, name), n, 10)
	}
	return dst
}
