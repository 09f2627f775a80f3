// Package ws dissects WebSocket (RFC 6455) behind the handshake of HTTP/1, and in a stream of
// HTTP/2 (RFC 8441). It claims no flow by itself: frames say too little to be told from other
// bytes, so http1 and http2 hand the stream over.
//
// A call is one message, lone, of the side that sent it; the server's are reversed. Fragments
// are joined; control frames are messages of their own, also between fragments. Masks are
// undone, and so is permessage-deflate (RFC 7692) if bodies are wanted: its window is kept from
// message to message as a sender may refer to it, whatever was agreed.
//
// Where bytes are missing inside of a payload the stream stays in step. Elsewhere the next
// frames are looked for at the beginning of a segment, and believed when several follow each
// other to the end of one; a message that began before is left out. What was compressed behind
// a hole may refer to what is missing and is then shown as it came, with the reason.
//
// A parser belongs to one flow and one goroutine.
package ws

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes WebSocket.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "ws",
	Title:     "WebSocket",
	Transport: []flow.Proto{flow.TCP},
	Detect:    func(*dissect.Probe) dissect.Verdict { return dissect.No },
	New:       func(_ *dissect.Flow, sink dissect.Sink) dissect.Parser { return newParser(sink) },
	FromStart: true,
	Fields:    fields,
}

// self is what calls are of; it refers to nothing that makes them.
var self = &dissect.Protocol{Name: "ws", Title: "WebSocket", Transport: []flow.Proto{flow.TCP}, Fields: fields}

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "ws_opcode", Kind: dissect.String, Help: "kind of the message: text, binary, close, ping, pong", Example: `"text"`,
		Get: dissect.Of(func(m *message) any { return m.opcode.String() })},
	{Name: "ws_size", Kind: dissect.Int, Help: "bytes of the payload as it was sent", Example: `1000`,
		Get: dissect.Of(func(m *message) any { return m.size })},
	{Name: "ws_compressed", Kind: dissect.Bool, Help: "it was sent compressed", Example: `true`,
		Get: dissect.Of(func(m *message) any { return m.compressed })},
	{Name: "ws_close_code", Kind: dissect.Int, Help: "why the connection is closed", Example: `1000`,
		Get: dissect.Of(func(m *message) any {
			if code, _ := m.closing(); code != 0 {
				return int64(code)
			}
			return nil
		})},
	{Name: "ws_request_payload_data", Kind: dissect.String, Help: "payload of the client's message, decoded; \"\" unless bodies are read", Example: `"ping"`,
		Get: func(c *dissect.Call) any {
			m, ok := c.Message.(*message)
			if !ok || c.Reverse {
				return nil
			}
			if b := m.Body(0); b != nil {
				return string(b.Data)
			}
			return nil
		}},
}

// opcode is the kind of a frame (RFC 6455, 11.8).
type opcode uint8

const (
	opContinuation opcode = 0
	opText         opcode = 1
	opBinary       opcode = 2
	opClose        opcode = 8
	opPing         opcode = 9
	opPong         opcode = 10
)

func (o opcode) control() bool { return o&8 != 0 }

func (o opcode) known() bool { return o <= opBinary || o >= opClose && o <= opPong }

// String is the word of JSON and filters.
func (o opcode) String() string {
	switch o {
	case opText:
		return "text"
	case opBinary:
		return "binary"
	case opClose:
		return "close"
	case opPing:
		return "ping"
	case opPong:
		return "pong"
	}
	return strconv.Itoa(int(o))
}
