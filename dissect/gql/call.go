package gql

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/http"
)

// Limits of what is kept of one call.
const (
	maxBody = 64 << 10 // of each body that is read
	maxText = 4 << 10  // of a document, and of an error
	keep    = 16 << 10 // of a body's memory for the next call
)

// Call is what GraphQL says of one HTTP call. It belongs to that call and is used again with
// it.
type Call struct {
	state   state
	raw     bool      // the body is the document
	body    [2][]byte // of the request and the response
	size    [2]int64
	cut     [2]bool
	kind    string
	name    []byte
	root    []byte // the first field that is asked for, where the operation has no name
	failure []byte
	failed  bool
	doc     []byte // what kind, name and root were read from
}

type state uint8

const (
	none     state = iota
	possible       // as far as the head tells
	claimed
)

// May says whether the head of a request is one of GraphQL: its body, or what Begin reads of
// its target, tells the rest.
func May(m http.Message) bool {
	switch method := m.Method(); {
	case string(method) == "POST":
		t := http.Header(m, "content-type")
		return jsonType(t) || documentType(t)
	case string(method) == "GET":
		url := m.URL()
		i := bytes.IndexByte(url, '?')
		return i >= 0 && (bytes.Contains(url[i:], []byte("query=")) || bytes.Contains(url[i:], []byte("persistedQuery")))
	}
	return false
}

// Begin looks at the head of a request that May be GraphQL, and says whether it still may.
func (c *Call) Begin(m http.Message) bool {
	if string(m.Method()) == "GET" {
		c.target(m.URL())
	} else {
		c.state, c.raw = possible, documentType(http.Header(m, "content-type"))
	}
	return c.state != none
}

// Reset makes it the call of nothing; memory is kept.
func (c *Call) Reset() {
	body := c.body
	for i := range body {
		if body[i] = body[i][:0]; cap(body[i]) > keep {
			body[i] = nil
		}
	}
	*c = Call{body: body, failure: c.failure[:0], doc: c.doc[:0]}
}

// target reads the parameters of a GET.
func (c *Call) target(url []byte) {
	_, query := http.SplitURL(url)
	var mem [16]http.Pair
	params := http.AppendQuery(mem[:0], query)
	name, text := http.Find(params, "operationname"), http.Find(params, "query")
	c.doc = append(c.doc[:0], text[:min(len(text), maxText)]...)
	switch {
	case c.document(c.doc, name):
		c.state = claimed
	case len(text) == 0 && persisted(http.Find(params, "extensions")):
		c.state, c.kind, c.name = claimed, "query", name // what changes data is no GET
	}
}

// Weight is how many bytes of the request it holds.
func (c *Call) Weight() int { return len(c.body[0]) }

// Data takes bytes of the body of the request (0) or the response (1).
func (c *Call) Data(part int, b []byte) {
	c.size[part] += int64(len(b))
	if part == 1 && c.state != claimed {
		return
	}
	if c.cut[part] {
		return
	}
	if room := maxBody - len(c.body[part]); len(b) > room {
		b, c.cut[part] = b[:room], true
	}
	c.body[part] = append(c.body[part], b...)
}

// Missing says that bytes of a body are missing.
func (c *Call) Missing(part int) { c.cut[part] = true }

// Decide reads the request, of which there will be no more. It says whether the call is
// GraphQL.
func (c *Call) Decide(m http.Message) bool {
	if c.state != possible {
		return c.state == claimed
	}
	c.state = none
	b := c.open(m, 0)
	if c.raw {
		c.doc = append(c.doc[:0], b[:min(len(b), maxText)]...)
		if c.document(c.doc, nil) {
			c.state = claimed
		}
		return c.state == claimed
	}
	var query, name, extensions []byte
	members(b, func(object int, key, value []byte, quoted bool) {
		switch {
		case object > 0:
		case string(key) == "query" && quoted:
			query = value
		case string(key) == "operationName" && quoted:
			name = value
		case string(key) == "extensions" && !quoted:
			extensions = value
		}
	})
	c.doc = appendText(c.doc[:0], name, 256)
	n := len(c.doc)
	c.doc = appendText(c.doc, query, maxText)
	switch {
	case c.document(c.doc[n:], c.doc[:n]):
		c.state = claimed
	case len(query) == 0 && persisted(extensions):
		c.state, c.name = claimed, c.doc[:n]
	}
	return c.state == claimed
}

func persisted(extensions []byte) bool { return bytes.Contains(extensions, []byte(`"persistedQuery"`)) }

// open is a body with its content coding undone.
func (c *Call) open(m http.Message, part int) []byte {
	var body dissect.Body
	http.Open(&body, m, http.Kept{Data: c.body[part], Size: c.size[part], Cut: c.cut[part], Limit: maxBody})
	if body.Err != nil {
		return nil
	}
	return body.Data
}

// End reads the response, of which there will be no more, and says whether it holds errors.
func (c *Call) End(h http.Call) (failed bool) {
	m := h.Response()
	if m == nil || len(c.body[1]) == 0 {
		return false
	}
	members(c.open(m, 1), func(_ int, key, value []byte, _ bool) {
		if string(key) != "errors" || len(value) == 0 || value[0] != '[' {
			return
		}
		if rest := bytes.TrimLeft(value[1:], " \t\r\n"); len(rest) == 0 || rest[0] == ']' || c.failed {
			return
		}
		c.failed = true
		members(value, func(object int, key, value []byte, quoted bool) {
			if object == 0 && quoted && string(key) == "message" && len(c.failure) == 0 {
				c.failure = appendText(c.failure, value, maxText)
			}
		})
	})
	return c.failed
}

// AppendSummary appends "mutation AddItem", or "query { cart }" where the operation has no name.
func (c *Call) AppendSummary(dst []byte) []byte {
	dst = append(dst, c.kind...)
	switch {
	case len(c.name) > 0:
		if len(c.kind) > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, c.name...)
	case len(c.root) > 0:
		dst = append(dst, " { "...)
		dst = append(append(dst, c.root...), " }"...)
	}
	return dst
}

// Told says whether there is a summary.
func (c *Call) Told() bool { return len(c.kind)+len(c.name) > 0 }

// AppendFields appends `,"name":value` for each field that is known.
func (c *Call) AppendFields(dst []byte) []byte {
	if len(c.name) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "gql_operation"), c.name)
	}
	if c.kind != "" {
		dst = dissect.AppendString(dissect.AppendKey(dst, "gql_type"), c.kind)
	}
	if len(c.failure) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "gql_error"), c.failure)
	}
	return dst
}
