package sip

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "sip_method", Kind: dissect.String, Help: "method of the request", Example: `"INVITE"`, Get: dissect.Of(func(e *exchange) any { return boxed(e.method()) })},
	{Name: "sip_uri", Kind: dissect.String, Help: "URI of the request", Example: `"sip:bob@example.com"`, Get: dissect.Of(func(e *exchange) any { return text(e.uri()) })},
	{Name: "sip_status", Kind: dissect.Int, Help: "status code of the response", Example: "486",
		Get: dissect.Of(func(e *exchange) any {
			if !e.resp.seen {
				return nil
			}
			return int64(e.resp.status)
		})},
	{Name: "sip_reason", Kind: dissect.String, Help: "reason phrase of the response", Example: `"Busy Here"`, Get: dissect.Of(func(e *exchange) any { return text(e.reason()) })},
	{Name: "sip_call_id", Kind: dissect.String, Help: "Call-ID, which all messages of a dialog have", Example: `"a84b4c76e66710"`, Get: dissect.Of(func(e *exchange) any { return text(e.callID()) })},
	{Name: "sip_cseq", Kind: dissect.String, Help: "CSeq: number and method", Example: `"1 INVITE"`, Get: dissect.Of(func(e *exchange) any { return text(e.cseq()) })},
	{Name: "sip_from", Kind: dissect.String, Help: "From, as it was sent", Example: `"<sip:alice@example.com>;tag=1"`, Get: dissect.Of(func(e *exchange) any { return text(e.from()) })},
	{Name: "sip_to", Kind: dissect.String, Help: "To, as it was sent", Example: `"<sip:bob@example.com>"`, Get: dissect.Of(func(e *exchange) any { return text(e.to()) })},
}

func text(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return string(b)
}

// boxes are the methods that are known: filters ask for them at every call.
var boxes = func() map[string]any {
	m := map[string]any{}
	for _, method := range methods {
		m[method] = method
	}
	return m
}()

func boxed(method []byte) any {
	if v, ok := boxes[string(method)]; ok {
		return v
	}
	return text(method)
}
