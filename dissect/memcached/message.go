package memcached

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/dissect/turns"
)

const (
	maxSummary = 200 // bytes, then it is cut
	maxName    = 32  // bytes of a command, or of a status, then it is none
)

// exchange is a command and its reply: the message of a call. It is the parser's, and used
// again for the next call.
type exchange struct {
	binary    bool
	req, resp []byte // as far as they are kept; resp is nil where there is no reply
	line      int    // how much of req is its line
	respLine  int
	reqSize   uint64
	respSize  uint64
	limit     int // of bodies, 0: they are not wanted

	call dissect.Call
	body [2]dissect.Body
}

// tell hands a call out.
func (e *exchange) tell(sink dissect.Sink, binary bool, req, resp *turns.Message) {
	*e = exchange{binary: binary, req: req.Data, line: min(req.Line, len(req.Data)), reqSize: req.Size}
	if limit, wanted := sink.Bodies(); wanted {
		e.limit = limit
	}
	c := &e.call
	*c = dissect.Call{Message: e, Incomplete: req.Cut, Time: req.First, RequestEnd: req.Last, RequestSize: req.Size}
	if resp != nil {
		e.resp, e.respLine, e.respSize = resp.Data, min(resp.Line, len(resp.Data)), resp.Size
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = resp.First, resp.Last, resp.Size
		c.Incomplete = req.Cut || resp.Cut
		c.Error = e.failed()
	}
	sink.Call(c)
}

func (e *exchange) failed() bool {
	if e.binary {
		return failing(header(e.resp).status())
	}
	r, _ := parseReply(lines.Trim(e.resp[:e.respLine]))
	return r.kind == failed
}

// asked is the line of the command.
func (e *exchange) asked() []byte { return lines.Trim(e.req[:e.line]) }

// command is the name of the command.
func (e *exchange) command() []byte {
	if e.binary {
		return opNames[header(e.req).opcode()]
	}
	w := words{e.asked()}
	name := w.next()
	return name[:min(len(name), maxName)]
}

// key is the first key of the command, nil where it has none.
func (e *exchange) key() []byte {
	if e.binary {
		if h := header(e.req); h.keySize() > 0 && h.opcode().kind != sasl && h.opcode().kind != statistic {
			return h.key()
		}
		return nil
	}
	c, _ := parseCommand(e.asked())
	return c.key
}

// status is the outcome: the first word of the reply.
func (e *exchange) status() []byte {
	switch {
	case e.resp == nil:
		return nil
	case e.binary:
		return statusNames[header(e.resp).status()]
	}
	w := words{lines.Trim(e.resp[:e.respLine])}
	word := w.next()
	return word[:min(len(word), maxName)]
}

// AppendSummary implements dissect.Message: the line of the command.
func (e *exchange) AppendSummary(dst []byte) []byte {
	start := len(dst)
	if e.binary {
		dst = append(dst, e.command()...)
		if key := e.key(); key != nil {
			dst = append(append(dst, ' '), key...)
		}
	} else {
		dst = append(dst, e.asked()...)
	}
	return lines.Shorten(dst, start, maxSummary)
}

// AppendStatus implements dissect.Message: "STORED", "NOT_FOUND", "VALUE".
func (e *exchange) AppendStatus(dst []byte) []byte { return append(dst, e.status()...) }

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	dst = dissect.AppendBytes(dissect.AppendKey(dst, "memcached_command"), e.command())
	if key := e.key(); key != nil {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "memcached_key"), key)
	}
	if e.resp != nil {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "memcached_status"), e.status())
	}
	dst = strconv.AppendUint(dissect.AppendKey(dst, "memcached_request_size"), e.reqSize, 10)
	if e.resp != nil {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "memcached_response_size"), e.respSize, 10)
	}
	return strconv.AppendUint(dissect.AppendKey(dst, "memcached_total_size"), e.reqSize+e.respSize, 10)
}

// Body implements dissect.Message: the value that was stored; the value of the reply, or all
// of the reply where it has none or several.
func (e *exchange) Body(part int) *dissect.Body {
	if e.limit == 0 || part>>1 != 0 || part == 1 && e.resp == nil {
		return nil
	}
	b := &e.body[part]
	*b = dissect.Body{}
	switch {
	case e.binary:
		m, n := e.req, e.reqSize
		if part == 1 {
			m, n = e.resp, e.respSize
		}
		h := header(m)
		b.Data, b.Size = h.value(), max(0, int64(n)-headerSize-int64(h.extras())-int64(h.keySize()))
	case part == 0:
		c, _ := parseCommand(e.asked())
		b.Data, b.Size = value(e.req[e.line:], c.data)
	default:
		b.Data, b.Size = e.resp, int64(e.respSize)
		r, _ := parseReply(lines.Trim(e.resp[:e.respLine]))
		if rest := int64(e.respSize) - int64(e.respLine); r.data > 0 && (rest == r.data || rest == r.data+int64(len("END\r\n"))) {
			b.Data, b.Size = value(e.resp[e.respLine:], r.data)
		}
	}
	b.Data = b.Data[:min(len(b.Data), e.limit)]
	if b.Truncated = int64(len(b.Data)) < b.Size; b.Size == 0 && part == 0 {
		return nil
	}
	return b
}

// value is a value of n bytes, its end of line included, at the beginning of b.
func value(b []byte, n int64) ([]byte, int64) {
	n = max(0, n-2)
	return b[:min(int64(len(b)), n)], n
}

// boxed are the commands: filters ask for them at every call.
var boxed = func() map[string]any {
	m := map[string]any{}
	for _, name := range []string{"get", "gets", "gat", "gats", "set", "add", "replace", "append", "prepend", "cas", "delete", "incr", "decr",
		"touch", "mg", "ms", "md", "ma", "me", "mn", "version", "stats", "flush_all", "verbosity", "quit"} {
		m[name] = name
	}
	for _, op := range opcodes {
		m[op.name] = op.name
	}
	return m
}()

func text(b []byte) any {
	if b == nil {
		return nil
	}
	if v, ok := boxed[string(b)]; ok {
		return v
	}
	return string(b)
}
