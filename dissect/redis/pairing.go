package redis

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
)

// patient is after how many commands that were each answered before the next one a client is
// believed to ask one thing at a time.
const patient = 3

// uncounted keeps the replies of a turn from being as many as its commands.
const uncounted = 1 << 32

// answer is a reply, or a push.
type answer struct {
	raw   []byte
	size  uint64
	first int64
	last  int64
	top   int
	fail  int
	cut   bool
}

// held is a reply that was read before its command; it owns its bytes.
type held struct{ answer }

// command takes a command of the client.
func (p *parser) command(h *half, raw []byte, now int64) {
	if h.scan.todo == 0 && !h.scan.inline && len(raw) > 1 && (raw[1] == '0' || raw[1] == '-') {
		return // an empty array is no command
	}
	if h.scan.inline && (!p.good || h.missed) && !known(firstWord(raw)) {
		p.bad++ // out of step: this is not the beginning of a command
		h.lose()
		return
	}
	r := request{size: h.size, first: h.first, last: now, inline: h.scan.inline, cut: h.cut}
	r.kind = kindOf(raw, r.inline)
	if r.kind == subscribe {
		r.want = confirmations(raw, r.inline)
	}
	if name, _ := first(raw); !p.good && !r.inline && known(name) {
		p.good = true
	}
	h.missed = h.missed && (p.begun || p.holed) // else there was nothing before
	p.begun = true
	if p.answered > 0 {
		switch {
		case p.asked == 1 && p.answered == 1:
			p.alone = min(p.alone+1, patient)
		case !h.missed:
			p.alone = 0
		}
		p.adrift = p.adrift && p.asked != p.answered
		p.asked, p.answered = 0, 0
	}
	if p.asked++; p.asked == 1 {
		p.since = r.first
	}
	if r.first < p.gone { // its reply may be the one that waited for it too long
		for p.pending.Len() > 0 {
			p.giveUp(true)
		}
		p.adrift = true
		p.asked += uncounted
	}
	if h.missed {
		// Questions are missing: whose the next replies are cannot be told, but that who asks
		// one thing at a time has had all before.
		p.adrift = p.adrift || p.pending.Len() > 0 || p.alone < patient
		for p.pending.Len() > 0 {
			p.giveUp(true)
		}
	}
	h.missed = false
	switch {
	case p.leader.state != asking, r.kind == acknowledge:
		p.leader.begin()
		p.unanswered(&r, raw)
		return
	case r.kind == dump:
		p.leader.state = dataSize
		p.unanswered(&r, raw)
		return
	case r.kind == replyOn:
		p.muted, p.skip = false, false
	case p.muted, r.kind == replyOff:
		p.muted = true
		p.unanswered(&r, raw)
		return
	case r.kind == replySkip:
		p.skip = true
		p.unanswered(&r, raw)
		return
	case p.skip:
		p.skip = false
		p.unanswered(&r, raw)
		return
	}
	if p.adrift {
		r.cut = true
		p.tell(&r, raw, nil)
		return
	}
	p.pending.Add(r).raw = p.pending.Extend(raw)
	for p.pending.Len() > 1 && (p.pending.Len() > maxPending || p.pending.Kept() > maxKept) {
		p.giveUp(true)
		p.adrift = true
	}
	p.meet(&r)
}

func firstWord(line []byte) []byte {
	w := newWords(line, true)
	word, _ := w.next()
	return word
}

// confirmations is how many replies a command of subscribe's kind has.
func confirmations(raw []byte, inline bool) int {
	if !inline {
		n, _ := count(raw[:bytes.IndexByte(raw, '\n')+1])
		return max(1, int(n-1))
	}
	n := -1
	for w := newWords(raw, true); ; n++ {
		if _, ok := w.next(); !ok {
			return max(1, n)
		}
	}
}

// unanswered hands out a command that has no reply.
func (p *parser) unanswered(r *request, raw []byte) {
	p.asked--
	p.tell(r, raw, nil)
}

// giveUp hands out the first command that waits without its reply.
func (p *parser) giveUp(lost bool) {
	r := p.pending.Take()
	r.cut = r.cut || lost
	p.tell(r, p.pending.Bytes(r.raw), nil)
}

// meet gives a command that waits alone the reply that was read before it, as packets of the
// two sides may have been captured the other way round.
func (p *parser) meet(r *request) {
	if len(p.held) == 0 {
		return
	}
	p.release(r.first)
	if len(p.held) > 0 && p.pending.Len() == 1 {
		a := p.held[0].answer
		p.held = append(p.held[:0], p.held[1:]...)
		p.pair(&a)
	}
}

// release drops the replies that were said before a time: their commands were not seen.
func (p *parser) release(until int64) {
	n := 0
	for n < len(p.held) && p.held[n].first <= until {
		p.gone = max(p.gone, p.held[n].first)
		n++
	}
	p.held = append(p.held[:0], p.held[n:]...)
}

// reply takes what the server said.
func (p *parser) reply(h *half, raw []byte, now int64) {
	a := answer{raw: raw, size: h.size, first: h.first, last: now, top: int(min(h.scan.top, maxKept)), fail: int(min(h.scan.fail, maxKept)), cut: h.cut}
	if v := a.raw[min(a.top, len(a.raw)):]; a.cut && len(v) > 0 && v[0] == '>' {
		if _, v := first(v); v != done {
			return // too little to tell whether it is a confirmation
		}
	}
	if p.unasked(&a) {
		p.push(&a)
		return
	}
	if a.first >= p.since { // else it is the reply to an earlier one
		p.answered++
	}
	missed := h.missed
	if missed {
		h.missed = false
		if p.catchUp(&a); p.adrift {
			return
		}
	}
	if p.adrift {
		return
	}
	if p.pending.Len() > 0 && p.pending.First().first <= a.first {
		if a.raw[min(a.top, len(a.raw)-1)] != '>' || p.pending.First().kind == subscribe {
			p.pair(&a)
		}
		return
	}
	if p.pending.Len() == 0 && (missed || len(p.held) == maxHeld) {
		p.gone = a.first
	} else if p.pending.Len() == 0 {
		a.raw = append([]byte(nil), a.raw...)
		p.held = append(p.held, held{a})
	}
}

// catchUp gives up the commands whose replies may have been lost. Who asks one thing at a time
// had all replies but the last.
func (p *parser) catchUp(a *answer) {
	if p.half[0].missed { // nor is the command of this reply known to be one that waits
		for p.pending.Len() > 0 {
			p.giveUp(true)
		}
		return
	}
	if p.alone < patient && p.pending.Len() > 1 {
		for p.pending.Len() > 0 {
			p.giveUp(true)
		}
		p.adrift = true
		return
	}
	for p.pending.Len() > 1 && p.pending.At(1).first <= a.first {
		p.giveUp(true)
	}
}

// unasked says whether the server said that without having been asked.
func (p *parser) unasked(a *answer) bool {
	v := a.raw[min(a.top, len(a.raw)):]
	if len(v) == 0 || v[0] != '>' && v[0] != '*' && v[0] != '+' {
		return false
	}
	asks := p.pending.Len() > 0
	if v[0] == '+' {
		return (p.monitors || asks && p.pending.First().kind == monitor) && len(v) > 1 && v[1] >= '0' && v[1] <= '9'
	}
	if v[0] == '*' && asks && !p.subscribed && p.pending.First().kind != subscribe {
		return false
	}
	name, _ := first(v)
	return v[0] == '>' && !confirms(name) || published(name)
}

// confirms says whether an array that begins with that word answers a command of subscribe's kind.
func confirms(name []byte) bool {
	return bytes.HasSuffix(name, []byte("subscribe"))
}

// confirmedBy says whether an array that begins with that word is a confirmation of the command.
func (r *request) confirmedBy(p *pending, name []byte) bool {
	w := newWords(p.Bytes(r.raw), r.inline)
	asked, _ := w.next()
	return bytes.EqualFold(asked, name)
}

// pair gives the first command that waits its reply.
func (p *parser) pair(a *answer) {
	p.good = true
	if p.pending.Len() > 1 {
		p.alone = 0
	}
	r := p.pending.First()
	failed := a.top < len(a.raw) && (a.raw[a.top] == '-' || a.raw[a.top] == '!')
	switch {
	case r.kind == subscribe && !failed:
		if name, _ := first(a.raw[min(a.top, len(a.raw)):]); !r.confirmedBy(&p.pending, name) {
			p.giveUp(true)
			return
		}
		if r.began == 0 {
			r.began = a.first
		}
		r.received += a.size
		if r.want--; r.want > 0 {
			return
		}
		p.subscribed = !bytes.HasSuffix(a.raw, []byte(":0\r\n"))
		a.first, a.size = r.began, r.received
	case failed:
	case r.kind == monitor:
		p.monitors = true
	case r.kind == reset:
		p.subscribed, p.monitors = false, false
	case r.kind == follow:
		p.leader.follow(a.raw)
	}
	if !failed && r.kind != exec {
		a.fail = -1 // an error among the elements is not the command's
	}
	p.pending.Take()
	p.tell(r, p.pending.Bytes(r.raw), a)
}

// push hands out what was said unasked.
func (p *parser) push(a *answer) {
	p.good = true
	e := &p.e
	*e = exchange{resp: a.raw, said: true, unasked: true, size: a.size, top: a.top, fail: -1}
	e.limit, e.bodies = p.sink.Bodies()
	e.call = dissect.Call{Message: e, Reverse: true, Incomplete: a.cut,
		Time: a.first, ResponseStart: a.first, ResponseEnd: a.last, ResponseSize: a.size}
	p.sink.Call(&e.call)
}

// tell hands out a command with its reply, nil: without.
func (p *parser) tell(r *request, raw []byte, a *answer) {
	e := &p.e
	*e = exchange{req: raw, asked: true, inline: r.inline, reqSize: r.size, fail: -1}
	e.limit, e.bodies = p.sink.Bodies()
	c := &e.call
	*c = dissect.Call{Message: e, Incomplete: r.cut, Time: r.first, RequestEnd: r.last, RequestSize: r.size}
	if a != nil {
		e.resp, e.said, e.size, e.top, e.fail = a.raw, true, a.size, a.top, a.fail
		c.Error = a.fail >= 0
		c.Incomplete = r.cut || a.cut
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = a.first, a.last, a.size
	} else if r.began != 0 {
		c.ResponseStart, c.ResponseEnd, c.ResponseSize, c.Incomplete = r.began, r.began, r.received, true
	}
	p.sink.Call(c)
}

// led hands out a command that the server sent to its replica.
func (p *parser) led(h *half, raw []byte, now int64) {
	e := &p.e
	*e = exchange{req: raw, asked: true, inline: h.scan.inline, reqSize: h.size, fail: -1}
	e.limit, e.bodies = p.sink.Bodies()
	h.missed = false
	e.call = dissect.Call{Message: e, Reverse: true, Incomplete: h.cut, Time: h.first, RequestEnd: now, RequestSize: h.size}
	p.sink.Call(&e.call)
}
