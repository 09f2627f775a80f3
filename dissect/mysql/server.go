package mysql

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
)

// stage is how far a response has come.
type stage uint8

const (
	first   stage = iota // its first packet, or that of one more result
	columns              // left definitions of columns
	rows                 // up to an EOF
	defs                 // left definitions of a prepared statement
	stream               // of a binary log
)

// response is that of the first operation.
type response struct {
	stage   stage
	left    uint64
	eof     bool // the EOF behind the columns was there, or there is none
	next    byte // number of the next packet
	code    uint16
	message []byte
	rows    []byte // if bodies are wanted
	data    uint64 // bytes of rows, all of them
	rowsCut bool
}

func (r *response) reset() {
	message, kept := r.message[:0], r.rows[:0]
	if cap(kept) > maxIdle {
		kept = nil
	}
	*r = response{message: message, rows: kept}
}

// maxEarly is how many responses wait for their commands at most.
const maxEarly = 16

// early is a response that was read before its command.
type early struct {
	began, ended int64
	received     uint64
	failed       bool
	open         bool // the last packet of it was not one that ends it
	torn         bool // bytes of it are missing
	code         uint16
	message      []byte
}

// meet gives a command that waits alone the response that was read before it.
func (p *parser) meet(o *operation) {
	p.expire(o.first)
	if len(p.early) == 0 || p.pending.Len() > 1 || p.adrift {
		return
	}
	e := &p.early[0]
	o.began, o.ended, o.received, o.failed, o.cut = e.began, e.ended, e.received, e.failed, o.cut || e.open || e.torn
	p.response.code, p.response.message = e.code, append(p.response.message[:0], e.message...)
	p.early = append(p.early[:0], p.early[1:]...)
	switch text := p.pending.Bytes(o.text); {
	case o.failed:
	case o.com == comInitDB:
		p.initDatabase(o, text)
	case o.com == comQuery:
		p.useDatabase(text, o.cut || o.short)
	}
	p.pop(true)
}

// expire gives up the responses that began before a time: their commands were not seen.
func (p *parser) expire(until int64) {
	n := 0
	for n < len(p.early) && p.early[n].began < until {
		p.gone = p.early[n].began
		n++
	}
	p.early = append(p.early[:0], p.early[n:]...)
}

// server takes a packet of the server.
func (p *parser) server(h *half, b []byte, now int64) {
	switch p.phase {
	case command:
		p.respond(h, b, now)
	case login:
		p.admit(h, b, now)
	case unknown:
		if len(b) > 0 && b[0] == protocolVersion && h.seq == 0 {
			p.greeting(b)
			return
		}
		fallthrough
	case greeted:
		if fails(b) && (h.seq == 0 || p.phase == greeted && p.gone == 0) {
			p.fail(b)
			p.lone(h, now)
		}
		p.gone = h.first // what this answers was not seen, or comes late
	}
}

// fails says whether a packet is an error, which a report of progress is not.
func fails(b []byte) bool {
	return len(b) > 2 && b[0] == packetError && binary.LittleEndian.Uint16(b[1:]) != progressReport
}

// greeting takes what the server begins with: version, capabilities.
func (p *parser) greeting(b []byte) {
	p.phase = greeted
	_, rest := cstring(b[1:])
	if len(rest) < 15 {
		p.caps = ^uint32(0)
		return
	}
	p.caps = uint32(binary.LittleEndian.Uint16(rest[13:]))
	if len(rest) >= 20 {
		p.caps |= uint32(binary.LittleEndian.Uint16(rest[18:])) << 16
	}
}

// admit takes what the server says to a login.
func (p *parser) admit(h *half, b []byte, now int64) {
	if p.pending.Len() == 0 || len(b) == 0 || p.pending.First().first > h.first {
		return
	}
	o := p.pending.First()
	o.cut = o.cut || h.missed
	h.missed = false
	p.seen(o, h, now, headerSize+h.length)
	switch b[0] {
	case packetOK:
		p.phase = command
		p.wrapping = p.caps&(capCompress|capZstd) != 0
		p.answered++
		p.done(now)
	case packetError:
		if len(b) >= 3 && binary.LittleEndian.Uint16(b[1:]) == progressReport {
			return
		}
		p.fail(b)
		o.failed = true
		p.answered++
		p.done(now)
	}
}

// seen counts bytes of a response.
func (p *parser) seen(o *operation, h *half, now int64, size int) {
	if o.began == 0 {
		o.began = h.first
	}
	o.ended = now
	o.received += uint64(size)
	o.cut = o.cut || h.cut
}

// respond takes a packet of a response.
func (p *parser) respond(h *half, b []byte, now int64) {
	missed := h.missed
	if missed {
		h.missed = false
		p.catchUp(h)
	}
	if h.seq == 1 {
		p.answered++
	}
	if p.adrift {
		return
	}
	if n := p.response.next; h.seq == 1 && n != 1 && n != 0 && p.pending.Len() > 0 && p.pending.First().began != 0 && p.sent == 0 {
		p.giveUp(true) // another response: what ended the one before was not recognised
	}
	p.response.next = h.seq + 1
	if p.pending.Len() == 0 || p.pending.First().first > h.first {
		p.unasked(h, b, missed, now)
		return
	}
	o := p.pending.First()
	if o.began == 0 && h.seq != 1 && o.size <= maxPacket && o.com != comChangeUser && !h.goes {
		return // the end of what was not seen from its beginning
	}
	p.seen(o, h, now, headerSize+h.length)
	if h.goes {
		return
	}
	if p.infile { // the server says nothing until it has the file, but that it may come late
		if p.infile = h.seq <= 2 || len(b) == 0 || b[0] != packetOK && !fails(b); p.infile {
			return
		}
		o.cut = true
	}
	if len(b) == 0 { // its content is missing, but not that it was there
		if r := &p.response; r.left > 0 {
			if r.left--; r.left == 0 && r.stage == columns {
				r.stage = rows
			}
		}
		return
	}
	if b[0] == packetError && (p.response.stage != rows || h.length < maxPacket) {
		if len(b) >= 3 && binary.LittleEndian.Uint16(b[1:]) == progressReport {
			return
		}
		p.fail(b)
		o.failed = true
		p.done(now)
		return
	}
	switch r := &p.response; r.stage {
	case first:
		p.firstPacket(o, h, b, now)
	case columns:
		if r.left--; r.left == 0 {
			r.stage = rows
		}
	case rows:
		p.row(o, h, b, now)
	case defs:
		if b[0] == packetEOF && h.length == 5 {
			if r.left == 0 {
				p.done(now)
			}
		} else if r.left > 0 {
			if r.left--; r.left == 0 && (p.caps == 0 || p.caps&(1<<24) != 0) {
				p.done(now)
			}
		}
	case stream:
		if b[0] == packetEOF && h.length == 5 {
			p.done(now)
		}
	}
}

// firstPacket takes the one that says what kind of response it is.
func (p *parser) firstPacket(o *operation, h *half, b []byte, now int64) {
	r := &p.response
	switch o.com {
	case comQuery, comExecute, comBulkExecute, comProcessInfo:
		switch {
		case b[0] == packetOK, b[0] == packetEOF && h.length < 9:
			if o.com == comQuery {
				p.useDatabase(p.pending.Bytes(o.text), o.cut || o.short)
			}
			p.result(b, now)
		case b[0] == packetInfile && o.com == comQuery:
			p.infile = true
		default:
			n, rest, ok := lenenc(b)
			if !ok || n == 0 {
				p.done(now)
				return
			}
			r.stage, r.left, r.eof = columns, n, false
			if len(rest) == 1 && rest[0] == 0 { // the client knows them (MariaDB)
				r.stage = rows
			}
		}
	case comPrepare:
		if b[0] != packetOK || len(b) < 9 {
			p.done(now)
			return
		}
		p.statements.add(binary.LittleEndian.Uint32(b[1:]), statement{string(p.pending.Bytes(o.text)), o.short, o.cut})
		o.id, o.hasID = binary.LittleEndian.Uint32(b[1:]), true
		r.left = uint64(binary.LittleEndian.Uint16(b[5:])) + uint64(binary.LittleEndian.Uint16(b[7:]))
		if r.stage = defs; r.left == 0 {
			p.done(now)
		}
	case comFieldList, comFetch:
		r.stage, r.eof = rows, true
		p.row(o, h, b, now)
	case comChangeUser:
		if b[0] == packetOK {
			p.user = append(p.user[:0], p.pending.Bytes(o.text)...)
			p.done(now)
		}
	case comBinlogDump, comBinlogGTID, comTableDump:
		if r.stage = stream; b[0] == packetEOF && h.length == 5 {
			p.done(now)
		}
	case comInitDB:
		if b[0] == packetOK {
			p.initDatabase(o, p.pending.Bytes(o.text))
		}
		p.done(now)
	default:
		p.done(now)
	}
}

// result ends one of perhaps many results.
func (p *parser) result(b []byte, now int64) {
	if flags, ok := status(b); ok && flags&moreResults != 0 {
		p.response.stage = first
		return
	}
	p.done(now)
}

// row takes a row, or what is behind the last one.
func (p *parser) row(o *operation, h *half, b []byte, now int64) {
	r := &p.response
	if b[0] == packetEOF && h.length < maxPacket {
		if h.length == 5 && !r.eof {
			r.eof = true
			if flags, _ := status(b); flags&cursorExists != 0 {
				p.done(now)
			}
			return
		}
		p.result(b, now)
		return
	}
	r.data += uint64(h.length)
	if !p.bodies {
		return
	}
	if len(b) < h.length || len(r.rows) >= p.limit {
		r.rowsCut = true
	}
	if o.com != comQuery {
		r.rows = append(r.rows, b...)
	} else {
		for n := 0; len(b) > 0; n++ {
			if n > 0 {
				r.rows = append(r.rows, '\t')
			}
			if b[0] == packetInfile { // NULL
				r.rows, b = append(r.rows, `\N`...), b[1:]
				continue
			}
			s, rest, ok := lenstr(b)
			if !ok {
				break
			}
			r.rows, b = append(r.rows, s...), rest
		}
	}
	r.rows = append(r.rows, '\n')
	if len(r.rows) > p.limit {
		r.rows, r.rowsCut = r.rows[:p.limit], true
	}
}

// fail takes an error: its code, its state, what it says.
func (p *parser) fail(b []byte) {
	r := &p.response
	r.code, r.message = 0, r.message[:0]
	if len(b) < 3 {
		return
	}
	r.code = binary.LittleEndian.Uint16(b[1:])
	b = b[3:]
	if len(b) > 0 && b[0] == '#' {
		b = b[min(6, len(b)):]
	}
	r.message = append(r.message, b...)
}

// unasked takes a response that nothing waits for: its command may have been captured late.
func (p *parser) unasked(h *half, b []byte, missed bool, now int64) {
	failed := fails(b)
	switch {
	case h.seq == 1 && (missed || p.wrapping || len(p.early) == maxEarly):
		p.gone, p.early = h.first, p.early[:0]
		return
	case h.seq == 1:
		e := early{began: h.first, failed: failed, open: len(b) == 0 || b[0] != packetOK && !failed}
		if failed {
			p.fail(b)
			e.code, e.message = p.response.code, append([]byte(nil), p.response.message...)
		}
		p.early = append(p.early, e)
	case h.seq == 0 && failed: // the server says why it ends the connection
		p.fail(b)
		p.lone(h, now)
		return
	case len(p.early) == 0:
		return
	}
	e := &p.early[len(p.early)-1]
	e.torn = e.torn || h.cut
	if h.seq > 1 && len(b) > 0 {
		flags, _ := status(b)
		e.open = !failed && (b[0] != packetEOF || h.length == maxPacket || flags&moreResults != 0)
	}
	if failed && h.seq > 1 { // of several results
		p.fail(b)
		e.failed, e.code, e.message = true, p.response.code, append([]byte(nil), p.response.message...)
	}
	e.ended = now
	e.received += uint64(headerSize + h.length)
}

// catchUp gives up what was asked before, where its responses may have been lost.
func (p *parser) catchUp(h *half) {
	if p.half[0].missed { // nor is the command of this response known to be one that waits
		for p.pending.Len() > 0 {
			p.giveUp(true)
		}
		return
	}
	last := 0
	waited := true // the client had a response to each command before the next
	for i := 0; i < p.pending.Len() && p.pending.At(i).first <= h.first; i++ {
		if i > 0 {
			before := p.pending.At(i - 1).began
			waited = waited && before != 0 && before <= p.pending.At(i).first
		}
		last = i
	}
	if last > 0 {
		p.adrift = p.alone < patient && !waited
		for range last {
			p.giveUp(true)
		}
	}
	if p.pending.Len() > 0 && (p.pending.First().began != 0 || p.behind) {
		p.pending.First().cut = true
	}
}

// done ends the response to the first operation.
func (p *parser) done(now int64) {
	p.pending.First().ended = now
	p.pop(true)
}

// giveUp hands out the first operation with as much as there is of its response.
func (p *parser) giveUp(lost bool) {
	o := p.pending.First()
	o.cut = o.cut || lost
	p.pop(o.began != 0)
}

// pop takes the first operation off and hands it out.
func (p *parser) pop(responded bool) {
	o := p.pending.Take()
	if !responded {
		p.unsettle(o)
	}
	p.tell(o, responded)
	p.response.reset()
	p.infile = false
	p.copied, p.sent = p.copied[:0], 0
	if cap(p.copied) > maxIdle {
		p.copied = nil
	}
}

// initDatabase takes the name of the database that a command chose, if all of it is there.
func (p *parser) initDatabase(o *operation, name []byte) {
	if p.database = p.database[:0]; !o.short {
		p.database = append(p.database, name...)
	}
}

// unsettle forgets what an operation may have changed, of which no response was seen.
func (p *parser) unsettle(o *operation) {
	switch o.com {
	case comInitDB:
		p.database = p.database[:0]
	case comQuery:
		p.useDatabase(p.pending.Bytes(o.text), true)
	case comChangeUser:
		p.user, p.database = p.user[:0], p.database[:0]
	}
}

// tell hands out an operation.
func (p *parser) tell(o *operation, responded bool) {
	p.good = p.good || responded
	e, r := &p.e, &p.response
	*e = exchange{com: o.com, login: o.login, asked: true, said: responded, short: o.short, id: o.id, hasID: o.hasID,
		query: p.pending.Bytes(o.text), user: p.user, database: p.database, sizes: [2]uint64{o.size, 0}, bodies: p.bodies, limit: p.wanted}
	c := &e.call
	*c = dissect.Call{Message: e, Incomplete: o.cut, Time: o.first, RequestEnd: o.last, RequestSize: o.size}
	if responded {
		e.failed, e.code, e.message = o.failed, r.code, r.message
		e.rows, e.data, e.rowsCut, e.copied, e.sent = r.rows, r.data, r.rowsCut, p.copied, p.sent
		e.sizes[1] = o.received
		c.Error = o.failed
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = o.began, o.ended, o.received
	}
	p.sink.Call(c)
}

// lone hands out an error that nothing was asked for: there is no connection to be had, or no
// longer.
func (p *parser) lone(h *half, now int64) {
	size := uint64(headerSize + h.length)
	e := &p.e
	*e = exchange{said: true, failed: true, code: p.response.code, message: p.response.message, user: p.user, database: p.database, sizes: [2]uint64{0, size}}
	e.call = dissect.Call{Message: e, Reverse: true, Incomplete: h.cut || p.holed, Error: true,
		Time: h.first, ResponseStart: h.first, ResponseEnd: now, ResponseSize: size}
	p.sink.Call(&e.call)
}
