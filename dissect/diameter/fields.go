package diameter

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "diameter_command", Kind: dissect.Int, Help: "code of the command", Example: "272",
		Get: dissect.Of(func(e *exchange) any { return int64(e.command) })},
	{Name: "diameter_method", Kind: dissect.String, Help: "name of the command", Example: `"Credit-Control"`,
		Get: dissect.Of(func(e *exchange) any {
			if c, ok := commands[e.command]; ok {
				return c.boxed
			}
			return string(e.appendMethod(nil))
		})},
	{Name: "diameter_summary", Kind: dissect.String, Help: "command with its session, or sender", Example: `"Device-Watchdog peer.example"`,
		Get: dissect.Of(func(e *exchange) any { return string(e.AppendSummary(nil)) })},
	{Name: "diameter_request", Kind: dissect.Bool, Help: "the request was seen", Example: "true",
		Get: dissect.Of(func(*exchange) any { return true })},
	{Name: "diameter_response", Kind: dissect.Bool, Help: "the answer was seen", Example: "true",
		Get: dissect.Of(func(e *exchange) any { return e.said })},
	{Name: "diameter_application", Kind: dissect.Int, Help: "number of the application", Example: "4",
		Get: dissect.Of(func(e *exchange) any { return int64(e.application) })},
	{Name: "diameter_session_id", Kind: dissect.String, Help: "session that the request belongs to", Example: `"shop.example;1;17"`,
		Get: text((*exchange).sessionOf)},
	{Name: "diameter_origin_host", Kind: dissect.String, Help: "name of the request's sender", Example: `"peer.example"`,
		Get: text((*exchange).hostOf)},
	{Name: "diameter_result_code", Kind: dissect.Int, Help: "code of the result, also one of the application's own", Example: "2001",
		Get: dissect.Of(func(e *exchange) any {
			if e.code == 0 {
				return nil
			}
			return e.code
		})},
	{Name: "diameter_error_message", Kind: dissect.String, Help: "error in words", Example: `"No route"`,
		Get: text(func(e *exchange) []byte { return e.text })},
	{Name: "diameter_request_length", Kind: dissect.Int, Help: "bytes of the request", Example: "256",
		Get: dissect.Of(func(e *exchange) any { return e.size })},
	{Name: "diameter_response_length", Kind: dissect.Int, Help: "bytes of the answer", Example: "256",
		Get: dissect.Of(func(e *exchange) any {
			if !e.said {
				return nil
			}
			return e.answerSize
		})},
	{Name: "diameter_total_size", Kind: dissect.Int, Help: "bytes of request and answer", Example: "512",
		Get: dissect.Of(func(e *exchange) any { return e.size + e.answerSize })},
}

func text(get func(*exchange) []byte) func(*dissect.Call) any {
	return dissect.Of(func(e *exchange) any {
		if b := get(e); len(b) > 0 {
			return string(b)
		}
		return nil
	})
}
