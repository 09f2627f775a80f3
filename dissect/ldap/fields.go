package ldap

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "ldap_type", Kind: dissect.String, Help: "operation: bind, unbind, search, modify, add, del, modDN, compare, abandon, extended", Example: `"search"`,
		Get: dissect.Of(func(e *exchange) any { return e.op.boxed })},
	{Name: "ldap_summary", Kind: dissect.String, Help: "operation and what it is about", Example: `"search dc=example sub (uid=alice)"`,
		Get: dissect.Of(func(e *exchange) any { return string(e.AppendSummary(nil)) })},
	{Name: "ldap_request", Kind: dissect.Bool, Help: "the request was seen", Example: "true",
		Get: dissect.Of(func(*exchange) any { return true })},
	{Name: "ldap_response", Kind: dissect.Bool, Help: "a response was seen", Example: "true",
		Get: dissect.Of(func(e *exchange) any { return e.answered() })},
	{Name: "ldap_message_id", Kind: dissect.Int, Help: "number that request and response have in common", Example: "2",
		Get: dissect.Of(func(e *exchange) any { return e.id })},
	{Name: "ldap_dn", Kind: dissect.String, Help: "name of the entry, of a search its base, of a bind the user", Example: `"uid=alice,dc=example"`, Get: text(0)},
	{Name: "ldap_oid", Kind: dissect.String, Help: "name of an extended operation", Example: `"1.3.6.1.4.1.1466.20037"`, Get: text(1)},
	{Name: "ldap_auth", Kind: dissect.String, Help: "how a bind authenticates", Example: `"simple"`, Get: text(2)},
	{Name: "ldap_filter", Kind: dissect.String, Help: "filter of a search", Example: `"(uid=alice)"`, Get: text(3)},
	{Name: "ldap_error_message", Kind: dissect.String, Help: "diagnostic message of the result", Example: `"no such attribute"`, Get: text(4)},
	{Name: "ldap_scope", Kind: dissect.String, Help: "scope of a search: base, one, sub, children", Example: `"sub"`,
		Get: dissect.Of(func(e *exchange) any {
			if e.scope < 0 {
				return nil
			}
			return scopes[e.scope]
		})},
	{Name: "ldap_entries", Kind: dissect.Int, Help: "entries that a search found", Example: "1",
		Get: dissect.Of(func(e *exchange) any {
			if e.op.result != opSearchResult || !e.answered() {
				return nil
			}
			return e.entries
		})},
	{Name: "ldap_result_code", Kind: dissect.Int, Help: "code of the result, 0 success", Example: "49",
		Get: dissect.Of(func(e *exchange) any {
			if !e.said {
				return nil
			}
			return e.code
		})},
	{Name: "ldap_result", Kind: dissect.String, Help: "name of that code", Example: `"invalidCredentials"`,
		Get: dissect.Of(func(e *exchange) any {
			if !e.said {
				return nil
			}
			return string(appendResult(nil, e.code))
		})},
	{Name: "ldap_request_length", Kind: dissect.Int, Help: "bytes of the request", Example: "64",
		Get: dissect.Of(func(e *exchange) any { return e.size })},
	{Name: "ldap_response_length", Kind: dissect.Int, Help: "bytes of the response, with the entries of a search", Example: "1024",
		Get: dissect.Of(func(e *exchange) any {
			if !e.answered() {
				return nil
			}
			return e.answerSize
		})},
	{Name: "ldap_total_size", Kind: dissect.Int, Help: "bytes of request and response", Example: "1024",
		Get: dissect.Of(func(e *exchange) any { return e.size + e.answerSize })},
}

// text is the field of that number in texts.
func text(n int) func(*dissect.Call) any {
	return dissect.Of(func(e *exchange) any {
		if b := texts[n].of(e); len(b) > 0 {
			return string(b)
		}
		return nil
	})
}
