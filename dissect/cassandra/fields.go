package cassandra

import (
	"encoding/hex"

	"github.com/sshark/sshark/dissect"
)

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "cassandra_opcode", Kind: dissect.String, Help: "opcode of the request", Example: `"QUERY"`,
		Get: asking(func(e *exchange) any { return boxed[e.op] })},
	{Name: "cassandra_query", Kind: dissect.String, Help: "statement; of a prepared one its text", Example: `"SELECT * FROM shop.orders"`,
		Get: asking(func(e *exchange) any {
			if e.known != "" {
				return e.known
			}
			return some(e.mem[:e.text])
		})},
	{Name: "cassandra_statement_id", Kind: dissect.String, Help: "ID of a prepared statement, in hexadecimal", Example: `"0a1b2c3d"`,
		Get: asking(func(e *exchange) any {
			if e.idSize == 0 {
				return nil
			}
			return hex.EncodeToString(e.id[:e.idSize])
		})},
	{Name: "cassandra_consistency", Kind: dissect.String, Help: "consistency that was asked for", Example: `"LOCAL_QUORUM"`,
		Get: asking(func(e *exchange) any {
			if e.consistency < 0 || e.consistency >= len(consistencies) {
				return nil
			}
			return consistencies[e.consistency]
		})},
	{Name: "cassandra_version", Kind: dissect.Int, Help: "version of the protocol", Example: "5",
		Get: dissect.Of(func(e *exchange) any { return int64(e.version) })},
	{Name: "cassandra_compression", Kind: dissect.String, Help: "how the request was compressed: lz4, snappy", Example: `"lz4"`,
		Get: dissect.Of(func(e *exchange) any {
			if e.compression == "" {
				return nil
			}
			return e.compression
		})},
	{Name: "cassandra_response_opcode", Kind: dissect.String, Help: "opcode of the response, or EVENT", Example: `"RESULT"`,
		Get: answered(func(e *exchange) any { return boxed[e.resp.op] })},
	{Name: "cassandra_result_kind", Kind: dissect.String, Help: "kind of result: Void, Rows, Prepared", Example: `"Rows"`,
		Get: answered(func(e *exchange) any {
			if e.resp.op != opResult || e.resp.kind <= 0 || e.resp.kind >= len(results) {
				return nil
			}
			return results[e.resp.kind]
		})},
	{Name: "cassandra_event", Kind: dissect.String, Help: "kind of event", Example: `"STATUS_CHANGE"`,
		Get: answered(func(e *exchange) any {
			if e.resp.op != opEvent {
				return nil
			}
			return string(e.resp.text)
		})},
	{Name: "cassandra_error_code", Kind: dissect.Int, Help: "code of the error", Example: "8704",
		Get: failing(func(e *exchange) any { return int64(e.resp.code) })},
	{Name: "cassandra_error_message", Kind: dissect.String, Help: "error in words", Example: `"unconfigured table orders"`,
		Get: failing(func(e *exchange) any { return string(e.resp.text) })},
	{Name: "cassandra_request_size", Kind: dissect.Int, Help: "bytes of the request", Example: "64",
		Get: asking(func(e *exchange) any { return e.size })},
	{Name: "cassandra_response_size", Kind: dissect.Int, Help: "bytes of the response, or of the event", Example: "1024",
		Get: answered(func(e *exchange) any { return e.answerSize })},
	{Name: "cassandra_total_size", Kind: dissect.Int, Help: "bytes of request and response", Example: "1024",
		Get: dissect.Of(func(e *exchange) any { return e.size + e.answerSize })},
}

func asking(get func(*exchange) any) func(*dissect.Call) any {
	return dissect.Of(func(e *exchange) any {
		if !e.asked {
			return nil
		}
		return get(e)
	})
}

func answered(get func(*exchange) any) func(*dissect.Call) any {
	return dissect.Of(func(e *exchange) any {
		if !e.said {
			return nil
		}
		return get(e)
	})
}

func failing(get func(*exchange) any) func(*dissect.Call) any {
	return answered(func(e *exchange) any {
		if e.resp.op != opError || e.resp.code < 0 {
			return nil
		}
		return get(e)
	})
}

func some(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return string(b)
}

// boxed are the opcodes' names: filters ask for them at every call.
var boxed = func() (t [len(opcodes)]any) {
	for i := range opcodes {
		t[i] = opcodes[i].name
	}
	return t
}()
