package kafka

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/frames"
)

// Keys of APIs that are special.
const (
	keyProduce       = 0
	keyFetch         = 1
	keySaslHandshake = 17
	keyAPIVersions   = 18
	keyShareFetch    = 78
)

// maxSummary is how many bytes of topics a summary has before it is cut.
const maxSummary = 200

// exchange is a request and its response: the message of a call. It is the parser's, and used
// again for the next call.
type exchange struct {
	key, version int16
	correlation  uint32
	mem          []byte // the client's ID, and the body where it is wanted
	client       int    // bytes of the ID
	topics       []byte // a list, see topics
	cut          bool
	size         int64
	bodySize     int64
	limit        int
	bodies       bool // wanted

	said       bool   // there is a response
	resp       []byte // behind its header, as far as it is kept
	respSize   int64
	answerSize int64
	answerCut  bool
	code       int16
	coded      bool // the response tells whether there is an error

	call   dissect.Call
	body   [2]dissect.Body
	opened [2]bool
}

// begin makes an exchange of a request.
func (e *exchange) begin(f *frames.Frame, r *header) {
	e.key, e.version, e.correlation = r.key, r.version, r.correlation
	e.size, e.cut, e.call = f.Size, f.Cut, f.Asks(e)
}

// known says whether the layouts of the request's version are known.
func (e *exchange) known() bool {
	return int(e.key) < len(apis) && e.version <= apis[e.key].newest
}

// answer is a walker that stands behind the header of a response, of which b is what follows
// the correlation ID.
func (e *exchange) answer(b []byte) walker {
	w := walker{b: b, version: e.version, flexible: int(e.key) >= len(apis) || e.version >= apis[e.key].flexible}
	// The response header of ApiVersions stays what it was, so that any client can read it; and
	// who asked for a version that the broker does not have gets version 0 (KIP-511).
	if e.key == keyAPIVersions {
		if len(b) >= 2 && b[0] == 0 && b[1] == unsupportedVersion {
			w.version, w.flexible = 0, false
		}
		return w
	}
	if w.flexible {
		w.tags()
	}
	return w
}

const unsupportedVersion = 35

// appendName appends the name of the API.
func (e *exchange) appendName(dst []byte) []byte {
	if int(e.key) < len(apis) {
		return append(dst, apis[e.key].name...)
	}
	return strconv.AppendInt(append(dst, "API_"...), int64(e.key), 10)
}

// AppendSummary implements dissect.Message: "PRODUCE orders, payments".
func (e *exchange) AppendSummary(dst []byte) []byte {
	dst = e.appendName(dst)
	start := len(dst)
	for list := e.topics; len(list) > 0; {
		var name []byte
		name, list = nextTopic(list)
		if len(dst) > start+maxSummary {
			return append(dst, "…"...)
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(dst, ' '), name...)
	}
	return dst
}

// AppendStatus implements dissect.Message: "OK", or the name of the error.
func (e *exchange) AppendStatus(dst []byte) []byte {
	switch {
	case !e.said || !e.coded:
		return dst
	case e.code == 0:
		return append(dst, "OK"...)
	}
	return appendError(dst, e.code)
}

func appendError(dst []byte, code int16) []byte {
	if code > 0 && int(code) < len(errorNames) && errorNames[code] != "" {
		return append(dst, errorNames[code]...)
	}
	if code == -1 {
		return append(dst, "UNKNOWN_SERVER_ERROR"...)
	}
	return strconv.AppendInt(append(dst, "ERROR_"...), int64(code), 10)
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	dst = append(dst, `,"kafka_request":true,"kafka_response":`...)
	dst = strconv.AppendBool(dst, e.said)
	dst = strconv.AppendInt(dissect.AppendKey(dst, "kafka_api_key"), int64(e.key), 10)
	dst = append(dissect.AppendKey(dst, "kafka_api_key_name"), '"')
	dst = append(e.appendName(dst), '"')
	dst = strconv.AppendInt(dissect.AppendKey(dst, "kafka_api_version"), int64(e.version), 10)
	dst = strconv.AppendUint(dissect.AppendKey(dst, "kafka_correlation_id"), uint64(e.correlation), 10)
	dst = dissect.AppendBytes(dissect.AppendKey(dst, "kafka_client_id"), e.mem[:e.client])
	dst = append(dissect.AppendKey(dst, "kafka_topics"), '[')
	for list := e.topics; len(list) > 0; {
		var name []byte
		if name, list = nextTopic(list); dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		dst = dissect.AppendBytes(dst, name)
	}
	dst = append(dst, ']')
	if e.coded {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "kafka_error_code"), int64(e.code), 10)
	}
	if e.code != 0 {
		dst = append(appendError(append(dissect.AppendKey(dst, "kafka_error"), '"'), e.code), '"')
	}
	var mem [512]byte
	dst = dissect.AppendBytes(dissect.AppendKey(dst, "kafka_request_summary"), e.AppendSummary(mem[:0]))
	dst = strconv.AppendInt(dissect.AppendKey(dst, "kafka_request_size"), e.size, 10)
	if e.said {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "kafka_response_size"), e.answerSize, 10)
	}
	return strconv.AppendInt(dissect.AppendKey(dst, "kafka_size"), e.size+e.answerSize, 10)
}
