package memcached

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "memcached_command", Kind: dissect.String, Help: "command, as in the text protocol", Example: `"get"`, Get: dissect.Of(func(e *exchange) any { return text(e.command()) })},
	{Name: "memcached_key", Kind: dissect.String, Help: "first key", Example: `"session:1"`, Get: dissect.Of(func(e *exchange) any { return text(e.key()) })},
	{Name: "memcached_status", Kind: dissect.String, Help: "outcome: VALUE, END, STORED, NOT_FOUND, SERVER_ERROR", Example: `"NOT_FOUND"`, Get: dissect.Of(func(e *exchange) any { return text(e.status()) })},
	{Name: "memcached_request_size", Kind: dissect.Int, Help: "bytes of the command", Example: "64", Get: dissect.Of(func(e *exchange) any { return int64(e.reqSize) })},
	{Name: "memcached_response_size", Kind: dissect.Int, Help: "bytes of the reply", Example: "1024",
		Get: dissect.Of(func(e *exchange) any {
			if e.resp == nil {
				return nil
			}
			return int64(e.respSize)
		})},
	{Name: "memcached_total_size", Kind: dissect.Int, Help: "bytes of command and reply", Example: "1024", Get: dissect.Of(func(e *exchange) any { return int64(e.reqSize + e.respSize) })},
}
