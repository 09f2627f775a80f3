package dns

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// maxTold bounds how many questions or answers of a message are told.
const maxTold = 1024

// message is a query or a response.
type message struct {
	shape
	b          []byte
	mem        []byte // where b is kept
	seen       bool   // there is one
	incomplete bool
	dir        flow.Dir
	first      int64 // times
	last       int64
	size       int
}

// exchange is a query and its response, or one of them: the message of a call.
type exchange struct {
	req, resp message
	call      dissect.Call

	// Of a query that waits.
	key          uint64
	chain        *exchange
	older, newer *exchange // newer also links those that are free
}

// asking is the message to read the questions from.
func (e *exchange) asking() *message {
	if e.req.seen && (e.req.questions > 0 || !e.resp.seen) {
		return &e.req
	}
	return &e.resp
}

// eachQuestion goes through the questions of a message that could be read.
func (m *message) eachQuestion(each func(q question)) {
	off := headerSize
	for n := min(m.questions, maxTold); n > 0; n-- {
		q, next, v := readQuestion(m.b, off)
		if v != good {
			return
		}
		each(q)
		off = next
	}
}

// eachAnswer goes through the records of the answer section that could be read.
func (m *message) eachAnswer(each func(r record)) {
	if m.answers == 0 {
		return
	}
	off := m.answers
	for n := min(m.records, binary.BigEndian.Uint16(m.b[6:]), maxTold); n > 0; n-- {
		r, next, v := readRecord(m.b, off)
		if v != good {
			return
		}
		each(r)
		off = next
	}
}

// AppendSummary implements dissect.Message: "A example.com". Where nothing was asked, it is
// what the first answer is about.
func (e *exchange) AppendSummary(dst []byte) []byte {
	m := e.asking()
	if op := m.opcode(); op != 0 && int(op) < len(opcodes) {
		dst = append(append(dst, opcodes[op]...), ' ')
	}
	start := len(dst)
	m.eachQuestion(func(q question) {
		if len(dst) > start {
			dst = append(dst, ", "...)
		}
		dst = append(appendType(dst, q.kind), ' ')
		dst, _ = appendName(dst, m.b, q.name)
	})
	if len(dst) == start && e.resp.seen {
		e.resp.eachAnswer(func(r record) {
			if len(dst) == start {
				dst = append(appendType(dst, r.kind), ' ')
				dst, _ = appendName(dst, e.resp.b, r.name)
			}
		})
	}
	return dst
}

// opcodes other than QUERY (RFC 6895, 2.2).
var opcodes = [...]string{1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}

// AppendStatus implements dissect.Message: "NOERROR", "NXDOMAIN".
func (e *exchange) AppendStatus(dst []byte) []byte {
	if !e.resp.seen {
		return dst
	}
	return appendRcode(dst, e.resp.rcode)
}

// AppendFields implements dissect.Message.
func (e *exchange) AppendFields(dst []byte) []byte {
	var mem [256]byte
	dst = strconv.AppendBool(dissect.AppendKey(dst, "dns_request"), e.req.seen)
	dst = strconv.AppendBool(dissect.AppendKey(dst, "dns_response"), e.resp.seen)
	m := e.asking()
	list := list{dst: append(dissect.AppendKey(dst, "dns_questions"), '[')}
	m.eachQuestion(func(q question) {
		name, _ := appendName(mem[:0], m.b, q.name)
		list.add(name)
	})
	list.next("dns_question_types")
	m.eachQuestion(func(q question) { list.add(appendType(mem[:0], q.kind)) })
	dst = append(list.dst, ']')
	if e.req.seen {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "dns_request_length"), int64(e.req.size), 10)
	}
	if r := &e.resp; r.seen {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "dns_rcode"), int64(r.rcode), 10)
		dst = strconv.AppendInt(dissect.AppendKey(dst, "status_code"), int64(r.rcode), 10)
		list.dst, list.more = append(dissect.AppendKey(dst, "dns_answers"), '['), false
		r.eachAnswer(func(a record) { list.add(appendData(mem[:0], r.b, a)) })
		dst = append(list.dst, ']')
		dst = strconv.AppendInt(dissect.AppendKey(dst, "dns_response_length"), int64(r.size), 10)
	}
	return strconv.AppendInt(dissect.AppendKey(dst, "dns_total_size"), int64(e.req.size+e.resp.size), 10)
}

// list is a JSON array that is being written.
type list struct {
	dst  []byte
	more bool
}

func (l *list) add(s []byte) {
	if l.more {
		l.dst = append(l.dst, ',')
	}
	l.dst = dissect.AppendBytes(l.dst, s)
	l.more = true
}

// next ends the array and begins another.
func (l *list) next(name string) {
	l.dst = append(dissect.AppendKey(append(l.dst, ']'), name), '[')
	l.more = false
}

// Body implements dissect.Message: there is none.
func (e *exchange) Body(int) *dissect.Body { return nil }

// Answer says that a name was given an address.
type Answer struct {
	Name string // that was asked for, without its last dot; of mDNS: the record's own
	Addr netip.Addr
	TTL  uint32 // seconds
}

// Answers appends the names and addresses that a response gives, if the payload of a UDP
// datagram is one; over TCP, leave out the two bytes of length. It allocates nothing for what
// is not a response with addresses.
func Answers(dst []Answer, payload []byte) []Answer {
	if len(payload) < headerSize || payload[2]&0x80 == 0 || payload[3]&0x0f != 0 {
		return dst
	}
	s, v := parse(payload)
	if v != good || s.records == 0 || s.extra || !s.sane(payload, false) {
		return dst
	}
	m := message{shape: s, b: payload}
	if !m.hasAddress() {
		return dst
	}
	var mem [maxName + 1]byte
	asked := ""
	if s.questions == 1 {
		name, _ := appendName(mem[:0], payload, headerSize)
		asked = string(name)
	}
	m.eachAnswer(func(r record) {
		d := payload[r.data:r.end]
		a, ok := netip.AddrFromSlice(d)
		if !ok || (r.kind != typeA || len(d) != 4) && (r.kind != typeAAAA || len(d) != 16) {
			return
		}
		name := asked
		if name == "" {
			own, ok := appendName(mem[:0], payload, r.name)
			if !ok {
				return
			}
			name = string(own)
		}
		dst = append(dst, Answer{Name: name, Addr: a, TTL: r.ttl})
	})
	return dst
}

func (m *message) hasAddress() (yes bool) {
	m.eachAnswer(func(r record) { yes = yes || r.kind == typeA || r.kind == typeAAAA })
	return yes
}
