package http1

import "github.com/sshark/sshark/dissect"

// flush hands out all that waits.
func (p *parser) flush() {
	p.releaseHeld(1<<63 - 1)
	for p.head < len(p.queue) {
		e := p.queue[p.head]
		p.drop(e)
		p.tell(e)
	}
}

// enqueue lets a request wait for its response, or gives it one that was there before it:
// packets of the two sides may have been captured, or put in order, the other way round.
func (p *parser) enqueue(e *exchange, h *half) {
	s := &p.half[p.client.Other()]
	if len(p.held) > 0 {
		p.releaseHeld(e.req.first)
	}
	if p.forsake(); p.head == len(p.queue) {
		if e.req.first >= p.gone {
			p.meet(e, s)
		}
	} else if !h.missed && !s.missed && s.state != inHead && p.gone == 0 {
		last := p.queue[len(p.queue)-1]
		p.pipelined = p.pipelined || !last.resp.seen
	}
	h.missed = false
	if p.head > 32 && p.head*2 > len(p.queue) {
		n := copy(p.queue, p.queue[p.head:])
		clear(p.queue[n:])
		p.queue, p.head = p.queue[:n], 0
	}
	p.queue = append(p.queue, e)
	p.kept += e.weight()
	for n := len(p.queue) - p.head; n > 1 && (n > maxPending || p.kept > maxKept); n = len(p.queue) - p.head {
		oldest := p.queue[p.head]
		if s.exchange == oldest { // its answer is on the way, and goes on unheard
			s.open(nil, nil)
		}
		oldest.resp.incomplete = true
		p.drop(oldest)
		p.tell(oldest)
	}
}

// meet gives a request the response that began after it but was read before.
func (p *parser) meet(e *exchange, s *half) {
	early := s.exchange
	switch {
	case len(p.held) > 0:
		early = p.unhold()
		e.resp, early.resp = early.resp, e.resp
		e.carries.Late(&e.resp)
	case early != nil && !early.req.seen && e.req.first < early.resp.first:
		e.resp, early.resp = early.resp, e.resp
		s.open(&e.resp, e)
		e.carries.Late(&e.resp)
		p.unpeek(p.client.Other(), s)
		if s.state == inBody && e.resp.size == 0 && string(e.req.Method()) == "HEAD" {
			s.state = between
			s.open(nil, nil)
			e.resp.done = true
		}
	default:
		return
	}
	p.put(early)
}

// answers finds the request that a response belongs to, or a new exchange without one.
func (p *parser) answers(h *half, first int64) *exchange {
	if h.missed {
		h.missed = false
		if e := p.skipAnswers(first); e != nil {
			return e
		}
		return p.get()
	}
	if p.forsake(); p.gone > 0 && !p.pipelined && p.unclear(first) {
		return p.get()
	}
	for i := p.head; i < len(p.queue); i++ {
		if e := p.queue[i]; !e.resp.seen && e.req.first >= p.gone {
			if e.req.first > first { // what this answers was not seen
				break
			}
			return e
		}
	}
	return p.get()
}

// forsake hands out the requests that came so late that their answers may have been given up.
func (p *parser) forsake() {
	for p.head < len(p.queue) {
		e := p.queue[p.head]
		if e.resp.seen || !e.req.done || e.req.first >= p.gone {
			break
		}
		e.resp.incomplete = true
		p.drop(e)
		p.tell(e)
	}
}

// unclear hands out the requests that a response which began at first may belong to, if there are
// several: a response was given up before, so it need not be the oldest one's.
func (p *parser) unclear(first int64) bool {
	n := p.head
	for n < len(p.queue) && p.queue[n].req.done && !p.queue[n].resp.seen && p.queue[n].req.first <= first {
		n++
	}
	if n -= p.head; n < 2 {
		return false
	}
	for range n {
		e := p.queue[p.head]
		e.resp.incomplete = true
		p.drop(e)
		p.tell(e)
	}
	return true
}

// skipAnswers hands out the requests whose answers may have been lost. Who asks one thing
// at a time had all answers but the last. Who does not, or of whom questions are missing too,
// leaves us guessing, so nothing is paired that was asked before the hole ended. It returns
// the request that a response which began at first belongs to, or nil.
func (p *parser) skipAnswers(first int64) *exchange {
	var answered *exchange
	missed := p.half[p.client].missed
	for i := len(p.queue) - 1; i >= p.head && !p.pipelined; i-- {
		if e := p.queue[i]; e.req.first <= first && !e.resp.seen {
			// Its own end missing is no question missing: so it is where packets are kept short.
			if !missed || e.req.incomplete {
				answered = e
			}
			break
		}
	}
	for p.head < len(p.queue) {
		e := p.queue[p.head]
		if e == answered || !e.req.done || e.req.first > first {
			break
		}
		e.resp.incomplete = true
		p.drop(e)
		p.tell(e)
	}
	return answered
}

// settle hands an exchange out if nothing more belongs to it.
func (p *parser) settle(e *exchange) {
	switch {
	case e.req.done && e.resp.done:
		p.drop(e)
		p.tell(e)
	case e.req.seen: // the other half is still to come
		e.resp.own()
	case e.resp.done:
		e.resp.own()
		p.held = append(p.held, e)
		if len(p.held) > maxHeld {
			p.release()
		}
	}
}

// drop takes an exchange off the queue; it is the first one or near it.
func (p *parser) drop(e *exchange) {
	for i := p.head; i < len(p.queue); i++ {
		if p.queue[i] != e {
			continue
		}
		p.kept -= e.weight()
		copy(p.queue[p.head+1:i+1], p.queue[p.head:i])
		p.queue[p.head] = nil
		if p.head++; p.head == len(p.queue) {
			p.queue, p.head, p.kept = p.queue[:0], 0, 0
		}
		return
	}
}

// releaseHeld hands out the responses that began by the time given.
func (p *parser) releaseHeld(until int64) {
	for len(p.held) > 0 && p.held[0].resp.first <= until {
		p.release()
	}
}

func (p *parser) release() {
	e := p.unhold()
	p.gone = max(p.gone, e.resp.first)
	p.tell(e)
}

// unhold takes the oldest response that waits.
func (p *parser) unhold() *exchange {
	e := p.held[0]
	n := copy(p.held, p.held[1:])
	p.held[n] = nil
	p.held = p.held[:n]
	return e
}

// tell hands a call out and takes its memory back.
func (p *parser) tell(e *exchange) {
	req, resp := &e.req, &e.resp
	c := &e.call
	*c = dissect.Call{
		Message:    e,
		Incomplete: req.incomplete || resp.incomplete,
		Error:      resp.start.status >= 400,
	}
	if req.seen {
		c.Reverse = p.client == 1
		c.Time, c.RequestEnd, c.RequestSize = req.first, req.last, req.wire
	} else {
		c.Reverse = p.client == 0
		c.Time = resp.first
	}
	if resp.seen {
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = resp.first, resp.last, resp.wire
	}
	e.carries.End(e, c)
	p.sink.Call(c)
	p.put(e)
}

func (p *parser) get() *exchange {
	if n := len(p.free); n > 0 {
		e := p.free[n-1]
		p.free = p.free[:n-1]
		return e
	}
	return &exchange{}
}

func (p *parser) put(e *exchange) {
	if len(p.free) < maxFree {
		e.reset()
		p.free = append(p.free, e)
	}
}
