package mysql

import (
	"strconv"
	"unicode/utf8"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
)

// maxSummary is how many bytes a summary has before it is cut.
const maxSummary = 200

// exchange is a command and its response, or an error that was said unasked: the message of a
// call. It is the parser's, and used again for the next call.
type exchange struct {
	com      byte
	login    bool
	asked    bool // there is a command, or a login
	said     bool // there is a response
	failed   bool
	short    bool // query is not all of it
	hasID    bool
	id       uint32
	query    []byte // the text, or what the command names
	user     []byte
	database []byte
	code     uint16
	message  []byte
	rows     []byte
	data     uint64 // bytes of rows as sent
	rowsCut  bool
	copied   []byte
	sent     uint64 // bytes of copied as sent
	sizes    [2]uint64
	bodies   bool // wanted, up to limit bytes
	limit    int

	call dissect.Call
	body [2]dissect.Body
}

// command is the name, "" where there is none.
func (e *exchange) command() string {
	switch {
	case !e.asked || e.login:
		return ""
	case names[e.com] != "":
		return names[e.com]
	}
	return "COM_" + strconv.Itoa(int(e.com))
}

// text is the query, nil where it is none or not known.
func (e *exchange) text() []byte {
	switch e.com {
	case comQuery, comPrepare, comExecute, comBulkExecute, comFetch, comStmtReset, comStmtClose, comLongData:
		if e.asked && len(e.query) > 0 {
			return e.query
		}
	}
	return nil
}

// AppendSummary implements dissect.Message: the query in one line, or the command in words.
func (e *exchange) AppendSummary(dst []byte) []byte {
	start := len(dst)
	switch {
	case !e.asked:
		return cut(lines.OneLine(append(dst, "error "...), e.message, maxSummary), start)
	case e.login:
		dst = append(dst, "login"...)
		for _, name := range [][]byte{e.user, e.database} {
			if len(name) > 0 {
				dst = append(append(dst, ' '), name...)
			}
		}
		return cut(dst, start)
	case e.com == comQuery:
		return cut(lines.OneLine(dst, e.query, maxSummary), start)
	case e.com == comExecute && len(e.query) > 0, e.com == comBulkExecute && len(e.query) > 0:
		return cut(lines.OneLine(dst, e.query, maxSummary), start)
	case e.com == comPrepare:
		return cut(lines.OneLine(append(dst, "prepare "...), e.query, maxSummary), start)
	}
	for _, c := range e.command()[len("COM_"):] {
		switch {
		case c == '_':
			c = ' '
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		dst = append(dst, byte(c))
	}
	switch {
	case e.hasID && e.id != lastPrepared:
		dst = strconv.AppendUint(append(dst, " #"...), uint64(e.id), 10)
	case len(e.query) > 0:
		dst = lines.OneLine(append(dst, ' '), e.query, maxSummary)
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

// answered says whether it is known what came of a command.
func (e *exchange) answered() bool { return e.said && (e.failed || !e.call.Incomplete) }

// AppendStatus implements dissect.Message: "OK", or the number of an error.
func (e *exchange) AppendStatus(dst []byte) []byte {
	switch {
	case !e.answered():
		return dst
	case e.failed && e.code == 0: // it was cut off
		return append(dst, "error"...)
	case e.failed:
		return strconv.AppendUint(dst, uint64(e.code), 10)
	}
	return append(dst, "OK"...)
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	if c := e.command(); c != "" {
		dst = dissect.AppendString(dissect.AppendKey(dst, "mysql_command"), c)
	}
	dst = dissect.AppendKnown(dst, "mysql_query", e.text())
	if e.hasID {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "mysql_statement_id"), uint64(e.id), 10)
	}
	dst = dissect.AppendKnown(dst, "mysql_user", e.user)
	dst = dissect.AppendKnown(dst, "mysql_database", e.database)
	if e.asked && e.answered() {
		dst = strconv.AppendBool(dissect.AppendKey(dst, "mysql_success"), !e.failed)
	}
	if e.failed {
		if e.code != 0 {
			dst = strconv.AppendUint(dissect.AppendKey(dst, "mysql_error_code"), uint64(e.code), 10)
		}
		dst = dissect.AppendKnown(dst, "mysql_error_message", e.message)
	}
	if e.asked {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "mysql_request_size"), e.sizes[0], 10)
	}
	if e.said {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "mysql_response_size"), e.sizes[1], 10)
	}
	return strconv.AppendUint(dissect.AppendKey(dst, "mysql_total_size"), e.sizes[0]+e.sizes[1], 10)
}

// Body implements dissect.Message: the text of the query, or the file that LOAD DATA LOCAL
// sends; the rows of the response, a line each, with tabs between the columns of a query. Those
// of a prepared statement are as they were sent.
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
		*b = dissect.Body{Data: e.rows, Size: int64(e.data), Truncated: e.rowsCut}
		if e.com == comQuery {
			b.Type = "text/tab-separated-values"
		}
	default:
		return nil
	}
	if len(b.Data) > e.limit {
		b.Data, b.Truncated = b.Data[:e.limit], true
	}
	return b
}
