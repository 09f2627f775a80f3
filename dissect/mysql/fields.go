package mysql

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "mysql_command", Kind: dissect.String, Help: "command; a login has none", Example: `"COM_QUERY"`, Get: dissect.Of(func(e *exchange) any {
		if c := e.command(); c != "" {
			return c
		}
		return nil
	})},
	{Name: "mysql_query", Kind: dissect.String, Help: "text of the query, also of a prepared one", Example: `"SELECT 1"`, Get: dissect.Of(func(e *exchange) any { return optional(e.text()) })},
	{Name: "mysql_statement_id", Kind: dissect.Int, Help: "number of the prepared statement", Example: "1", Get: dissect.Of(func(e *exchange) any {
		if !e.hasID {
			return nil
		}
		return int64(e.id)
	})},
	{Name: "mysql_user", Kind: dissect.String, Help: "user of the session", Example: `"shop"`, Get: dissect.Of(func(e *exchange) any { return optional(e.user) })},
	{Name: "mysql_database", Kind: dissect.String, Help: "database that was chosen", Example: `"shop"`, Get: dissect.Of(func(e *exchange) any { return optional(e.database) })},
	{Name: "mysql_success", Kind: dissect.Bool, Help: "it was answered without an error", Example: "true", Get: dissect.Of(func(e *exchange) any { return e.asked && e.answered() && !e.failed })},
	{Name: "mysql_error_code", Kind: dissect.Int, Help: "number of the error, 0 none", Example: "1064", Get: dissect.Of(func(e *exchange) any { return int64(e.errorCode()) })},
	{Name: "mysql_error_message", Kind: dissect.String, Help: "error in words", Example: `"You have an error in your SQL syntax"`, Get: dissect.Of(func(e *exchange) any {
		if !e.failed {
			return nil
		}
		return optional(e.message)
	})},
	{Name: "mysql_request_size", Kind: dissect.Int, Help: "bytes of the command, before compression", Example: "1024", Get: dissect.Of(func(e *exchange) any { return int64(e.sizes[0]) })},
	{Name: "mysql_response_size", Kind: dissect.Int, Help: "bytes of the response, before compression", Example: "1024", Get: dissect.Of(func(e *exchange) any { return int64(e.sizes[1]) })},
	{Name: "mysql_total_size", Kind: dissect.Int, Help: "bytes of command and response, before compression", Example: "1024", Get: dissect.Of(func(e *exchange) any { return int64(e.sizes[0] + e.sizes[1]) })},
}

// errorCode is the number of the error, 0 where there is none.
func (e *exchange) errorCode() uint16 {
	if !e.failed {
		return 0
	}
	return e.code
}

func optional(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return string(b)
}
