package redis

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "redis_command", Kind: dissect.String, Help: "command, in upper case", Example: `"GET"`, Get: dissect.Of(getCommand)},
	{Name: "redis_type", Kind: dissect.String, Help: "command, in upper case", Example: `"GET"`, Get: dissect.Of(getCommand)},
	{Name: "redis_push", Kind: dissect.String, Help: "what the server sent unasked: message, invalidate, monitor", Example: `"message"`,
		Get: dissect.Of(func(e *exchange) any {
			if !e.unasked {
				return nil
			}
			return string(e.pushed())
		})},
	{Name: "redis_key", Kind: dissect.String, Help: "first key, or channel", Example: `"session:1"`, Get: dissect.Of(func(e *exchange) any { return optional(e.key()) })},
	{Name: "redis_error", Kind: dissect.String, Help: "error in words; of EXEC the first one within", Example: `"ERR unknown command"`,
		Get: dissect.Of(func(e *exchange) any { return optional(e.failure()) })},
	{Name: "redis_request_size", Kind: dissect.Int, Help: "bytes of the command", Example: "64", Get: dissect.Of(func(e *exchange) any { return int64(e.reqSize) })},
	{Name: "redis_response_size", Kind: dissect.Int, Help: "bytes of the reply, or of the push", Example: "1024", Get: dissect.Of(func(e *exchange) any { return int64(e.size) })},
	{Name: "redis_total_size", Kind: dissect.Int, Help: "bytes of command and reply", Example: "1024", Get: dissect.Of(func(e *exchange) any { return int64(e.reqSize + e.size) })},
}

func optional(b []byte) any {
	if b == nil {
		return nil
	}
	return string(b)
}

// boxed are common commands: filters ask for the command at every call.
var boxed = func() map[string]any {
	m := map[string]any{}
	for name := range places {
		m[name] = name
	}
	return m
}()

func getCommand(e *exchange) any {
	if !e.asked {
		return nil
	}
	var mem [maxName]byte
	name := e.name(&mem)
	if v, ok := boxed[string(name)]; ok {
		return v
	}
	return string(name)
}
