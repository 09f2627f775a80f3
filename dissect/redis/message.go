package redis

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/sshark/sshark/dissect"
)

// maxSummary is how many bytes a summary has before it is cut.
const maxSummary = 200

// exchange is a command and its reply, or something that was said unasked: the message of a
// call. It is the parser's, and used again for the next call.
type exchange struct {
	req     []byte // the command as it was sent, as far as it is kept
	resp    []byte // the reply likewise
	inline  bool
	asked   bool // there is a command
	said    bool // there is a reply, or a push
	unasked bool // it is a push
	reqSize uint64
	size    uint64 // of the reply
	top     int    // where the value begins in resp, behind attributes
	fail    int    // where the error begins in resp, -1: there is none
	bodies  bool   // wanted, up to limit bytes
	limit   int

	call dissect.Call
	body [2]dissect.Body
}

// value is the reply without its attributes.
func (e *exchange) value() []byte { return e.resp[min(e.top, len(e.resp)):] }

// name is that of the command, in upper case, in the memory given.
func (e *exchange) name(mem *[maxName]byte) []byte {
	w := newWords(e.req, e.inline)
	name, _ := w.next()
	if n := upperName(mem, name); n != nil {
		return n
	}
	return name[:maxName]
}

// pushed is the first word of a push: "message", "invalidate"; or "monitor".
func (e *exchange) pushed() []byte {
	v := e.value()
	if len(v) > 0 && v[0] == '+' {
		return []byte("monitor")
	}
	w := newWords(v, false)
	word, _ := w.next()
	return word
}

// channel is what a push is about.
func (e *exchange) channel() []byte {
	w := newWords(e.value(), false)
	word, _ := w.next()
	switch string(word) {
	case "pmessage":
		w.next()
		fallthrough
	case "message", "smessage", "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe":
		channel, _ := w.next()
		return channel
	case "invalidate": // an array of keys
		keys := newWords(w.b, false)
		k, _ := keys.next()
		return k
	}
	return nil
}

func (e *exchange) key() []byte {
	switch {
	case e.asked:
		return key(e.req, e.inline)
	case e.unasked:
		return e.channel()
	}
	return nil
}

// AppendSummary implements dissect.Message: the command with its arguments.
func (e *exchange) AppendSummary(dst []byte) []byte {
	if e.unasked {
		return e.appendPush(dst)
	}
	var mem [maxName]byte
	name := e.name(&mem)
	w := newWords(e.req, e.inline)
	hide := 0
	start := len(dst)
	for n := 0; ; n++ {
		word, ok := w.next()
		if !ok {
			break
		}
		if n > 0 {
			dst = append(dst, ' ')
		}
		switch {
		case n == 0:
			dst = append(dst, name...)
		case hide > 0:
			dst = append(dst, redacted...)
			hide--
			if hide > 2 { // all that follows
				return dst
			}
		default:
			dst = append(dst, word[:min(len(word), maxSummary+1)]...)
		}
		if hide == 0 {
			hide = secret(name, word, n)
		}
		if len(dst)-start > maxSummary {
			return cut(dst, start)
		}
	}
	return dst
}

func (e *exchange) appendPush(dst []byte) []byte {
	start := len(dst)
	v := e.value()
	if len(v) > 0 && v[0] == '+' {
		dst = append(dst, "monitor "...)
		dst = append(dst, lineOf(v)...)
		return cut(dst, start)
	}
	w := newWords(v, false)
	for n := 0; n < 5; n++ {
		word, ok := w.next()
		if !ok {
			break
		}
		if n > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, word[:min(len(word), maxSummary+1)]...)
	}
	return cut(dst, start)
}

// cut shortens what was appended to dst since start to what a summary may have.
func cut(dst []byte, start int) []byte {
	if len(dst)-start <= maxSummary {
		return dst
	}
	dst = dst[:start+maxSummary]
	for i := 0; i < utf8.UTFMax && !utf8.Valid(dst[max(start, len(dst)-utf8.UTFMax):]) && len(dst) > start; i++ {
		if r, n := utf8.DecodeLastRune(dst[start:]); r != utf8.RuneError || n != 1 {
			break
		}
		dst = dst[:len(dst)-1]
	}
	return append(dst, "…"...)
}

// lineOf is the rest of the line that a value begins with.
func lineOf(v []byte) []byte {
	if i := bytes.IndexByte(v, '\n'); i >= 0 {
		v = bytes.TrimSuffix(v[:i], []byte{'\r'})
	}
	if len(v) == 0 {
		return nil
	}
	return v[1:]
}

// text is the content of a value that is one string or line, as far as it is kept; ok is false
// where it is something else.
func text(v []byte) (t []byte, ok bool) {
	if len(v) == 0 {
		return nil, false
	}
	switch v[0] {
	case '+', '-':
		return lineOf(v), true
	case '$', '!', '=':
		i := bytes.IndexByte(v, '\n') + 1
		n, ok := count(v[:i])
		if i == 0 || !ok || n < 0 {
			return nil, false
		}
		t = v[i:]
		t = t[:min(n, int64(len(t)))]
		if v[0] == '=' && len(t) >= 4 && t[3] == ':' { // "txt:", "mkd:"
			t = t[4:]
		}
		return t, true
	}
	return nil, false
}

// failure is the text of the error, nil: there is none.
func (e *exchange) failure() []byte {
	if e.fail < 0 || e.fail >= len(e.resp) {
		return nil
	}
	t, _ := text(e.resp[e.fail:])
	return t
}

// AppendStatus implements dissect.Message: "OK", the first word of an error, a number, "nil",
// or how much there is: "5 bytes", "3 elements".
func (e *exchange) AppendStatus(dst []byte) []byte {
	v := e.value()
	if !e.said || e.unasked || len(v) == 0 {
		return dst
	}
	if f := e.failure(); f != nil {
		word, _, _ := bytes.Cut(f, []byte{' '})
		return append(dst, word[:min(len(word), 64)]...)
	}
	l := lineOf(v)
	l = l[:min(len(l), 64)]
	switch v[0] {
	case '+', ':', ',', '(':
		return append(dst, l...)
	case '_':
		return append(dst, "nil"...)
	case '#':
		if string(l) == "t" {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case '$', '=':
		if string(l) == "-1" {
			return append(dst, "nil"...)
		}
		return append(append(dst, l...), " bytes"...)
	}
	if string(l) == "-1" {
		return append(dst, "nil"...)
	}
	return append(append(dst, l...), " elements"...)
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	if e.asked {
		var mem [maxName]byte
		name := e.name(&mem)
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "redis_command"), name)
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "redis_type"), name)
	}
	if e.unasked {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "redis_push"), e.pushed())
	}
	if k := e.key(); k != nil {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "redis_key"), k)
	}
	if f := e.failure(); f != nil {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "redis_error"), f)
	}
	if e.asked {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "redis_request_size"), e.reqSize, 10)
	}
	if e.said {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "redis_response_size"), e.size, 10)
	}
	return strconv.AppendUint(dissect.AppendKey(dst, "redis_total_size"), e.reqSize+e.size, 10)
}

// Body implements dissect.Message: the command as it was sent; the string of a reply or of a
// published message, or what was sent where it is no string.
func (e *exchange) Body(part int) *dissect.Body {
	if !e.bodies || part>>1 != 0 || part == 0 && !e.asked || part == 1 && !e.said {
		return nil
	}
	b := &e.body[part]
	if part == 0 {
		*b = dissect.Body{Data: e.req, Size: int64(e.reqSize), Truncated: uint64(len(e.req)) < e.reqSize}
		e.clip(b)
		return b
	}
	v := e.value()
	defer func() { e.clip(b) }()
	*b = dissect.Body{Data: v, Size: int64(e.size) - int64(e.top), Truncated: uint64(len(e.resp)) < e.size}
	if e.unasked {
		if t, ok := e.payload(); ok {
			b.Data = t
			b.Size = int64(len(t))
		}
		return b
	}
	if t, ok := text(v); ok {
		b.Data = t
		b.Size = int64(len(t))
		if n, ok := count(v[:bytes.IndexByte(v, '\n')+1]); ok && counted(v[0]) {
			b.Size = n
		}
		b.Truncated = int64(len(t)) < b.Size && v[0] != '='
	}
	return b
}

// clip cuts a body at what is wanted.
func (e *exchange) clip(b *dissect.Body) {
	if len(b.Data) > e.limit {
		b.Data, b.Truncated = b.Data[:e.limit], true
	}
}

// payload is what was published.
func (e *exchange) payload() (last []byte, ok bool) {
	w := newWords(e.value(), false)
	word, _ := w.next()
	if !published(word) {
		return nil, false
	}
	for {
		word, more := w.next()
		if !more {
			return last, last != nil
		}
		last = word
	}
}
