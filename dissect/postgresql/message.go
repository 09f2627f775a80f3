package postgresql

import (
	"strconv"
	"unicode/utf8"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
)

// maxSummary is how many bytes a summary has before it is cut.
const maxSummary = 200

// exchange is an operation and its response, or something that was said unasked: the message
// of a call. It is the parser's, and used again for the next call.
type exchange struct {
	kind      kind
	word      string // of what was said unasked
	asked     bool   // there is a request
	said      bool   // there is a response
	failed    bool
	short     bool   // query is not all of it
	query     []byte // the text; of a notification its channel and payload
	statement []byte // the name of a statement whose text is not known
	pid       uint32 // of what is to be cancelled
	user      []byte
	database  []byte
	tag       []byte
	code      []byte
	message   []byte
	rows      []byte
	data      uint64 // bytes of rows as sent
	rowsCut   bool
	copied    []byte
	sent      uint64 // bytes of copied as sent
	sizes     [2]uint64
	bodies    bool // wanted, up to limit bytes
	limit     int

	call dissect.Call
	body [2]dissect.Body
}

// command is what postgresql_command says.
func (e *exchange) command() string {
	if e.word != "" {
		return e.word
	}
	return words[e.kind]
}

// text is the query, nil where it is none or not known.
func (e *exchange) text() []byte {
	if !e.asked || e.kind == session || e.kind == cancel || e.kind == function || len(e.query) == 0 {
		return nil
	}
	return e.query
}

// AppendSummary implements dissect.Message: the query in one line.
func (e *exchange) AppendSummary(dst []byte) []byte {
	start := len(dst)
	switch {
	case e.word == "ERROR":
		dst = append(dst, "error "...)
		dst = lines.OneLine(dst, e.message, maxSummary)
	case e.word != "":
		dst = append(dst, "notification "...)
		dst = lines.OneLine(dst, e.query, maxSummary)
	case e.kind == session:
		dst = append(append(dst, "startup "...), e.user...)
		dst = append(append(dst, ' '), e.database...)
	case e.kind == cancel:
		dst = strconv.AppendUint(append(dst, "cancel "...), uint64(e.pid), 10)
	case e.kind == function:
		dst = append(dst, "function call"...)
	case e.kind == prepare:
		dst = lines.OneLine(append(dst, "prepare "...), e.query, maxSummary)
	case len(e.query) == 0 && e.kind == execute:
		dst = lines.OneLine(append(dst, "execute "...), e.statement, maxSummary)
	case len(e.query) == 0 && e.kind == quiet:
		dst = append(dst, "sync"...)
	default:
		dst = lines.OneLine(dst, e.query, maxSummary)
	}
	return cut(dst, start)
}

// cut shortens what was appended to dst since start to what a summary may have.
func cut(dst []byte, start int) []byte {
	if len(dst)-start <= maxSummary {
		return dst
	}
	dst = dst[:start+maxSummary]
	for range utf8.UTFMax - 1 {
		if r, n := utf8.DecodeLastRune(dst[start:]); r != utf8.RuneError || n != 1 {
			break
		}
		dst = dst[:len(dst)-1]
	}
	return append(dst, "…"...)
}

// answered says whether it is known what came of a request.
func (e *exchange) answered() bool {
	return e.asked && e.said && (e.failed || len(e.tag) > 0 || !e.call.Incomplete)
}

// AppendStatus implements dissect.Message: the tag of what was done, "INSERT 0 1", or the
// SQLSTATE of an error.
func (e *exchange) AppendStatus(dst []byte) []byte {
	switch {
	case !e.said:
		return dst
	case e.failed && len(e.code) > 0:
		return append(dst, e.code...)
	case e.failed:
		return append(dst, "error"...)
	case len(e.tag) > 0:
		return append(dst, e.tag...)
	case e.word == "" && !e.call.Incomplete:
		return append(dst, "OK"...)
	}
	return dst
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	dst = dissect.AppendString(dissect.AppendKey(dst, "postgresql_command"), e.command())
	dst = dissect.AppendKnown(dst, "postgresql_query", e.text())
	dst = dissect.AppendKnown(dst, "postgresql_user", e.user)
	dst = dissect.AppendKnown(dst, "postgresql_database", e.database)
	if e.answered() {
		dst = strconv.AppendBool(dissect.AppendKey(dst, "postgresql_success"), !e.failed)
	}
	dst = dissect.AppendKnown(dst, "postgresql_tag", e.tag)
	dst = dissect.AppendKnown(dst, "postgresql_error_code", e.code)
	dst = dissect.AppendKnown(dst, "postgresql_error_message", e.message)
	if e.asked {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "postgresql_request_size"), e.sizes[0], 10)
	}
	if e.said {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "postgresql_response_size"), e.sizes[1], 10)
	}
	return strconv.AppendUint(dissect.AppendKey(dst, "postgresql_total_size"), e.sizes[0]+e.sizes[1], 10)
}

// Body implements dissect.Message: the text of the query, or what COPY sends; the rows of the
// response, a line each with tabs between the columns, or what COPY sends back.
func (e *exchange) Body(part int) *dissect.Body {
	if !e.bodies || part>>1 != 0 {
		return nil
	}
	b := &e.body[part]
	switch {
	case part == 0 && e.sent > 0:
		*b = dissect.Body{Data: e.copied, Size: int64(e.sent), Truncated: uint64(len(e.copied)) < e.sent}
	case part == 0 && e.text() != nil:
		*b = dissect.Body{Type: "application/sql", Data: e.query, Size: int64(len(e.query)), Truncated: e.short}
	case part == 1 && e.data > 0:
		*b = dissect.Body{Type: "text/tab-separated-values", Data: e.rows, Size: int64(e.data), Truncated: e.rowsCut}
	default:
		return nil
	}
	if len(b.Data) > e.limit {
		b.Data, b.Truncated = b.Data[:e.limit], true
	}
	return b
}
