package ssh

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// parser is one flow.
type parser struct {
	sink dissect.Sink
	half [2]half
	told bool
}

// half is one direction.
type half struct {
	line        []byte // the string, or what there is of a line
	ahead       int    // bytes of lines before it
	first, last int64
	size        int
	done        bool
	cut         bool
}

// Data implements dissect.Parser.
func (p *parser) Data(d flow.Dir, b []byte, at dissect.Stamp) error {
	h := &p.half[d]
	if p.told || h.done {
		return nil
	}
	if !h.take(b, at.Time) {
		if !p.half[d.Other()].done {
			p.told = true
			return dissect.ErrNotMine
		}
		*h = half{done: true} // it does not speak SSH
	}
	if p.half[0].done && p.half[1].done {
		p.tell()
	}
	return nil
}

// take takes bytes up to the end of the string. It returns false where there cannot be one.
func (h *half) take(b []byte, now int64) bool {
	for len(b) > 0 && !h.done {
		if len(h.line) == 0 {
			h.first, h.size = now, 0
		}
		end := bytes.IndexByte(b, '\n') + 1
		n := end
		if end == 0 {
			n = len(b)
		}
		n = min(n, maxLine-len(h.line))
		h.line = append(h.line, b[:n]...)
		h.last = now
		h.size += n
		begins := min(len(h.line), len(mark))
		own := string(h.line[:begins]) == mark[:begins]
		switch {
		case end == n && own:
			h.done = true
			return identifies(h.line)
		case end == n: // a line before it
			if h.ahead += n; h.ahead > maxAhead || !text(h.line) {
				return false
			}
			h.line = h.line[:0]
		case len(h.line) >= maxLine:
			return false
		}
		b = b[n:]
	}
	return true
}

// Gap implements dissect.Parser.
func (p *parser) Gap(d flow.Dir, _ int64, _ dissect.Stamp) error {
	p.half[d].stop()
	if p.half[0].done && p.half[1].done {
		p.tell()
	}
	return nil
}

// Close implements dissect.Parser.
func (p *parser) Close(dissect.Stamp) {
	p.half[0].stop()
	p.half[1].stop()
	p.tell()
}

// stop ends a side where it is.
func (h *half) stop() {
	if h.done {
		return
	}
	if h.done = true; !identifies(h.line) {
		h.line = nil
	}
	h.cut = len(h.line) > 0
}

// tell hands out what was said.
func (p *parser) tell() {
	client, server := &p.half[0], &p.half[1]
	if p.told || len(client.line)+len(server.line) == 0 {
		p.told = true
		return
	}
	g := &greeting{client: trim(client.line), server: trim(server.line)}
	c := &dissect.Call{Message: g, Incomplete: client.cut || server.cut}
	if len(g.client) > 0 {
		c.Time, c.RequestEnd, c.RequestSize = client.first, client.last, uint64(client.size)
	} else {
		c.Time, c.Reverse = server.first, true
	}
	if len(g.server) > 0 {
		c.ResponseStart, c.ResponseEnd, c.ResponseSize = server.first, server.last, uint64(server.size)
	}
	p.told = true
	p.half = [2]half{{done: true}, {done: true}}
	p.sink.Call(c)
}

func trim(line []byte) []byte { return bytes.TrimRight(line, "\r\n") }
