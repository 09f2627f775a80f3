package nats

import (
	"bytes"
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
)

const (
	maxSummary = 200 // bytes, then it is cut
	maxHeaders = 256 // headers that are told
)

// message is the message of a call. It is the parser's, and used again for the next call.
type message struct {
	line
	body  []byte // headers and payload, as far as they are kept
	limit int    // of bodies, 0: they are not wanted
	call  dissect.Call
	told  dissect.Body
}

// headers are the lines of the headers, behind the line with version and status.
func (m *message) headers() []byte {
	h := m.body[:min(int64(len(m.body)), m.header)]
	i := bytes.IndexByte(h, '\n') + 1
	if i == 0 {
		return nil
	}
	return h[i:]
}

// status is the code behind the version ("NATS/1.0 503"), 0: none.
func (m *message) status() int64 {
	h := m.body[:min(int64(len(m.body)), m.header)]
	b, ok := bytes.CutPrefix(h, []byte("NATS/1.0 "))
	if !ok || len(b) < 3 {
		return 0
	}
	n, _ := number(b[:3])
	return n
}

// noResponders is the status of a request that nobody is there to answer.
const noResponders = 503

func (m *message) failed() bool { return m.op.name == "-ERR" || m.status() == noResponders }

// failure is what -ERR says, nil: it is none.
func (m *message) failure() []byte {
	if m.op.name != "-ERR" {
		return nil
	}
	return bytes.Trim(m.args, `'"`)
}

// name is that of the client or of the server, as CONNECT and INFO have it.
func (m *message) name() []byte {
	switch m.op.name {
	case "CONNECT":
		return member(m.args, `"name":"`)
	case "INFO":
		return member(m.args, `"server_name":"`)
	}
	return nil
}

// member is a string of a JSON object, as it is written there.
func member(b []byte, key string) []byte {
	i := bytes.Index(b, []byte(key))
	if i < 0 {
		return nil
	}
	b = b[i+len(key):]
	if i = bytes.IndexByte(b, '"'); i < 0 {
		return nil
	}
	return b[:i]
}

// payloadSize is how many bytes the payload has, without headers.
func (m *message) payloadSize() int64 { return m.line.payload - m.header }

// AppendSummary implements dissect.Message: the line of the message; of CONNECT and INFO names
// alone.
func (m *message) AppendSummary(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, m.op.name...)
	switch m.op.name {
	case "CONNECT", "INFO":
		if name := m.name(); len(name) > 0 {
			dst = append(append(dst, ' '), name...)
		}
		if version := member(m.args, `"version":"`); len(version) > 0 {
			dst = append(append(dst, ' '), version...)
		}
	default:
		if len(m.args) > 0 {
			dst = append(append(dst, ' '), m.args...)
		}
	}
	return lines.Shorten(dst, start, maxSummary)
}

// AppendStatus implements dissect.Message: the status among the headers.
func (m *message) AppendStatus(dst []byte) []byte {
	if s := m.status(); s > 0 {
		return strconv.AppendInt(dst, s, 10)
	}
	return dst
}

// AppendFields implements dissect.Message.
func (m *message) AppendFields(dst []byte) []byte {
	dst = append(append(append(dissect.AppendKey(dst, "nats_op"), '"'), m.op.name...), '"')
	dst = dissect.AppendKnown(dst, "nats_subject", m.subject)
	dst = dissect.AppendKnown(dst, "nats_reply", m.reply)
	dst = dissect.AppendKnown(dst, "nats_queue", m.queue)
	dst = dissect.AppendKnown(dst, "nats_sid", m.sid)
	dst = dissect.AppendKnown(dst, "nats_name", m.name())
	if m.line.payload >= 0 {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "nats_size"), m.payloadSize(), 10)
	}
	if m.header > 0 {
		dst = append(dissect.AppendKey(dst, "nats_headers"), '{')
		more := false
		m.eachHeader(func(key, value []byte) {
			if more {
				dst = append(dst, ',')
			}
			more = true
			dst = append(dissect.AppendBytes(dst, key), ':')
			dst = dissect.AppendBytes(dst, value)
		})
		dst = append(dst, '}')
	}
	if s := m.status(); s > 0 {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "nats_status"), s, 10)
	}
	return dissect.AppendKnown(dst, "nats_error", m.failure())
}

// eachHeader goes through the headers that are kept. Of those with the same name the first is
// told.
func (m *message) eachHeader(each func(key, value []byte)) {
	b := m.headers()
	all := b
	for n := 0; n < maxHeaders; n++ {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return
		}
		key, value, ok := bytes.Cut(lines.Trim(b[:end]), []byte{':'})
		if ok && len(key) > 0 && !seen(all[:len(all)-len(b)], key) {
			each(key, bytes.TrimSpace(value))
		}
		b = b[end+1:]
	}
}

// seen says whether one of the lines of b has that key.
func seen(b, key []byte) bool {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return false
		}
		if len(b) > len(key) && b[len(key)] == ':' && bytes.Equal(b[:len(key)], key) {
			return true
		}
		b = b[end+1:]
	}
	return false
}

// Body implements dissect.Message: the payload; of CONNECT and INFO what they say.
func (m *message) Body(part int) *dissect.Body {
	if m.limit == 0 || part != 0 {
		return nil
	}
	b := &m.told
	switch {
	case m.line.payload >= 0:
		data := m.body[min(int64(len(m.body)), m.header):]
		*b = dissect.Body{Data: data[:min(len(data), m.limit)], Size: m.payloadSize()}
	case m.op.name == "INFO":
		*b = dissect.Body{Type: "application/json", Data: m.args[:min(len(m.args), m.limit)], Size: int64(len(m.args))}
	default:
		return nil
	}
	b.Truncated = int64(len(b.Data)) < b.Size
	return b
}
