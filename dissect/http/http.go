// Package http is what HTTP calls have in common, whichever version carried them (RFC 9110):
// what is read from their headers, their bodies with the content coding undone, and the fields
// of filters and JSON. Packages http1 and http2 read the wire and hand out calls of this kind.
//
// Nothing here keeps what it is given; it may be used by many goroutines with different calls.
package http

import (
	"bytes"
	"strconv"

	"github.com/sshark/sshark/dissect"
)

// Pair is a name and a value: a header, a cookie, a parameter of a query. Both are borrowed.
type Pair struct{ Name, Value []byte }

// MaxPairs bounds how many headers, cookies or query parameters of a message are told.
const MaxPairs = 256

// Message is a request or a response. What it returns is valid as long as its call; what is
// not known is empty.
type Message interface {
	Method() []byte  // of a request
	URL() []byte     // target of a request, as it was sent
	Host() []byte    // whom a request was for
	Status() int     // of a response
	Version() string // "HTTP/1.1", "HTTP/2"
	// Headers are at most MaxPairs, in the order in which they were sent.
	Headers() []Pair
	Trailers() []Pair
	HeadSize() int   // bytes of the head, or of the header block, on the wire
	BodySize() int64 // bytes of the body as sent, those that are missing too
}

// Call is a request and its response, or one of them.
type Call interface {
	dissect.Message
	Request() Message  // nil: there is none
	Response() Message // nil: there is none
}

// Frames is what is known of a call that HTTP/2 alone has.
type Frames struct {
	Stream  uint32
	Push    bool   // the server promised it without being asked
	Error   string // name of the error code that ended the stream, "" none
	Missing int    // header fields that stand in a part of the connection that was not seen
}

// framed is implemented by calls of HTTP/2.
type framed interface{ Frames() *Frames }

// Header is the first value of a header, whose name is given in lower case; nil if there is
// none.
func Header(m Message, name string) []byte { return Find(m.Headers(), name) }

// Find is the first value of a name, which is given in lower case.
func Find(pairs []Pair, name string) []byte {
	for i := range pairs {
		if EqualFold(pairs[i].Name, name) {
			return pairs[i].Value
		}
	}
	return nil
}

// EqualFold compares with a name in lower case.
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// AppendFields appends `,"name":value` for each field that is known.
func AppendFields(dst []byte, c Call) []byte {
	var mem [48]Pair
	if m := c.Request(); m != nil {
		if method := m.Method(); len(method) > 0 {
			dst = dissect.AppendBytes(dissect.AppendKey(dst, "method"), method)
		}
		url := m.URL()
		path, query := SplitURL(url)
		if len(url) > 0 {
			dst = dissect.AppendBytes(dissect.AppendKey(dst, "url"), url)
			dst = dissect.AppendBytes(dissect.AppendKey(dst, "path"), path)
		}
		if host := m.Host(); len(host) > 0 {
			dst = dissect.AppendBytes(dissect.AppendKey(dst, "host"), host)
		}
		dst = dissect.AppendString(dissect.AppendKey(dst, "http_version"), m.Version())
		if len(query) > 0 {
			dst = appendMap(dissect.AppendKey(dst, "query_string"), AppendQuery(mem[:0], query), queryKind)
		}
		headers := m.Headers()
		dst = appendMap(dissect.AppendKey(dst, "request.headers"), headers, headerKind)
		if has(headers, "cookie") {
			dst = appendMap(dissect.AppendKey(dst, "request.cookies"), appendCookies(mem[:0], headers), cookieKind)
		}
		if trailers := m.Trailers(); len(trailers) > 0 {
			dst = appendMap(dissect.AppendKey(dst, "request.trailers"), trailers, headerKind)
		}
		dst = strconv.AppendInt(dissect.AppendKey(dst, "request_headers_size"), int64(m.HeadSize()), 10)
		dst = strconv.AppendInt(dissect.AppendKey(dst, "request_body_size"), m.BodySize(), 10)
	}
	if m := c.Response(); m != nil {
		if status := m.Status(); status != 0 {
			dst = strconv.AppendInt(dissect.AppendKey(dst, "status_code"), int64(status), 10)
		}
		if c.Request() == nil {
			dst = dissect.AppendString(dissect.AppendKey(dst, "http_version"), m.Version())
		}
		headers := m.Headers()
		dst = appendMap(dissect.AppendKey(dst, "response.headers"), headers, headerKind)
		if has(headers, "set-cookie") {
			dst = appendMap(dissect.AppendKey(dst, "response.cookies"), appendSetCookies(mem[:0], headers), cookieKind)
		}
		if trailers := m.Trailers(); len(trailers) > 0 {
			dst = appendMap(dissect.AppendKey(dst, "response.trailers"), trailers, headerKind)
		}
		dst = strconv.AppendInt(dissect.AppendKey(dst, "response_headers_size"), int64(m.HeadSize()), 10)
		dst = strconv.AppendInt(dissect.AppendKey(dst, "response_body_size"), m.BodySize(), 10)
	}
	f, ok := c.(framed)
	if !ok {
		return dst
	}
	x := f.Frames()
	dst = strconv.AppendUint(dissect.AppendKey(dst, "http2_stream"), uint64(x.Stream), 10)
	if x.Push {
		dst = append(dissect.AppendKey(dst, "http2_push"), "true"...)
	}
	if x.Error != "" {
		dst = dissect.AppendString(dissect.AppendKey(dst, "http2_error"), x.Error)
	}
	if x.Missing > 0 {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "http2_missing_headers"), int64(x.Missing), 10)
	}
	return dst
}

// SplitURL returns path and query of a target, which may be absolute (RFC 9112, 3.2).
func SplitURL(url []byte) (path, query []byte) {
	if len(url) == 0 {
		return nil, nil
	}
	if url[0] != '/' {
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
