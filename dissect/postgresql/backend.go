package postgresql

import (
	"encoding/binary"
	"unsafe"

	"github.com/sshark/sshark/dissect"
)

// patient is after how many batches that were each answered before the next one a client is
// believed to wait for every answer.
const patient = 3

// uncounted keeps the answers of a turn from being as many as its batches.
const uncounted = 1 << 32

// maxEarly is how many answers wait for what they answer at most.
const maxEarly = 16

// early is an answer that was read before what it answers.
type early struct {
	began, ended       int64 // 0: it goes on
	received           uint64
	failed, fatal      bool
	tag, code, message []byte
}

// view is a string of the same bytes, for as long as they stay.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// turn is called when the client says something.
func (p *parser) turn(h *half, missed bool) {
	adrift := p.adrift
	if p.answered > 0 {
		switch {
		case p.asked == 1 && p.answered == 1:
			p.alone = min(p.alone+1, patient)
		case !missed:
			p.alone = 0
		}
		p.adrift = p.adrift && p.asked != p.answered
		p.asked, p.answered = 0, 0
	}
	if missed {
		// Questions are missing: whose the next answers are cannot be told, but that who waits
		// for each has had all before.
		p.adrift = p.adrift || p.pending.Len() > 0 || p.alone < patient
		adrift, p.open = true, false
	}
	if h.first <= p.gone && !p.open { // its answer may be one that another came behind before it
		p.adrift, adrift = true, true
		p.asked += uncounted
	}
	if adrift {
		for p.pending.Len() > 0 && !p.open {
			p.giveUp(true)
		}
	}
}

// bound keeps what waits within its limits.
func (p *parser) bound() {
	for p.pending.Len() > 1 && (p.pending.Len() > maxPending || p.pending.Kept() > maxKept) {
		p.giveUp(true)
		p.adrift = true
	}
	if p.pending.Len() > 0 {
		p.meet(p.pending.First())
	}
}

// meet gives an operation that waits alone the answer that was read before it.
func (p *parser) meet(o *operation) {
	for len(p.early) > 0 && p.early[0].began < o.first {
		p.dropEarly()
	}
	if len(p.early) == 0 || p.open || p.adrift || p.pending.Len() > 1 || p.early[0].ended == 0 {
		return
	}
	e := &p.early[0]
	o.began, o.ended, o.received, o.failed = e.began, e.ended, e.received, e.failed
	p.tag, p.code, p.message = append(p.tag[:0], e.tag...), append(p.code[:0], e.code...), append(p.message[:0], e.message...)
	p.early = append(p.early[:0], p.early[1:]...)
	p.pop(true)
}

// dropEarly gives up what nobody asked for. An error that ends the session is told.
func (p *parser) dropEarly() {
	e := p.early[0]
	p.early = append(p.early[:0], p.early[1:]...)
	if p.gone = e.began; e.failed && e.fatal {
		p.code, p.message = append(p.code[:0], e.code...), append(p.message[:0], e.message...)
		p.lone("ERROR", nil, e.began, e.began, e.received, p.holed || !p.begun)
	}
}

// back takes a message of the server.
func (p *parser) back(h *half, b []byte, now int64) {
	switch h.kind {
	case 'A':
		p.notification(h, b, now)
		return
	case 'S', 'K', 'v', 'N':
		if p.pending.Len() > 0 && (h.kind == 'N' || p.pending.First().kind == session) {
			p.pending.First().received += uint64(h.size)
		}
		return
	}
	missed := h.missed
	if missed {
		h.missed = false
		p.catchUp(h)
	}
	if h.kind == 'Z' {
		p.answered++
	}
	if len(p.early) > 0 && !p.coming() && p.pending.Len() > 0 { // which of these was answered before is not known
		p.strand()
	}
	switch {
	case p.adrift:
	case p.pending.Len() == 0 || p.pending.First().first > h.first || p.coming():
		if p.unasked(h, b, missed, now); p.pending.Len() > 0 {
			p.meet(p.pending.First())
		}
	case h.kind == 'Z':
		p.ready(h, now)
	default:
		p.answer(h, b, now)
	}
}

// strand gives up what waits, and the answers that were read before it.
func (p *parser) strand() {
	for p.pending.Len() > 0 {
		p.giveUp(true)
	}
	for len(p.early) > 0 {
		p.dropEarly()
	}
	p.adrift = true
}

// coming says that an answer that was read before what it answers goes on.
func (p *parser) coming() bool {
	n := len(p.early)
	return n > 0 && p.early[n-1].ended == 0
}

// unasked takes an answer that nothing waits for. If it is not an error of the server's own, the
// question may have been captured late.
func (p *parser) unasked(h *half, b []byte, missed bool, now int64) {
	if missed { // what the hole was in, or what waits behind it, cannot be told
		for len(p.early) > 0 {
			p.dropEarly()
		}
		p.gone = h.first
		return
	}
	if n := len(p.early); !p.coming() {
		if h.kind == 'Z' {
			return
		}
		if n == maxEarly {
			p.dropEarly()
			p.gone = h.first
		}
		p.early = append(p.early, early{began: h.first})
	}
	e := &p.early[len(p.early)-1]
	switch e.received += uint64(h.size); h.kind {
	case 'Z':
		e.ended = now
	case 'C':
		e.tag = append(e.tag[:0], cut0(b)...)
	case 'E':
		p.fail(b)
		e.failed, e.fatal = true, p.fatal
		e.code, e.message = append([]byte(nil), p.code...), append([]byte(nil), p.message...)
	}
}

// catchUp gives up what was asked before, where its answers may have been lost.
func (p *parser) catchUp(h *half) {
	if p.half[0].missed { // nor is what this answers known to be something that waits
		for p.pending.Len() > 0 {
			p.giveUp(true)
		}
		return
	}
	last, batches := 0, 0 // the beginning of the newest batch
	waited := true        // the client had an answer to each one before the next
	for i := range p.pending.Len() {
		o := p.pending.At(i)
		if o.first > h.first {
			break
		}
		if i == 0 || p.pending.At(i-1).sync {
			if batches > 0 {
				before := p.pending.At(i - 1).began
				waited = waited && before != 0 && before <= o.first
			}
			last = i
			batches++
		}
	}
	if batches > 1 {
		p.adrift = p.alone < patient && !waited
		for range last {
			p.giveUp(true)
		}
	}
	p.torn = batches > 0 && (h.kind == 'Z' || p.pending.First().began != 0)
	if batches > 0 && p.behind { // the beginning of the answer may be missing
		p.pending.First().cut = true
	}
}

// answer takes a message that answers the first operation.
func (p *parser) answer(h *half, b []byte, now int64) {
	o := p.pending.First()
	if p.torn && !o.sync {
		return // whose it is cannot be told
	}
	if o.began == 0 {
		o.began = h.first
	}
	o.ended = now
	o.received += uint64(h.size)
	o.cut = o.cut || h.cut
	if o.failed {
		return
	}
	switch h.kind {
	case '1':
		o.answered(parsed5)
	case '2':
		o.answered(bound5)
	case '3':
		o.answered(closed5)
	case 'T', 'n':
		o.answered(described5)
	case 'D', 'd':
		p.row(h, b)
	case 'C', 'I', 's':
		if h.kind == 'C' && !h.cut {
			p.tag = append(p.tag[:0], cut0(b)...)
		}
		o.answered(done5)
	case 'E':
		p.fail(b)
		o.failed = true
	}
	if o.kind == session || o.kind == simple || o.kind == function || o.sync || o.failed || !o.complete() {
		return
	}
	p.pop(true)
}

func (o *operation) answered(what int) {
	if o.want[what] > 0 {
		o.want[what]--
	}
}

// ready ends a batch. What stands in it behind an error was not run.
func (p *parser) ready(h *half, now int64) {
	failed := false
	for i := 0; p.pending.Len() > 0 && p.pending.First().first <= h.first; i++ {
		o := p.pending.First()
		o.cut = o.cut || p.torn || !failed && !o.failed && !o.complete()
		if o.sync && (!failed && (i == 0 || !p.torn) || o.began != 0) { // else it may not have been run
			if o.began == 0 {
				o.began = h.first
			}
			o.ended = now
			o.received += uint64(h.size)
		}
		sync := o.sync
		failed = failed || o.failed
		p.pop(o.began != 0)
		if sync {
			break
		}
	}
	p.torn = false
}

// row takes data.
func (p *parser) row(h *half, b []byte) {
	p.data += uint64(h.size - headerSize)
	if !p.bodies {
		return
	}
	if h.kind == 'd' {
		p.rows = p.keep(p.rows, b)
		p.rowsCut = uint64(len(p.rows)) < p.data
		return
	}
	if len(p.rows) >= p.limit || len(b) < h.size-headerSize {
		p.rowsCut = true
	}
	if len(b) < 2 || len(p.rows) >= p.limit {
		return
	}
	n := binary.BigEndian.Uint16(b)
	b = b[2:]
	for i := range n {
		if i > 0 {
			p.rows = append(p.rows, '\t')
		}
		if len(b) < 4 {
			break
		}
		size := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		if size < 0 {
			p.rows = append(p.rows, `\N`...)
			continue
		}
		k := min(len(b), int(size))
		p.rows = p.keep(p.rows, b[:k])
		p.rowsCut = p.rowsCut || len(p.rows) >= p.limit
		b = b[k:]
	}
	p.rows = append(p.rows, '\n')
	p.rows = p.rows[:min(len(p.rows), p.limit)]
}

// fail takes the fields of an error.
func (p *parser) fail(b []byte) {
	p.code, p.message = p.code[:0], p.message[:0]
	for len(b) > 1 && b[0] != 0 {
		field := b[0]
		var value []byte
		value, b, _ = cstring(b[1:])
		switch field {
		case 'S':
			p.fatal = string(value) == "FATAL" || string(value) == "PANIC"
		case 'V': // the same in English, of all servers since version 9.6
			p.fatal = string(value) == "FATAL" || string(value) == "PANIC"
		case 'C':
			p.code = append(p.code[:0], value...)
		case 'M':
			p.message = append(p.message[:0], value...)
		}
	}
}

// cut0 is a string without its end.
func cut0(b []byte) []byte {
	s, _, _ := cstring(b)
	return s
}

// giveUp hands out the first operation with as much as there is of its response.
func (p *parser) giveUp(lost bool) {
	o := p.pending.First()
	o.cut = o.cut || lost
	p.pop(o.began != 0)
}

// pop takes the first operation off and hands it out, if it is one to be told.
func (p *parser) pop(responded bool) {
	if p.pending.Len() == 1 {
		p.open = false
	}
	o := p.pending.Take()
	failed := responded && o.failed
	if o.kind != quiet || failed {
		p.tell(o, responded)
	}
	if responded {
		p.tag = p.tag[:0]
		p.rows, p.data, p.rowsCut = p.rows[:0], 0, false
		p.copied, p.sent = p.copied[:0], 0
		if cap(p.rows)+cap(p.copied) > maxIdle {
			p.rows, p.copied = nil, nil
		}
	}
}

// tell hands out an operation.
func (p *parser) tell(o *operation, responded bool) {
	p.good = p.good || responded
	e := &p.e
	*e = exchange{kind: o.kind, asked: true, said: responded, short: o.short, pid: e.pid, user: p.user, database: p.database,
		sizes: [2]uint64{o.size, 0}, bodies: p.bodies, limit: p.wanted}
	if o.name {
		e.statement = p.pending.Bytes(o.text)
	} else {
		e.query = p.pending.Bytes(o.text)
	}
	c := &e.call
	*c = dissect.Call{Message: e, Incomplete: o.cut, Time: o.first, RequestEnd: o.last, RequestSize: o.size}
	if responded {
		e.tag, e.rows, e.data, e.rowsCut, e.copied, e.sent = p.tag, p.rows, p.data, p.rowsCut, p.copied, p.sent
		e.sizes[1] = o.received
		if o.failed {
			e.failed, e.code, e.message = true, p.code, p.message
		}
		c.Error = o.failed
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = o.began, o.ended, o.received
	}
	p.sink.Call(c)
}

// lone hands out what the server said unasked.
func (p *parser) lone(word string, text []byte, first, last int64, size uint64, cut bool) {
	e := &p.e
	*e = exchange{word: word, said: true, query: text, user: p.user, database: p.database, sizes: [2]uint64{0, size}, bodies: p.bodies, limit: p.wanted}
	if word == "ERROR" {
		e.failed, e.code, e.message = true, p.code, p.message
	}
	e.call = dissect.Call{Message: e, Reverse: true, Incomplete: cut, Error: e.failed,
		Time: first, ResponseStart: first, ResponseEnd: last, ResponseSize: size}
	p.sink.Call(&e.call)
}

// notification hands out what a client that listens was told: process, channel, payload.
func (p *parser) notification(h *half, b []byte, now int64) {
	if len(b) < 4 {
		return
	}
	channel, rest, ok := cstring(b[4:])
	if !ok {
		return
	}
	text := append(p.text[:0], channel...)
	if payload, _, _ := cstring(rest); len(payload) > 0 {
		text = append(append(text, ' '), payload...)
	}
	p.text = text
	p.good = true
	p.lone("NOTIFICATION", text, h.first, now, uint64(h.size), h.cut)
}
