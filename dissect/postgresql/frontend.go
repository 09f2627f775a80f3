package postgresql

import "encoding/binary"

// front takes a message of the client.
func (p *parser) front(h *half, b []byte, now int64) {
	missed := h.missed && (p.begun || p.holed) // else there was nothing before
	switch h.kind {
	case 'd', 'c', 'f':
		p.copyIn(h, b)
		return
	case 'H':
		if p.open && p.pending.Len() > 0 {
			p.add(p.pending.Newest(), h, now)
		}
		return
	case 'p':
		if p.pending.Len() > 0 {
			p.pending.Newest().size += uint64(h.size)
		}
		return
	case 'X':
		return
	}
	h.missed = false
	p.turn(h, missed)
	var o *operation
	switch h.kind {
	case 0:
		p.startup(h, b, now)
		return
	case 'Q':
		text, _, whole := cstring(b)
		o = p.begin(simple, h)
		p.say(statement{view(text), !whole, h.cut})
		o.sync = true
	case 'F':
		o = p.begin(function, h)
		o.sync = true
	case 'P':
		name, rest, _ := cstring(b)
		text, _, whole := cstring(rest)
		p.statements.parse(name, text, !whole, h.cut)
		o = p.current(h, func(o *operation) bool { return o.parsed || o.bound || o.run })
		if o.kind == quiet {
			o.kind = prepare
		}
		p.say(statement{view(text), !whole, h.cut})
		o.parsed = true
		o.want[parsed5]++
	case 'B':
		portal, rest, _ := cstring(b)
		name, _, _ := cstring(rest)
		p.statements.bind(portal, name)
		o = p.current(h, func(o *operation) bool { return o.bound || o.run || o.parsed && !p.prepared(o, name) })
		o.bound = true
		o.want[bound5]++
	case 'E':
		portal, _, _ := cstring(b)
		o = p.current(h, func(o *operation) bool { return o.run })
		o.kind, o.run = execute, true
		p.resolve(o, portal)
		o.want[done5]++
	case 'D':
		o = p.current(h, nil)
		o.want[described5]++
	case 'C':
		if name, _, _ := cstring(b[min(1, len(b)):]); len(b) > 0 && b[0] == 'S' {
			p.statements.close(name)
		}
		o = p.current(h, nil)
		o.want[closed5]++
	case 'S':
		o = p.current(h, nil)
		o.sync = true
	}
	p.add(o, h, now)
	if o.sync {
		p.asked++
		p.open = false
	}
	p.bound()
}

// begin adds an operation.
func (p *parser) begin(k kind, h *half) *operation {
	p.begun = true
	p.open = false
	return p.pending.Add(operation{kind: k, first: h.first})
}

// current is the operation that a message of an extended query belongs to: the newest, or a
// new one if that is complete or has what the message would add.
func (p *parser) current(h *half, has func(*operation) bool) *operation {
	if p.open && p.pending.Len() > 0 {
		if o := p.pending.Newest(); has == nil || !has(o) {
			return o
		}
	}
	o := p.begin(quiet, h)
	p.open = true
	return o
}

// add counts a message of an operation.
func (p *parser) add(o *operation, h *half, now int64) {
	o.size += uint64(h.size)
	o.last = now
	o.cut = o.cut || h.cut
}

// prepared says whether the Parse of an operation was that of the statement of that name.
func (p *parser) prepared(o *operation, name []byte) bool {
	text := p.pending.Bytes(o.text)
	if len(name) == 0 {
		return view(text) == p.statements.unnamed.text
	}
	st := p.statements.named[string(name)]
	return st != nil && st.text == view(text)
}

// resolve gives an operation the text of the statement that a portal is bound to.
func (p *parser) resolve(o *operation, portal []byte) {
	s := &p.statements
	st := s.portal
	switch {
	case len(portal) > 0:
		st = s.portals[string(portal)]
	case s.free:
		p.say(s.unnamed)
		return
	}
	if st != nil {
		p.say(*st)
		return
	}
	o.name = o.text.Empty()
	name := s.last
	if len(portal) > 0 {
		name = portal
	}
	p.say(statement{text: view(name)})
}

// copyIn counts data that goes to the server.
func (p *parser) copyIn(h *half, b []byte) {
	if p.pending.Len() == 0 {
		return
	}
	o := p.pending.First()
	o.size += uint64(h.size)
	o.cut = o.cut || h.cut
	if h.kind == 'd' {
		p.sent += uint64(h.size - headerSize)
		p.copied = p.keep(p.copied, b)
	}
}

// keep appends bytes of a body, up to its limit.
func (p *parser) keep(dst, b []byte) []byte {
	if !p.bodies {
		return dst
	}
	return append(dst, b[:min(len(b), max(0, p.limit-len(dst)))]...)
}

// startup takes a packet without a kind.
func (p *parser) startup(h *half, b []byte, now int64) {
	if len(b) < 4 {
		return
	}
	switch code := binary.BigEndian.Uint32(b); {
	case code == sslRequest:
		p.asksByte = 'S'
	case code == gssRequest:
		p.asksByte = 'G'
	case code == cancelRequest && len(b) >= 8:
		p.add(p.begin(cancel, h), h, now)
		p.e.pid = binary.BigEndian.Uint32(b[4:])
		p.giveUp(false)
	case code>>16 == versionThree>>16:
		p.user, p.database = p.user[:0], p.database[:0]
		whole := false
		for rest := b[4:]; ; {
			key, value, ok := cstring(rest)
			if !ok || len(key) == 0 {
				whole = ok
				break
			}
			if value, rest, ok = cstring(value); !ok { // the end of it is missing
				break
			}
			switch string(key) {
			case "user":
				p.user = append(p.user, value...)
			case "database":
				p.database = append(p.database, value...)
			}
		}
		if len(p.database) == 0 && whole {
			p.database = append(p.database, p.user...)
		}
		o := p.begin(session, h)
		o.sync = true
		p.asked++
		p.add(o, h, now)
	}
}
