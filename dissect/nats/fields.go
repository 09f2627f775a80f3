package nats

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "nats_op", Kind: dissect.String, Help: "operation, in upper case: PUB, MSG, SUB, -ERR", Example: `"PUB"`, Get: dissect.Of(func(m *message) any { return boxed[m.op] })},
	{Name: "nats_subject", Kind: dissect.String, Help: "subject of a message or a subscription", Example: `"orders.new"`, Get: dissect.Of(func(m *message) any { return known(m.subject) })},
	{Name: "nats_reply", Kind: dissect.String, Help: "subject that an answer shall go to", Example: `"_INBOX.7"`, Get: dissect.Of(func(m *message) any { return known(m.reply) })},
	{Name: "nats_queue", Kind: dissect.String, Help: "queue group of a subscription", Example: `"workers"`, Get: dissect.Of(func(m *message) any { return known(m.queue) })},
	{Name: "nats_sid", Kind: dissect.String, Help: "subscription, as the client numbers it", Example: `"9"`, Get: dissect.Of(func(m *message) any { return known(m.sid) })},
	{Name: "nats_name", Kind: dissect.String, Help: "name of the client (CONNECT) or the server (INFO)", Example: `"cart"`, Get: dissect.Of(func(m *message) any { return known(m.name()) })},
	{Name: "nats_size", Kind: dissect.Int, Help: "bytes of the payload, without headers", Example: "64",
		Get: dissect.Of(func(m *message) any {
			if m.line.payload < 0 {
				return nil
			}
			return m.payloadSize()
		})},
	{Name: "nats_headers", Kind: dissect.Map, Help: "headers of a message", Example: `"Nats-Msg-Id"`,
		Get: dissect.Of(func(m *message) any {
			if m.header == 0 {
				return nil
			}
			all := map[string]string{}
			m.eachHeader(func(key, value []byte) { all[string(key)] = string(value) })
			return all
		})},
	{Name: "nats_status", Kind: dissect.Int, Help: "status among the headers: 503 where nobody answers", Example: "503",
		Get: dissect.Of(func(m *message) any {
			if s := m.status(); s > 0 {
				return s
			}
			return nil
		})},
	{Name: "nats_error", Kind: dissect.String, Help: "what -ERR says", Example: `"Stale Connection"`, Get: dissect.Of(func(m *message) any { return known(m.failure()) })},
}

// boxed are the names of the operations: filters ask for them at every call.
var boxed = func() map[*op]any {
	m := map[*op]any{}
	for _, o := range ops {
		m[o] = o.name
	}
	return m
}()

func known(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return string(b)
}
