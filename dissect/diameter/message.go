package diameter

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
)

// maxText bounds each text that is kept.
const maxText = 256

// exchange is a request and its answer: the message of a call. It is the parser's, and used
// again for the next call.
type exchange struct {
	command     uint32
	application uint32
	mem         []byte // session, name of the sender
	session     int    // where the session ends in mem
	size        int64

	said       bool // there is an answer
	code       int64
	own        bool   // the code is one of the application
	text       []byte // error in words; borrowed
	answerSize int64

	call dissect.Call
}

// note keeps what a request is about.
func (e *exchange) note(b []byte) {
	var host []byte
	for {
		code, v, rest, ok := nextAVP(b)
		if !ok {
			break
		}
		switch {
		case code == avpSession && len(e.mem) == 0:
			e.mem = append(e.mem, v[:min(len(v), maxText)]...)
		case code == avpOriginHost && host == nil:
			host = v[:min(len(v), maxText)]
		}
		b = rest
	}
	e.session = len(e.mem)
	e.mem = append(e.mem, host...)
}

// read reads an answer.
func (e *exchange) read(b []byte) {
	for {
		code, v, rest, ok := nextAVP(b)
		if !ok {
			return
		}
		switch code {
		case avpResult:
			if n, ok := number(v); ok && e.code == 0 {
				e.code, e.own = n, false
			}
		case avpExperimental:
			e.readOwn(v)
		case avpErrorMessage:
			e.text = v[:min(len(v), maxText)]
		}
		b = rest
	}
}

// readOwn reads an Experimental-Result (RFC 6733, 7.6).
func (e *exchange) readOwn(b []byte) {
	for {
		code, v, rest, ok := nextAVP(b)
		if !ok {
			return
		}
		if n, ok := number(v); ok && code == avpExperimentCode && e.code == 0 {
			e.code, e.own = n, true
		}
		b = rest
	}
}

func (e *exchange) sessionOf() []byte { return e.mem[:e.session] }
func (e *exchange) hostOf() []byte    { return e.mem[e.session:] }

// appendMethod appends the command's name, or its number.
func (e *exchange) appendMethod(dst []byte) []byte {
	if name := commands[e.command].name; name != "" {
		return append(dst, name...)
	}
	return strconv.AppendUint(dst, uint64(e.command), 10)
}

// AppendSummary implements dissect.Message: "Credit-Control shop.example;1;17",
// "Device-Watchdog peer.example".
func (e *exchange) AppendSummary(dst []byte) []byte {
	dst = e.appendMethod(dst)
	what := e.sessionOf()
	if len(what) == 0 {
		what = e.hostOf()
	}
	if len(what) > 0 {
		dst = append(append(dst, ' '), what...)
	}
	return dst
}

// AppendStatus implements dissect.Message: the name of the result code, or the code.
func (e *exchange) AppendStatus(dst []byte) []byte {
	if e.code == 0 {
		return dst
	}
	return appendResult(dst, e.code, e.own)
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	var mem [1024]byte
	dst = strconv.AppendUint(dissect.AppendKey(dst, "diameter_command"), uint64(e.command), 10)
	dst = dissect.AppendBytes(dissect.AppendKey(dst, "diameter_method"), e.appendMethod(mem[:0]))
	dst = dissect.AppendBytes(dissect.AppendKey(dst, "diameter_summary"), e.AppendSummary(mem[:0]))
	dst = append(dissect.AppendKey(dst, "diameter_request"), "true"...)
	dst = strconv.AppendBool(dissect.AppendKey(dst, "diameter_response"), e.said)
	dst = strconv.AppendUint(dissect.AppendKey(dst, "diameter_application"), uint64(e.application), 10)
	if b := e.sessionOf(); len(b) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "diameter_session_id"), b)
	}
	if b := e.hostOf(); len(b) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "diameter_origin_host"), b)
	}
	if e.code != 0 {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "diameter_result_code"), e.code, 10)
	}
	if len(e.text) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "diameter_error_message"), e.text)
	}
	dst = strconv.AppendInt(dissect.AppendKey(dst, "diameter_request_length"), e.size, 10)
	if e.said {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "diameter_response_length"), e.answerSize, 10)
	}
	return strconv.AppendInt(dissect.AppendKey(dst, "diameter_total_size"), e.size+e.answerSize, 10)
}

// Body implements dissect.Message: there is none.
func (e *exchange) Body(int) *dissect.Body { return nil }
