package mysql

import (
	"encoding/binary"
	"slices"
	"strings"
)

// patient is after how many commands that were each answered before the next one a client is
// believed to wait for every response.
const patient = 3

// uncounted keeps the responses of a turn from being as many as its commands.
const uncounted = 1 << 32

// client takes a packet of the client.
func (p *parser) client(h *half, b []byte, now int64) {
	if h.seq == 0 && p.phase != command {
		p.missLogin()
	}
	size := uint64(headerSize + h.length)
	switch {
	case p.infile:
		p.file(h, b, size)
	case p.phase != command:
		p.loginPacket(h, b, now)
	case h.seq != 0 || h.goes: // belongs to the command before: its rest, or authentication
		if p.pending.Len() > 0 {
			o := p.pending.Newest()
			o.size += size
			o.short = o.short || h.goes
			if h.goes {
				o.last = now
			}
		}
	case len(b) == 0:
	case names[b[0]] == "" && !p.good, b[0] == 0:
		p.bad++ // no client sends that
		h.lose()
	default:
		p.command(h, b, now)
	}
}

// missLogin goes on behind a login that was not seen, or not its end.
func (p *parser) missLogin() {
	for p.pending.Len() > 0 {
		p.giveUp(true)
	}
	p.phase = command
}

// file takes a packet of a file that LOAD DATA LOCAL sends; an empty one ends it.
func (p *parser) file(h *half, b []byte, size uint64) {
	if p.pending.Len() > 0 {
		p.pending.First().size += size
		p.pending.First().cut = p.pending.First().cut || h.cut
	}
	if h.length == 0 {
		p.infile = false
		return
	}
	p.sent += uint64(h.length)
	if p.bodies {
		p.copied = append(p.copied, b[:min(len(b), max(0, p.limit-len(p.copied)))]...)
	}
}

// loginPacket takes what a client says before it is let in.
func (p *parser) loginPacket(h *half, b []byte, now int64) {
	size := uint64(headerSize + h.length)
	if p.phase == login {
		if p.pending.Len() > 0 {
			p.pending.Newest().size += size
		}
		return
	}
	if p.phase == unknown && !logsIn(h, b) {
		return
	}
	o := operation{login: true, size: size, first: h.first, last: now, cut: h.cut}
	if h.length == 32 && h.cut && (len(b) < 2 || binary.LittleEndian.Uint16(b)&capTLS != 0) {
		p.closed = true // of a request for TLS all but its capabilities is zero, or cut
		return
	}
	if len(b) < 32 {
		if len(b) > 1 && binary.LittleEndian.Uint16(b)&capProtocol41 != 0 { // its rest is missing
			p.begin(o, h, nil)
		} else if len(b) > 5 { // of before version 4.1: capabilities, greatest packet, user, password, database
			p.caps &= uint32(binary.LittleEndian.Uint16(b))
			p.begin(o, h, b[5:])
		}
		return
	}
	caps := binary.LittleEndian.Uint32(b)
	if caps&capTLS != 0 && h.length == 32 {
		p.closed = true
		return
	}
	if p.phase == unknown {
		p.caps = caps
	} else {
		p.caps &= caps
	}
	p.begin(o, h, b[32:])
}

// logsIn says whether a packet without a greeting before it is a login: what stands between
// the character set and the user is zero, but for the last four bytes of MariaDB's.
func logsIn(h *half, b []byte) bool {
	return h.seq == 1 && len(b) >= 34 && binary.LittleEndian.Uint32(b)&capProtocol41 != 0 && strings.Trim(view(b[9:28]), "\x00") == ""
}

// begin takes the names of who logs in.
func (p *parser) begin(o operation, h *half, rest []byte) {
	p.phase, p.begun, h.missed = login, true, false
	user, rest := name(rest, h.cut)
	p.user = append(p.user[:0], user...)
	p.database = p.database[:0]
	switch {
	case p.caps&capProtocol41 == 0:
		_, rest = cstring(rest)
	case p.caps&capLenencAuth != 0:
		_, rest, _ = lenstr(rest)
	case p.caps&capSecure != 0:
		if len(rest) > 0 {
			n := int(rest[0])
			rest = rest[min(len(rest), 1+n):]
		}
	default:
		_, rest = cstring(rest)
	}
	if p.caps&capConnectWithDB != 0 {
		db, _ := name(rest, h.cut)
		p.database = append(p.database, db...)
	}
	p.asked++
	p.pending.Add(o)
	p.response.reset()
}

// command takes a command.
func (p *parser) command(h *half, b []byte, now int64) {
	missed := h.missed && (p.begun || p.holed) // else there was nothing before
	h.missed, p.begun = false, true
	p.turn(h, missed)
	o := operation{com: b[0], size: uint64(headerSize + h.length), first: h.first, last: now, cut: h.cut}
	o.short = h.length > len(b) || h.length == maxPacket
	var text []byte
	b = b[1:]
	switch o.com {
	case comQuery:
		text = queryText(b, p.caps&capAttributes != 0)
	case comPrepare:
		text = b
		p.statements.last = append(p.statements.last[:0], text...)
	case comInitDB:
		text = b
	case comChangeUser:
		text, _ = name(b, o.short)
	case comFieldList:
		text, _ = cstring(b)
	case comExecute, comBulkExecute, comLongData, comStmtClose, comStmtReset, comFetch:
		o.short = false
		if len(b) >= 4 {
			o.id, o.hasID = binary.LittleEndian.Uint32(b), true
		}
		if st, ok := p.statements.byID[o.id]; ok {
			o.short, o.cut = st.short, o.cut || st.cut
			p.add(h, o, st.text)
			return
		} else if o.id == lastPrepared {
			text = p.statements.last
		}
	default:
		o.short = false
	}
	p.add(h, o, view(text))
}

// add lets a command wait for its response, if it has one.
func (p *parser) add(h *half, o operation, text string) {
	e := p.pending.Add(o)
	e.text = p.pending.ExtendString(text)
	switch {
	case o.com == comQuit, o.com == comStmtClose, o.com == comLongData:
		if o.com == comStmtClose {
			p.statements.close(o.id)
		}
		if p.adrift {
			break
		}
		if p.pending.Len() > 1 { // it does not wait
			for i := range p.pending.Len() - 1 {
				p.unsettle(p.pending.At(i))
			}
			p.tell(e, false)
			p.pending.Drop()
			return
		}
		p.giveUp(false)
		return
	}
	p.asked++
	for p.pending.Len() > 1 && (p.pending.Len() > maxPending || p.pending.Kept() > maxKept) {
		p.giveUp(true)
		p.adrift = true
	}
	if p.pending.Len() == 1 {
		p.response.reset()
	}
	p.meet(p.pending.First())
}

// turn is called when the client gives a command.
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
	switch {
	case h.first <= p.gone: // its response may be one that another came behind before it
		p.adrift, adrift = true, true
		p.asked += uncounted
	case missed:
		// Commands are missing: whose the next responses are cannot be told, but that who waits
		// for each has had all before.
		p.adrift = p.adrift || p.pending.Len() > 0 || p.alone < patient
		adrift = true
	case p.half[1].state == lost && p.pending.Len() > 0 && p.alone >= patient:
		adrift = true // the end of the response before was lost
	}
	for adrift && p.pending.Len() > 0 {
		p.giveUp(true)
	}
}

// useDatabase notes the database that a query chose, of which the end may be missing.
func (p *parser) useDatabase(text []byte, cut bool) {
	if len(text) < 5 || text[0]|0x20 != 'u' || text[1]|0x20 != 's' || text[2]|0x20 != 'e' || text[3] != ' ' {
		return
	}
	name := text[4:]
	for len(name) > 0 && (name[0] == ' ' || name[0] == '`') {
		name = name[1:]
	}
	for len(name) > 0 && slices.Contains([]byte(" ;`\n"), name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	if p.database = p.database[:0]; !cut {
		p.database = append(p.database, name...)
	}
}
