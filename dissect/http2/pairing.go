package http2

import (
	"slices"

	"github.com/sshark/sshark/dissect"
)

// add opens a stream, and makes room for it.
func (p *parser) add(e *exchange) {
	if len(p.streams) >= maxStreams || p.kept > 2*maxKept {
		for _, old := range p.oldest()[:max(1, len(p.streams)/4)] {
			if old.tunnel != nil {
				continue // it holds little, and goes on
			}
			if i := slices.Index(p.held, old); i >= 0 {
				p.held = slices.Delete(p.held, i, i+1)
			}
			p.cut(old)
			p.tell(old)
		}
	}
	p.streams[e.frames.Stream] = e
}

// hold counts memory that a stream takes.
func (p *parser) hold(e *exchange, n int) {
	e.weight += n
	p.kept += n
}

// settle hands a stream out if nothing more belongs to it. Where the end of a request is
// missing, that of the response is enough.
func (p *parser) settle(e *exchange) {
	switch {
	case e.tunnel != nil:
		if e.req.done && e.resp.done {
			p.endTunnel(e)
		}
	case !e.resp.done:
	case e.req.done, e.req.seen && e.req.incomplete:
		p.tell(e)
	case !e.req.seen && !slices.Contains(p.held, e):
		if p.held = append(p.held, e); len(p.held) > maxHeld {
			p.release()
		}
	}
}

// endTunnel ends a stream that another protocol had.
func (p *parser) endTunnel(e *exchange) {
	e.tunnel.Close(dissect.Stamp{Time: max(p.half[0].now, p.half[1].now)})
	p.drop(e)
	p.put(e)
}

// releaseHeld hands out the responses that began by the time given.
func (p *parser) releaseHeld(until int64) {
	for len(p.held) > 0 && p.held[0].resp.first <= until {
		p.release()
	}
}

func (p *parser) release() {
	e := p.held[0]
	p.held = slices.Delete(p.held, 0, 1)
	p.tell(e)
}

// drop takes a stream off the list.
func (p *parser) drop(e *exchange) {
	if p.streams[e.frames.Stream] != e {
		return
	}
	delete(p.streams, e.frames.Stream)
	p.kept -= e.weight
	for d := range p.half {
		if p.half[d].stream == e {
			p.half[d].stream = nil
		}
	}
	if !e.req.done || !e.resp.done {
		p.over[p.overs%maxOver] = e.frames.Stream
		p.overs++
	}
}

// isOver says whether a stream was handed out before its end: what is still said in it is
// nobody's.
func (p *parser) isOver(id uint32) bool { return p.overs > 0 && slices.Contains(p.over[:], id) }

// tell hands a call out and takes its memory back.
func (p *parser) tell(e *exchange) {
	p.drop(e)
	req, resp := &e.req, &e.resp
	if !req.seen && !resp.seen {
		p.put(e)
		return
	}
	e.frames.Missing = req.unknown + resp.unknown
	c := &e.call
	*c = dissect.Call{
		Message:    e,
		Protocol:   calls,
		Incomplete: req.incomplete || resp.incomplete || e.frames.Missing > 0 || resp.seen && resp.status == 0,
		Error:      resp.status >= 400 || e.failed,
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
