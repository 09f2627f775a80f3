package amqp

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "amqp_method", Kind: dissect.String, Help: "method, with its class", Example: `"basic.publish"`,
		Get: dissect.Of(func(e *exchange) any { return boxed[e.method] })},
	{Name: "amqp_summary", Kind: dissect.String, Help: "method and what it is about", Example: `"queue.declare mail"`,
		Get: dissect.Of(func(e *exchange) any { return string(e.AppendSummary(nil)) })},
	{Name: "amqp_request", Kind: dissect.Bool, Help: "the method asks, or tells", Example: "true",
		Get: dissect.Of(func(e *exchange) any { return !e.method.reply })},
	{Name: "amqp_response", Kind: dissect.Bool, Help: "the method answers another", Example: "true",
		Get: dissect.Of(func(e *exchange) any { return e.method.reply })},
	{Name: "amqp_channel", Kind: dissect.Int, Help: "channel, 0 for the connection", Example: "1",
		Get: dissect.Of(func(e *exchange) any { return int64(e.channel) })},
	{Name: "amqp_exchange", Kind: dissect.String, Help: "exchange; of exchange.bind the destination", Example: `"shop"`, Get: text('E')},
	{Name: "amqp_routing_key", Kind: dissect.String, Help: "routing key", Example: `"order.created"`, Get: text('R')},
	{Name: "amqp_queue", Kind: dissect.String, Help: "queue", Example: `"mail"`, Get: text('Q')},
	{Name: "amqp_consumer_tag", Kind: dissect.String, Help: "name of a consumer", Example: `"mailer-1"`, Get: text('T')},
	{Name: "amqp_virtual_host", Kind: dissect.String, Help: "virtual host that a connection opens", Example: `"/"`, Get: text('V')},
	{Name: "amqp_reply_text", Kind: dissect.String, Help: "why a channel or connection is closed, or a message returned", Example: `"NO_ROUTE"`, Get: text('X')},
	{Name: "amqp_reply_code", Kind: dissect.Int, Help: "the same as a number", Example: "404",
		Get: dissect.Of(func(e *exchange) any {
			if c := e.code(); c != 0 {
				return int64(c)
			}
			return nil
		})},
	{Name: "amqp_content_type", Kind: dissect.String, Help: "media type of the content", Example: `"application/json"`,
		Get: dissect.Of(func(e *exchange) any {
			if e.kind == 0 {
				return nil
			}
			return string(e.mem[e.kind:])
		})},
	{Name: "amqp_body_size", Kind: dissect.Int, Help: "bytes of the content", Example: "1024",
		Get: dissect.Of(func(e *exchange) any {
			if !e.headed {
				return nil
			}
			return e.bodySize
		})},
	{Name: "amqp_request_length", Kind: dissect.Int, Help: "bytes of a method that asks, with its content", Example: "64",
		Get: dissect.Of(func(e *exchange) any {
			if e.method.reply {
				return nil
			}
			return e.size
		})},
	{Name: "amqp_response_length", Kind: dissect.Int, Help: "bytes of a method that answers, with its content", Example: "64",
		Get: dissect.Of(func(e *exchange) any {
			if !e.method.reply {
				return nil
			}
			return e.size
		})},
	{Name: "amqp_total_size", Kind: dissect.Int, Help: "bytes of the method, with its content", Example: "64",
		Get: dissect.Of(func(e *exchange) any { return e.size })},
}

// text reads an argument.
func text(kind byte) func(*dissect.Call) any {
	return dissect.Of(func(e *exchange) any {
		if arg := e.method.arg(e.args, kind); arg != nil {
			return string(arg)
		}
		return nil
	})
}

// boxed are the methods' names: filters ask for them at every call.
var boxed = func() map[*method]any {
	m := map[*method]any{&refusal: refusal.name}
	for i := range methods {
		m[&methods[i]] = methods[i].name
	}
	return m
}()
