// Package gql tells which HTTP calls are GraphQL, and what they ask for (GraphQL specification,
// October 2021, and "GraphQL over HTTP"): the type and the name of the operation, and whether
// the answer holds errors, which it may do with status 200.
//
// It claims no flow: packages http1 and http2 show a Call the headers and bodies, and hand the
// call out under this protocol if it is one. A call is GraphQL if its JSON body has a member
// query that is a GraphQL document, or names a persisted one; if its body is of type
// application/graphql; or if it is a GET whose parameter query is such a document. A text to
// search for, or the query object of another API, is none. Of a batch, the first operation is
// told.
//
// What cannot be known: what stands beyond the first 64 KiB of a body, and operations of a
// WebSocket.
package gql

import (
	"bytes"
	"slices"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/http"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes GraphQL. It has the fields of HTTP, too.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "gql",
	Title:     "GraphQL",
	Transport: []flow.Proto{flow.TCP},
	Detect:    func(*dissect.Probe) dissect.Verdict { return dissect.No },
	New:       func(*dissect.Flow, dissect.Sink) dissect.Parser { return nobody{} },
	Fields:    slices.Concat(http.Fields, fields),
}

// nobody is the parser of flows that are GraphQL without HTTP: there are none.
type nobody struct{}

func (nobody) Data(flow.Dir, []byte, dissect.Stamp) error { return dissect.ErrNotMine }
func (nobody) Gap(flow.Dir, int64, dissect.Stamp) error   { return nil }
func (nobody) Close(dissect.Stamp)                        {}

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "gql_operation", Kind: dissect.String, Help: "name of the operation", Example: `"Cart"`,
		Get: of(func(c *Call) any { return string(c.name) })},
	{Name: "gql_type", Kind: dissect.String, Help: "query, mutation or subscription", Example: `"mutation"`,
		Get: of(func(c *Call) any { return c.kind })},
	{Name: "gql_error", Kind: dissect.String, Help: "the first error of the answer, in words", Example: `"no such field"`,
		Get: of(func(c *Call) any { return string(c.failure) })},
}

// Carrier is an HTTP call that carries GraphQL, if GraphQL is not nil.
type Carrier interface{ GraphQL() *Call }

func of(get func(*Call) any) func(*dissect.Call) any {
	return func(c *dissect.Call) any {
		if h, ok := c.Message.(Carrier); ok {
			if g := h.GraphQL(); g != nil {
				return get(g)
			}
		}
		return nil
	}
}

// jsonType says whether a content type is JSON, documentType whether it is a GraphQL document.
func jsonType(contentType []byte) bool {
	t := mediaType(contentType)
	const prefix, suffix = "application/", "+json"
	return http.EqualFold(t, "application/json") || len(t) > len(prefix)+len(suffix) &&
		http.EqualFold(t[:len(prefix)], prefix) && http.EqualFold(t[len(t)-len(suffix):], suffix)
}

func documentType(contentType []byte) bool {
	return http.EqualFold(mediaType(contentType), "application/graphql")
}

// mediaType is a content type without its parameters.
func mediaType(contentType []byte) []byte {
	t, _, _ := bytes.Cut(contentType, []byte{';'})
	return http.Trim(t)
}
