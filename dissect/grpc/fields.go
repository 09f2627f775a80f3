package grpc

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "grpc_service", Kind: dissect.String, Help: "service with its package", Example: `"shop.Cart"`,
		Get: of(func(c *Call) any { return string(c.service) })},
	{Name: "grpc_method", Kind: dissect.String, Help: "last part of the path", Example: `"AddItem"`,
		Get: of(func(c *Call) any { return string(c.method) })},
	{Name: "grpc_request_messages", Kind: dissect.Int, Help: "messages that the client sent", Example: `1`,
		Get: of(func(c *Call) any { return c.side[0].told(c.side[0].n) })},
	{Name: "grpc_request_messages_size", Kind: dissect.Int, Help: "bytes of the client's messages, as they were sent", Example: `1000`,
		Get: of(func(c *Call) any { return c.side[0].told(c.side[0].size) })},
	{Name: "grpc_status", Kind: dissect.Int, Help: "status of the call, 0 OK", Example: `14`,
		Get: of(func(c *Call) any {
			if !c.known {
				return nil
			}
			return c.status
		})},
	{Name: "grpc_message", Kind: dissect.String, Help: "the status in words, percent-encoding undone", Example: `"not found"`,
		Get: of(func(c *Call) any { return string(c.message) })},
	{Name: "grpc_response_messages", Kind: dissect.Int, Help: "messages that the server sent", Example: `1`,
		Get: of(func(c *Call) any { return c.side[1].told(c.side[1].n) })},
	{Name: "grpc_response_messages_size", Kind: dissect.Int, Help: "bytes of the server's messages, as they were sent", Example: `1000`,
		Get: of(func(c *Call) any { return c.side[1].told(c.side[1].size) })},
}

// Carrier is an HTTP call that carries gRPC, if GRPC is not nil.
type Carrier interface{ GRPC() *Call }

func of(get func(*Call) any) func(*dissect.Call) any {
	return func(c *dissect.Call) any {
		if h, ok := c.Message.(Carrier); ok {
			if g := h.GRPC(); g != nil {
				return get(g)
			}
		}
		return nil
	}
}
