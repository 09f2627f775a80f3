package mongodb

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "mongodb_command", Kind: dissect.String, Help: "command", Example: `"find"`, Get: dissect.Of(getCommand)},
	{Name: "mongodb_collection", Kind: dissect.String, Help: "collection", Example: `"orders"`, Get: optional((*exchange).collectionOf)},
	{Name: "mongodb_database", Kind: dissect.String, Help: "database", Example: `"shop"`, Get: optional((*exchange).databaseOf)},
	{Name: "mongodb_opcode", Kind: dissect.String, Help: "kind of the request's message", Example: `"OP_MSG"`,
		Get: dissect.Of(func(e *exchange) any {
			if name, ok := boxedOpcodes[e.op]; ok {
				return name
			}
			return string(e.appendOpcode(nil))
		})},
	{Name: "mongodb_compressor", Kind: dissect.String, Help: "how the request was compressed: snappy, zlib, zstd", Example: `"zstd"`,
		Get: dissect.Of(func(e *exchange) any {
			if e.compressor == "" {
				return nil
			}
			return e.compressor
		})},
	{Name: "mongodb_success", Kind: dissect.Bool, Help: "the server did what was asked", Example: "true",
		Get: dissect.Of(func(e *exchange) any {
			if !e.said || !e.answer.failed && !e.answer.ok {
				return nil
			}
			return !e.answer.failed
		})},
	{Name: "mongodb_error_code", Kind: dissect.Int, Help: "code of the error", Example: "11000",
		Get: failing(func(r *reading) any { return r.code })},
	{Name: "mongodb_error_code_name", Kind: dissect.String, Help: "name of that code", Example: `"DuplicateKey"`,
		Get: failing(func(r *reading) any { return some(r.codeName) })},
	{Name: "mongodb_error_message", Kind: dissect.String, Help: "error in words", Example: `"not authorized"`,
		Get: failing(func(r *reading) any { return some(r.text) })},
	{Name: "mongodb_request_size", Kind: dissect.Int, Help: "bytes of the request", Example: "1024",
		Get: dissect.Of(func(e *exchange) any { return e.size })},
	{Name: "mongodb_response_size", Kind: dissect.Int, Help: "bytes of the reply", Example: "1024",
		Get: dissect.Of(func(e *exchange) any {
			if !e.said {
				return nil
			}
			return e.answerSize
		})},
	{Name: "mongodb_total_size", Kind: dissect.Int, Help: "bytes of request and reply", Example: "1024",
		Get: dissect.Of(func(e *exchange) any { return e.size + e.answerSize })},
}

func some(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return string(b)
}

func optional(get func(*exchange) []byte) func(*dissect.Call) any {
	return dissect.Of(func(e *exchange) any { return some(get(e)) })
}

func failing(get func(*reading) any) func(*dissect.Call) any {
	return dissect.Of(func(e *exchange) any {
		if !e.said || !e.answer.failed {
			return nil
		}
		return get(&e.answer)
	})
}

// Names that are common are boxed once: filters ask for them at every call.
var (
	boxedOpcodes = func() map[int32]any {
		m := map[int32]any{}
		for op, name := range opcodes {
			m[op] = name
		}
		return m
	}()
	boxedCommands = func() map[string]any {
		m := map[string]any{}
		for _, name := range []string{"find", "insert", "update", "delete", "aggregate", "getMore", "hello", "isMaster", "ping", "findAndModify", "count", "distinct", "killCursors", "commitTransaction", "abortTransaction"} {
			m[name] = name
		}
		return m
	}()
)

func getCommand(e *exchange) any {
	name := e.nameOf()
	if len(name) == 0 {
		return nil
	}
	if v, ok := boxedCommands[string(name)]; ok {
		return v
	}
	return string(name)
}
