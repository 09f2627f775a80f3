package dns

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "dns_request", Kind: dissect.Bool, Help: "a query was seen", Example: "true",
		Get: dissect.Of(func(e *exchange) any { return e.req.seen })},
	{Name: "dns_response", Kind: dissect.Bool, Help: "a response was seen", Example: "true",
		Get: dissect.Of(func(e *exchange) any { return e.resp.seen })},
	{Name: "dns_questions", Kind: dissect.Strings, Help: "names that were asked for", Example: `"example.com"`,
		Get: dissect.Of(func(e *exchange) any {
			m := e.asking()
			list := make([]string, 0, m.questions)
			m.eachQuestion(func(q question) {
				name, _ := appendName(nil, m.b, q.name)
				list = append(list, string(name))
			})
			return list
		})},
	{Name: "dns_question_types", Kind: dissect.Strings, Help: "record types that were asked for", Example: `"AAAA"`,
		Get: dissect.Of(func(e *exchange) any {
			m := e.asking()
			list := make([]string, 0, m.questions)
			m.eachQuestion(func(q question) { list = append(list, string(appendType(nil, q.kind))) })
			return list
		})},
	{Name: "dns_request_length", Kind: dissect.Int, Help: "bytes of the query", Example: "64",
		Get: dissect.Of(func(e *exchange) any {
			if !e.req.seen {
				return nil
			}
			return int64(e.req.size)
		})},
	{Name: "dns_rcode", Kind: dissect.Int, Help: "response code: 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN", Example: "3", Get: dissect.Of(rcode)},
	{Name: "status_code", Kind: dissect.Int, Help: "response code", Example: "3", Get: dissect.Of(rcode)},
	{Name: "dns_answers", Kind: dissect.Strings, Help: "data of the answers: addresses, names", Example: `"10.0.0.7"`,
		Get: dissect.Of(func(e *exchange) any {
			if !e.resp.seen {
				return nil
			}
			list := []string{}
			e.resp.eachAnswer(func(r record) { list = append(list, string(appendData(nil, e.resp.b, r))) })
			return list
		})},
	{Name: "dns_response_length", Kind: dissect.Int, Help: "bytes of the response", Example: "512",
		Get: dissect.Of(func(e *exchange) any {
			if !e.resp.seen {
				return nil
			}
			return int64(e.resp.size)
		})},
	{Name: "dns_total_size", Kind: dissect.Int, Help: "bytes of query and response", Example: "512",
		Get: dissect.Of(func(e *exchange) any { return int64(e.req.size + e.resp.size) })},
}

func rcode(e *exchange) any {
	if !e.resp.seen {
		return nil
	}
	return int64(e.resp.rcode)
}
