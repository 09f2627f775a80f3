package view

import (
	"bytes"
	"context"
	"sort"

	"github.com/sshark/sshark/pcap/flow"
)

// A stream is shown in parts: so much is held of it at once. Each piece weighs more than its
// bytes, so that many small ones are no more to hold than a few large ones.
const (
	partWeight  = 4 << 20
	pieceWeight = 64
)

// fragment is what a Backend told of a stream at once: bytes, or a gap.
type fragment struct {
	side flow.Dir
	data []byte
	gap  int64 // missing bytes, 0: not known; of a gap alone
	at   int64
	part int
}

// piece is the bytes of one packet in a conversation, or a gap.
type piece struct {
	side     flow.Dir
	from, to int   // its bytes; equal for a gap
	gap      int64 // missing bytes
	offset   int64 // of its first byte in what its side sent, with what is known to be missing
	at       int64
}

// turn is what one side said until the other did, or until something is missing.
type turn struct {
	side     flow.Dir
	from, to int
	piece    int  // its first
	missing  bool // it is a gap
}

// conversation is a part of a stream: the bytes of both sides in the order of their capture.
// What is there does not change while more is added.
type conversation struct {
	bytes  []byte
	pieces []piece
	turns  []turn
	sent   [2]int64 // of each side, with what was skipped before this part
	gaps   int
	lost   int64 // bytes, as far as is known
}

// add takes the next fragment.
func (c *conversation) add(f fragment) {
	p := piece{side: f.side, from: len(c.bytes), to: len(c.bytes) + len(f.data), gap: f.gap, offset: c.sent[f.side], at: f.at}
	n := len(c.turns)
	if len(f.data) == 0 {
		c.gaps++
		c.lost += f.gap
		c.sent[f.side] += f.gap
		c.turns = append(c.turns, turn{f.side, p.from, p.to, len(c.pieces), true})
		c.pieces = append(c.pieces, p)
		return
	}
	c.bytes = append(c.bytes, f.data...)
	c.sent[f.side] += int64(len(f.data))
	if n > 0 && c.turns[n-1].side == f.side && !c.turns[n-1].missing {
		c.turns[n-1].to = p.to
	} else {
		c.turns = append(c.turns, turn{f.side, p.from, p.to, len(c.pieces), false})
	}
	c.pieces = append(c.pieces, p)
}

// pieceAt is the piece of a turn that byte at is in.
func (c *conversation) pieceAt(t *turn, at int) *piece {
	if t.missing {
		return &c.pieces[t.piece]
	}
	i := t.piece + sort.Search(len(c.pieces)-t.piece, func(i int) bool { return c.pieces[t.piece+i].to > at })
	return &c.pieces[min(i, len(c.pieces)-1)]
}

// side are all bytes of one side.
func (c *conversation) side(d flow.Dir) []byte {
	var out []byte
	for i := range c.turns {
		if t := &c.turns[i]; t.side == d {
			out = append(out, c.bytes[t.from:t.to]...)
		}
	}
	return out
}

// partReader tells the fragments of one part of a stream: of a given one, or of that which has
// what was said at a time, the last one if none has. It implements StreamSink; finish ends it.
type partReader struct {
	part   int
	target int64 // the time, 0: the part is given
	ctx    context.Context
	add    func(fragment)

	weight  int
	skipped [2]int64   // bytes of the parts before, told with the first fragment
	held    []fragment // of a part of which it is not known yet whether it is the one
	begun   bool
}

// take hands a fragment on if it is of the part.
func (r *partReader) take(f fragment) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	part := r.weight / partWeight
	r.weight += pieceWeight + len(f.data)
	if r.target != 0 && part != r.part {
		for _, h := range r.held {
			r.skip(h)
		}
		r.part, r.held = part, r.held[:0]
	}
	switch {
	case part > r.part:
		return errEnough
	case part < r.part:
		r.skip(f)
		return nil
	}
	f.data, f.part = bytes.Clone(f.data), part
	if r.target != 0 && f.at < r.target {
		r.held = append(r.held, f)
		return nil
	}
	r.finish()
	r.add(f)
	return nil
}

func (r *partReader) skip(f fragment) { r.skipped[f.side] += int64(len(f.data)) + f.gap }

// finish hands on what is held.
func (r *partReader) finish() {
	r.target = 0
	if !r.begun {
		r.begun = true
		for d, n := range r.skipped {
			if n > 0 {
				r.add(fragment{side: flow.Dir(d), gap: n, at: skipped, part: r.part})
			}
		}
	}
	for _, h := range r.held {
		r.add(h)
	}
	r.held = nil
}

// skipped is the time of a fragment that tells how much is in the parts before: it is no gap.
const skipped = -1

// Data implements StreamSink.
func (r *partReader) Data(d flow.Dir, b []byte, at int64) error {
	if len(b) == 0 {
		return nil
	}
	return r.take(fragment{side: d, data: b, at: at})
}

// Gap implements StreamSink.
func (r *partReader) Gap(d flow.Dir, n, at int64) error {
	return r.take(fragment{side: d, gap: n, at: at})
}
