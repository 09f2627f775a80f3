// Package carried tells what is carried in an HTTP call: gRPC, GraphQL, or nothing but HTTP.
// Packages http1 and http2 show it each call as they read it, and hand the call out under the
// protocol that it names.
package carried

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/gql"
	"github.com/sshark/sshark/dissect/grpc"
	"github.com/sshark/sshark/dissect/http"
)

// Call is what one HTTP call carries. It is part of that call and is used again with it; the
// zero value carries nothing.
type Call struct {
	is      is
	decided bool // GraphQL: the request was read
	unsaid  bool // the request does not say what its body is
	rpc     *grpc.Call
	gql     *gql.Call
}

type is uint8

const (
	plain is = iota
	isGRPC
	isGraphQL
)

// Reset makes it the call of nothing; memory is kept.
func (c *Call) Reset() {
	c.is, c.decided, c.unsaid = plain, false, false
	if c.gql != nil {
		c.gql.Reset()
	}
}

// Request takes the head of the request.
func (c *Call) Request(m http.Message) {
	if method := m.Method(); string(method) == "POST" || len(method) == 0 {
		t := http.Header(m, "content-type")
		c.unsaid = len(t) == 0
		if grpc.Is(t) {
			c.begin(t)
			return
		}
	}
	if c.is != plain || !gql.May(m) {
		return
	}
	if c.gql == nil {
		c.gql = &gql.Call{}
	}
	if c.gql.Begin(m) {
		c.is = isGraphQL
	}
}

func (c *Call) begin(contentType []byte) {
	if c.rpc == nil {
		c.rpc = &grpc.Call{}
	}
	c.is = isGRPC
	c.rpc.Reset(contentType)
}

// Response takes the head of the response to req, which may be nil.
func (c *Call) Response(req, m http.Message) {
	if c.is == plain && (req == nil || c.unsaid) {
		if t := http.Header(m, "content-type"); grpc.Is(t) {
			c.begin(t)
		}
	}
	switch c.is {
	case isGRPC:
		c.rpc.Response(m)
	case isGraphQL:
		c.decide(req)
	}
}

// decide settles whether a request is GraphQL, now that its answer is there or will not come.
func (c *Call) decide(req http.Message) {
	if c.is == isGraphQL && !c.decided {
		c.decided = true
		if req == nil || !c.gql.Decide(req) {
			c.is = plain
		}
	}
}

// Trailers takes headers that stand behind the body of the response.
func (c *Call) Trailers(pairs []http.Pair) {
	if c.is == plain && len(http.Find(pairs, "grpc-status")) > 0 {
		c.begin(nil)
		c.Missing(0)
		c.Missing(1)
	}
	if c.is == isGRPC {
		c.rpc.Trailers(pairs)
	}
}

// Data takes bytes of the body of the request (0) or the response (1), as they were sent but
// without framing.
func (c *Call) Data(part int, b []byte) {
	switch c.is {
	case isGRPC:
		c.rpc.Data(part, b)
	case isGraphQL:
		c.gql.Data(part, b)
	}
}

// Missing says that bytes of a body are missing.
func (c *Call) Missing(part int) {
	switch c.is {
	case isGRPC:
		c.rpc.Missing(part)
	case isGraphQL:
		c.gql.Missing(part)
	}
}

// Late takes the head of a response that was read before its request, and its body with it.
func (c *Call) Late(m http.Message) {
	if c.is == isGRPC {
		c.rpc.Response(m)
		c.rpc.Missing(1)
	}
}

// Weight is how many bytes of the request it holds.
func (c *Call) Weight() int {
	if c.gql == nil {
		return 0
	}
	return c.gql.Weight()
}

// End completes a call that is about to be handed out: it names the protocol that was carried,
// if any, and marks what that calls an error.
func (c *Call) End(h http.Call, call *dissect.Call) {
	switch c.decide(h.Request()); c.is {
	case isGRPC:
		call.Protocol = grpc.Protocol()
		call.Error = c.rpc.End(h) || call.Error
	case isGraphQL:
		call.Protocol = gql.Protocol()
		call.Error = c.gql.End(h) || call.Error
	}
}

// GRPC is nil unless it is gRPC.
func (c *Call) GRPC() *grpc.Call {
	if c.is != isGRPC {
		return nil
	}
	return c.rpc
}

// GraphQL is nil unless it is GraphQL.
func (c *Call) GraphQL() *gql.Call {
	if c.is != isGraphQL {
		return nil
	}
	return c.gql
}

// AppendSummary appends what was asked for; nothing where HTTP says it best.
func (c *Call) AppendSummary(dst []byte) []byte {
	switch {
	case c.is == isGRPC && c.rpc.Told():
		return c.rpc.AppendSummary(dst)
	case c.is == isGraphQL && c.gql.Told():
		return c.gql.AppendSummary(dst)
	}
	return dst
}

// AppendStatus appends what came of it; nothing where HTTP says it best.
func (c *Call) AppendStatus(dst []byte) []byte {
	if c.is == isGRPC {
		return c.rpc.AppendStatus(dst)
	}
	return dst
}

// AppendFields appends `,"name":value` for each field that is known besides those of HTTP.
func (c *Call) AppendFields(dst []byte) []byte {
	switch c.is {
	case isGRPC:
		return c.rpc.AppendFields(dst)
	case isGraphQL:
		return c.gql.AppendFields(dst)
	}
	return dst
}
