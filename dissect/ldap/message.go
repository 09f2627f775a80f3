package ldap

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
)

// Limits of texts.
const (
	maxName   = 512
	maxFilter = 1024
	maxText   = 512
)

// exchange is a request and its result: the message of a call. It is the parser's, and used
// again for the next call.
type exchange struct {
	op     *operation
	id     int64
	mem    []byte // name, what is done (filter, mechanism, attribute)
	named  int    // where the name ends in mem
	scope  int8   // of a search, -1 unknown
	agrees bool   // a bind that may agree on a security layer
	target int64  // of abandon
	size   int64

	said       bool // there is a result
	code       int64
	text       []byte // of the result
	entries    int64
	answerSize int64  // of the result and what came before it
	losses     uint32 // those of the server's side when the request was made

	call dissect.Call
}

// answered says whether a result came, or something of what comes before it.
func (e *exchange) answered() bool { return e.call.ResponseStart != 0 }

// scopes are those of searches (RFC 4511, 4.5.1.2).
var scopes = [...]string{"base", "one", "sub", "children"}

// name is what the request is about: the name of an entry, of an extended operation its OID.
func (e *exchange) name() []byte { return e.mem[:e.named] }

// detail is the filter of a search, how a bind authenticates, the attribute of a comparison.
func (e *exchange) detail() []byte { return e.mem[e.named:] }

// note keeps what a request is about.
func (e *exchange) note(m *envelope) {
	o := m.op
	e.scope = -1
	switch o.tag {
	case opUnbind:
		return
	case opAbandon:
		id := value{tag: tagInt, b: o.b, size: o.size, whole: o.whole}
		e.target = id.number()
		return
	case opDelete:
		e.mem = append(e.mem, o.b[:min(len(o.b), maxName)]...)
		e.named = len(e.mem)
		return
	}
	rest := o.b
	if o.tag == opBind {
		_, rest, _ = take(rest)
	}
	var name value
	name, rest, _ = take(rest)
	e.mem = append(e.mem, name.b[:min(len(name.b), maxName)]...)
	e.named = len(e.mem)
	switch o.tag {
	case opBind:
		how, _, is := take(rest)
		switch {
		case is != good:
		case how.tag == 0xa3:
			mechanism, _, _ := take(how.b)
			e.agrees = true
			e.mem = append(append(e.mem, "SASL "...), mechanism.b[:min(len(mechanism.b), 64)]...)
		case how.tag >= 0x89 && how.tag <= 0x8b: // NTLM, as Active Directory had it before SASL
			e.agrees = true
			e.mem = append(e.mem, "NTLM"...)
		case how.tag == 0x80 && how.size == 0 && e.named == 0:
			e.mem = append(e.mem, "anonymous"...)
		case how.tag == 0x80:
			e.mem = append(e.mem, "simple"...)
		}
	case opCompare:
		pair, _, _ := take(rest)
		attribute, _, _ := take(pair.b)
		e.mem = append(e.mem, attribute.b[:min(len(attribute.b), maxName)]...)
	case opSearch:
		e.search(rest)
	}
}

// search keeps scope and filter.
func (e *exchange) search(b []byte) {
	scope, b, _ := take(b)
	if n := scope.number(); n >= 0 && n < int64(len(scopes)) {
		e.scope = int8(n)
	}
	for range 4 { // aliases, size limit, time limit, types only
		_, b, _ = take(b)
	}
	f, _, is := take(b)
	if is != good {
		return
	}
	e.mem = appendFilter(e.mem, f, e.named+maxFilter, 0)
	if most := e.named + 2*maxFilter; len(e.mem) > most {
		e.mem = e.mem[:most]
	}
}

// read reads a result (RFC 4511, 4.1.9).
func (e *exchange) read(o *value) {
	code, rest, _ := take(o.b)
	_, rest, _ = take(rest)
	text, _, _ := take(rest)
	e.said, e.code = true, code.number()
	e.text = append(e.text, text.b[:min(len(text.b), maxText)]...)
}

// AppendSummary implements dissect.Message: "bind cn=admin,dc=example simple", "search
// dc=example sub (uid=alice)", "extended StartTLS".
func (e *exchange) AppendSummary(dst []byte) []byte {
	dst = append(dst, e.op.name...)
	if name := e.name(); len(name) > 0 {
		dst = append(dst, ' ')
		if title := extensions[string(name)]; title != "" && e.op.result == opExtendedResult {
			dst = append(dst, title...)
		} else {
			dst = append(dst, name...)
		}
	}
	if e.scope >= 0 {
		dst = append(append(dst, ' '), scopes[e.scope]...)
	}
	if d := e.detail(); len(d) > 0 {
		dst = append(append(dst, ' '), d...)
	}
	if e.target != 0 {
		dst = strconv.AppendInt(append(dst, ' '), e.target, 10)
	}
	return dst
}

// AppendStatus implements dissect.Message: the name of the result code.
func (e *exchange) AppendStatus(dst []byte) []byte {
	if !e.said {
		return dst
	}
	return appendResult(dst, e.code)
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	dst = dissect.AppendString(dissect.AppendKey(dst, "ldap_type"), e.op.name)
	var mem [1024]byte
	dst = dissect.AppendBytes(dissect.AppendKey(dst, "ldap_summary"), e.AppendSummary(mem[:0]))
	dst = append(dissect.AppendKey(dst, "ldap_request"), "true"...)
	dst = strconv.AppendBool(dissect.AppendKey(dst, "ldap_response"), e.answered())
	dst = strconv.AppendInt(dissect.AppendKey(dst, "ldap_message_id"), e.id, 10)
	for i := range texts {
		t := &texts[i]
		if b := t.of(e); len(b) > 0 {
			dst = dissect.AppendBytes(dissect.AppendKey(dst, t.name), b)
		}
	}
	if e.scope >= 0 {
		dst = dissect.AppendString(dissect.AppendKey(dst, "ldap_scope"), scopes[e.scope])
	}
	if e.op.result == opSearchResult && e.answered() {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "ldap_entries"), e.entries, 10)
	}
	if e.said {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "ldap_result_code"), e.code, 10)
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "ldap_result"), appendResult(mem[:0], e.code))
	}
	dst = strconv.AppendInt(dissect.AppendKey(dst, "ldap_request_length"), e.size, 10)
	if e.answered() {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "ldap_response_length"), e.answerSize, 10)
	}
	return strconv.AppendInt(dissect.AppendKey(dst, "ldap_total_size"), e.size+e.answerSize, 10)
}

// texts are the fields that are bytes of the exchange, in JSON order.
var texts = [...]struct {
	name string
	of   func(e *exchange) []byte
}{
	{"ldap_dn", func(e *exchange) []byte { return e.unless(opExtendedResult, e.name()) }},
	{"ldap_oid", func(e *exchange) []byte { return e.where(opExtendedResult, e.name()) }},
	{"ldap_auth", func(e *exchange) []byte { return e.where(opBindResult, e.detail()) }},
	{"ldap_filter", func(e *exchange) []byte { return e.where(opSearchResult, e.detail()) }},
	{"ldap_error_message", func(e *exchange) []byte { return e.text }},
}

// where is b if the request is one that is answered by that, unless if it is not.
func (e *exchange) where(result byte, b []byte) []byte {
	if e.op.result != result {
		return nil
	}
	return b
}

func (e *exchange) unless(result byte, b []byte) []byte {
	if e.op.result == result {
		return nil
	}
	return b
}

// Body implements dissect.Message: there is none.
func (e *exchange) Body(int) *dissect.Body { return nil }
