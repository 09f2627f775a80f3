package query

import (
	"unsafe"

	"github.com/sshark/sshark/dissect"
)

// Kept is a message that outlives its parser: what a protocol had to say, written down. It
// is what the answers of queries hold, and what a hub gets from its workers.
type Kept struct {
	Summary []byte
	Status  []byte
	Fields  []byte // as dissect.Message.AppendFields writes them
	Bodies  [2]*dissect.Body
}

// AppendSummary implements dissect.Message.
func (k *Kept) AppendSummary(dst []byte) []byte { return append(dst, k.Summary...) }

// AppendStatus implements dissect.Message.
func (k *Kept) AppendStatus(dst []byte) []byte { return append(dst, k.Status...) }

// AppendFields implements dissect.Message.
func (k *Kept) AppendFields(dst []byte) []byte { return append(dst, k.Fields...) }

// Body implements dissect.Message.
func (k *Kept) Body(part int) *dissect.Body { return k.Bodies[part] }

// found is a call that matched.
type found struct {
	call dissect.Call
	flow dissect.Flow
	kept Kept
}

// size is about how many bytes it takes in memory.
func (f *found) size() int {
	n := int(unsafe.Sizeof(*f)) + len(f.kept.Summary) + len(f.kept.Status) + len(f.kept.Fields)
	for _, b := range f.kept.Bodies {
		if b != nil {
			n += len(b.Data)
		}
	}
	return n
}

// before is the order of answers: by time, and among equals the same in every run.
func (f *found) before(g *found) bool {
	if f.call.Time != g.call.Time {
		return f.call.Time < g.call.Time
	}
	if f.call.Flow.ID != g.call.Flow.ID {
		return f.call.Flow.ID < g.call.Flow.ID
	}
	return f.call.Seq < g.call.Seq
}

// shelf keeps calls in memory of its own: few large pieces, given back as a whole.
type shelf struct {
	found []*found
	block []found
	text  []byte
	small bool // calls are given back as they come: large pieces would be kept for few of them
}

const (
	shelfCalls = 256
	shelfText  = 64 << 10
	smallCalls = 16
	smallText  = 16 << 10
)

// keep copies a call off its parser; with hide, without what was said.
func (s *shelf) keep(c *dissect.Call, hide bool) *found {
	calls, text := shelfCalls, shelfText
	if s.small {
		calls, text = smallCalls, smallText
	}
	if len(s.block) == cap(s.block) {
		s.block = make([]found, 0, calls)
	}
	s.block = append(s.block, found{call: *c, flow: *c.Flow})
	f := &s.block[len(s.block)-1]
	f.call.Flow = &f.flow
	if cap(s.text)-len(s.text) < 4096 {
		s.text = make([]byte, 0, text)
	}
	f.call.Message = &f.kept
	f.kept.Status = s.write(c.Message.AppendStatus)
	if hide {
		f.kept.Status = codeOf(f.kept.Status)
		return f
	}
	f.kept.Summary = s.write(c.Message.AppendSummary)
	f.kept.Fields = s.write(c.Message.AppendFields)
	for part := range f.kept.Bodies {
		if b := c.Message.Body(part); b != nil {
			own := *b
			own.Data = append([]byte(nil), b.Data...)
			f.kept.Bodies[part] = &own
		}
	}
	return f
}

// write lets a message append to the shelf's text. A text that did not fit has moved to
// memory of its own, and what is left of the shelf is used for the next.
func (s *shelf) write(appendTo func([]byte) []byte) []byte {
	n := len(s.text)
	out := appendTo(s.text)
	if cap(out) == cap(s.text) {
		s.text = out
		return out[n:len(out):len(out)]
	}
	return append([]byte(nil), out[n:]...)
}
