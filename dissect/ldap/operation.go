package ldap

import "strconv"

// Operations (RFC 4511, 4.2 to 4.13): application tags, with the bit of constructed ones.
const (
	opBind           = 0x60
	opBindResult     = 0x61
	opUnbind         = 0x42
	opSearch         = 0x63
	opEntry          = 0x64
	opSearchResult   = 0x65
	opModify         = 0x66
	opModifyResult   = 0x67
	opAdd            = 0x68
	opAddResult      = 0x69
	opDelete         = 0x4a
	opDeleteResult   = 0x6b
	opModifyDN       = 0x6c
	opModifyDNResult = 0x6d
	opCompare        = 0x6e
	opCompareResult  = 0x6f
	opAbandon        = 0x50
	opReference      = 0x73
	opExtended       = 0x77
	opExtendedResult = 0x78
	opIntermediate   = 0x79
)

// operation is a kind of request.
type operation struct {
	name   string
	result byte // tag of what answers it, 0: nothing does
	boxed  any  // name, for filters
}

var operations = func() (list [256]operation) {
	for tag, o := range map[byte]operation{
		opBind: {"bind", opBindResult, nil}, opUnbind: {"unbind", 0, nil}, opSearch: {"search", opSearchResult, nil},
		opModify: {"modify", opModifyResult, nil}, opAdd: {"add", opAddResult, nil}, opDelete: {"del", opDeleteResult, nil},
		opModifyDN: {"modDN", opModifyDNResult, nil}, opCompare: {"compare", opCompareResult, nil}, opAbandon: {"abandon", 0, nil},
		opExtended: {"extended", opExtendedResult, nil},
	} {
		o.boxed = o.name
		list[tag] = o
	}
	return list
}()

// startTLS is the name of the operation after which TLS is spoken.
const startTLS = "1.3.6.1.4.1.1466.20037"

// extensions are extended operations with a name.
var extensions = map[string]string{
	startTLS:                  "StartTLS",
	"1.3.6.1.4.1.4203.1.11.1": "password modify",
	"1.3.6.1.4.1.4203.1.11.3": "who am I",
	"1.3.6.1.1.8":             "cancel",
	"1.3.6.1.1.21.1":          "start transaction",
	"1.3.6.1.1.21.3":          "end transaction",
}

// results are the names of result codes (RFC 4511, A.1).
var results = [...]string{0: "success", 1: "operationsError", 2: "protocolError", 3: "timeLimitExceeded", 4: "sizeLimitExceeded", 5: "compareFalse", 6: "compareTrue",
	7: "authMethodNotSupported", 8: "strongerAuthRequired", 10: "referral", 11: "adminLimitExceeded", 12: "unavailableCriticalExtension", 13: "confidentialityRequired",
	14: "saslBindInProgress", 16: "noSuchAttribute", 17: "undefinedAttributeType", 18: "inappropriateMatching", 19: "constraintViolation", 20: "attributeOrValueExists",
	21: "invalidAttributeSyntax", 32: "noSuchObject", 33: "aliasProblem", 34: "invalidDNSyntax", 36: "aliasDereferencingProblem", 48: "inappropriateAuthentication",
	49: "invalidCredentials", 50: "insufficientAccessRights", 51: "busy", 52: "unavailable", 53: "unwillingToPerform", 54: "loopDetect", 64: "namingViolation",
	65: "objectClassViolation", 66: "notAllowedOnNonLeaf", 67: "notAllowedOnRDN", 68: "entryAlreadyExists", 69: "objectClassModsProhibited", 71: "affectsMultipleDSAs", 80: "other"}

// failed says whether a result code tells of an error.
func failed(code int64) bool {
	switch code {
	case 0, 5, 6, 10, 14:
		return false
	}
	return true
}

// appendResult appends the name of a result code, or the code.
func appendResult(dst []byte, code int64) []byte {
	if code >= 0 && code < int64(len(results)) && results[code] != "" {
		return append(dst, results[code]...)
	}
	return strconv.AppendInt(dst, code, 10)
}

// maxMessage is beyond what servers take.
const maxMessage = 64 << 20

// envelope is a message: its ID and operation (RFC 4511, 4.1.1).
type envelope struct {
	size int64 // on the wire
	id   int64
	op   value
}

// look tells whether b, which is not empty, begins with a message, and of whom. It needs no
// more than 64 bytes to decide.
func look(b []byte) (e envelope, v verdict) {
	if b[0] != tagSequence {
		return e, bad
	}
	outer, rest, v := take(b)
	if v != good {
		return e, v
	}
	e.size = outer.size + int64(len(b)-len(rest)-len(outer.b))
	if outer.size < 5 || outer.size > maxMessage {
		return e, bad
	}
	id, inner, v := take(outer.b)
	switch {
	case v == bad, len(outer.b) > 0 && outer.b[0] != tagInt:
		return e, bad
	case v == more, !id.whole && id.size <= 5:
		return e, short(outer.whole)
	}
	if e.id = id.number(); e.id < 0 {
		return e, bad
	}
	if len(inner) > 0 && operations[inner[0]].name == "" && !isResponse(inner[0]) {
		return e, bad
	}
	e.op, rest, v = take(inner)
	switch {
	case v == bad:
		return e, bad
	case v == more:
		return e, short(outer.whole)
	}
	// Behind the operation are controls, or nothing.
	left := outer.size - int64(len(outer.b)-len(inner)) - int64(len(inner)-len(rest)-len(e.op.b)) - e.op.size
	if left < 0 || left == 1 || len(rest) > 0 && rest[0] != tagControls {
		return e, bad
	}
	switch v := e.begins(); {
	case v == bad:
		return e, bad
	case v == more:
		return e, short(e.op.whole)
	case isResponse(e.op.tag):
		return e, response
	}
	return e, request
}

// short is the verdict where something is not there: of what is whole nothing more will come.
func short(whole bool) verdict {
	if whole {
		return bad
	}
	return more
}

func isResponse(tag byte) bool {
	switch tag {
	case opBindResult, opEntry, opSearchResult, opModifyResult, opAddResult, opDeleteResult, opModifyDNResult, opCompareResult, opReference, opExtendedResult, opIntermediate:
		return true
	}
	return false
}

// begins checks how an operation begins.
func (e *envelope) begins() verdict {
	o := &e.op
	switch o.tag {
	case opUnbind:
		return when(o.size == 0)
	case opAbandon:
		return when(o.size >= 1 && o.size <= 5)
	case opDelete:
		return good
	case opEntry, opSearch, opModify, opAdd, opModifyDN, opCompare, opReference:
		return first(o, tagString)
	case opExtended:
		return first(o, 0x80)
	case opIntermediate:
		if o.size == 0 {
			return good
		}
		if len(o.b) == 0 {
			return more
		}
		return when(o.b[0] == 0x80 || o.b[0] == 0x81)
	}
	// A number: the version of a bind, else the code of a result.
	kind, least := byte(tagEnum), int64(7)
	if o.tag == opBind {
		kind = tagInt
	}
	if o.size < least {
		return bad
	}
	n, rest, v := take(o.b)
	switch {
	case len(o.b) > 0 && o.b[0] != kind, v == bad, v == good && (n.size > 2 || n.whole && n.number() < 0):
		return bad
	case v == more || !n.whole || len(rest) == 0:
		return more
	case o.tag == opBind && (n.number() < 1 || n.number() > 4):
		return bad
	}
	return when(rest[0] == tagString)
}

// first checks that an operation begins with an element that fits into it.
func first(o *value, tag byte) verdict {
	if len(o.b) > 0 && o.b[0] != tag {
		return bad
	}
	v, _, is := take(o.b)
	if is == good && v.size > o.size-2 {
		return bad
	}
	return is
}

func when(ok bool) verdict {
	if ok {
		return good
	}
	return bad
}
