package postgresql

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "postgresql_command", Kind: dissect.String, Help: "COM_QUERY of a query; PREPARE, STARTUP, CANCEL, FUNCTION_CALL; of the server's own: NOTIFICATION, ERROR", Example: `"COM_QUERY"`,
		Get: dissect.Of(func(e *exchange) any { return e.command() })},
	{Name: "postgresql_query", Kind: dissect.String, Help: "text of the query, also of a prepared one", Example: `"SELECT 1"`, Get: dissect.Of(func(e *exchange) any { return optional(e.text()) })},
	{Name: "postgresql_user", Kind: dissect.String, Help: "user of the session", Example: `"shop"`, Get: dissect.Of(func(e *exchange) any { return optional(e.user) })},
	{Name: "postgresql_database", Kind: dissect.String, Help: "database of the session", Example: `"shop"`, Get: dissect.Of(func(e *exchange) any { return optional(e.database) })},
	{Name: "postgresql_success", Kind: dissect.Bool, Help: "it was answered without an error", Example: "true", Get: dissect.Of(func(e *exchange) any { return e.answered() && !e.failed })},
	{Name: "postgresql_tag", Kind: dissect.String, Help: "what was done, with the number of rows", Example: `"SELECT 1"`, Get: dissect.Of(func(e *exchange) any { return optional(e.tag) })},
	{Name: "postgresql_error_code", Kind: dissect.String, Help: "SQLSTATE of the error", Example: `"42P01"`, Get: dissect.Of(func(e *exchange) any { return optional(e.code) })},
	{Name: "postgresql_error_message", Kind: dissect.String, Help: "error in words", Example: `"relation does not exist"`, Get: dissect.Of(func(e *exchange) any { return optional(e.message) })},
	{Name: "postgresql_request_size", Kind: dissect.Int, Help: "bytes of the request", Example: "1024", Get: dissect.Of(func(e *exchange) any { return int64(e.sizes[0]) })},
	{Name: "postgresql_response_size", Kind: dissect.Int, Help: "bytes of the response", Example: "1024", Get: dissect.Of(func(e *exchange) any { return int64(e.sizes[1]) })},
	{Name: "postgresql_total_size", Kind: dissect.Int, Help: "bytes of request and response", Example: "1024", Get: dissect.Of(func(e *exchange) any { return int64(e.sizes[0] + e.sizes[1]) })},
}

func optional(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return string(b)
}
