// Package grpc tells of HTTP calls what gRPC makes of them: service, method, status, and how
// many messages of which size went each way, of unary calls and streams. It knows gRPC over
// HTTP/2 (the protocol document of grpc.io, PROTOCOL-HTTP2.md) and gRPC-Web over either HTTP
// (PROTOCOL-WEB.md), in its binary form and as base64 text, whose trailers stand in the body.
//
// It claims no flow: packages http1 and http2 find a call by its content type, let a Call see
// the headers and bodies, and hand the call out under this protocol. What messages hold is not
// read; their bytes are the body.
//
// A status that was not sent is not made up: without it the call ended early, or its end was
// not seen.
package grpc

import (
	"bytes"
	"slices"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/http"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes gRPC. It has the fields of HTTP, too.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "grpc",
	Title:     "gRPC",
	Transport: []flow.Proto{flow.TCP},
	Detect:    func(*dissect.Probe) dissect.Verdict { return dissect.No },
	New:       func(*dissect.Flow, dissect.Sink) dissect.Parser { return nobody{} },
	Fields:    slices.Concat(http.Fields, fields),
}

// nobody is the parser of flows that are gRPC without HTTP: there are none.
type nobody struct{}

func (nobody) Data(flow.Dir, []byte, dissect.Stamp) error { return dissect.ErrNotMine }
func (nobody) Gap(flow.Dir, int64, dissect.Stamp) error   { return nil }
func (nobody) Close(dissect.Stamp)                        {}

// Is says whether a content type is one of gRPC.
func Is(contentType []byte) bool {
	const prefix = "application/grpc"
	if len(contentType) < len(prefix) || !http.EqualFold(contentType[:len(prefix)], prefix) {
		return false
	}
	rest := contentType[len(prefix):]
	return len(rest) == 0 || rest[0] == '+' || rest[0] == ';' || rest[0] == ' ' || web(contentType)
}

// web says whether it is gRPC-Web, text whether that is sent as base64.
func web(contentType []byte) bool  { return begins(contentType, "application/grpc-web") }
func text(contentType []byte) bool { return begins(contentType, "application/grpc-web-text") }

func begins(b []byte, lower string) bool {
	return len(b) >= len(lower) && http.EqualFold(b[:len(lower)], lower)
}

// split returns service and method of a path: "/package.Service/Method".
func split(path []byte) (service, method []byte) {
	i := bytes.LastIndexByte(path, '/')
	if i < 0 || len(path) == 0 || path[0] != '/' {
		return nil, nil
	}
	return path[min(1, i):i], path[i+1:]
}
