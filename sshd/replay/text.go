package replay

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sshark/sshark/dissect"
)

// Bounds of what is told in text.
const (
	maxTurns = 20
	maxTold  = 100 // calls
)

// Line is one line of text. What is in it came off the wire: it goes to a screen only through
// that one's own escaping.
type Line struct {
	Text       string
	Grade      Grade
	At         int64       // when the call that it tells of was recorded, ns; 0: it tells of none
	Difference *Difference // that it tells of, nil: of none
	Objection  *Objection  // that it tells of, nil: of none
}

// Grade is what a line says, for it to be coloured.
type Grade uint8

// The grades.
const (
	Plain Grade = iota
	Faint
	Good
	Bad
)

// lines gathers text.
type lines []Line

func (l *lines) add(g Grade, format string, args ...any) {
	*l = append(*l, Line{Text: fmt.Sprintf(format, args...), Grade: g})
}

// last is the line that was added last.
func (l lines) last() *Line { return &l[len(l)-1] }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// Where is the target in words. The address of a name is not told to who may not go there.
func (p *Plan) Where() string {
	text := p.target()
	if p.Name != "" {
		if text = p.Order.To; p.Addr.IsValid() && !p.refused() {
			text += " (" + p.Addr.Addr().String() + ")"
		}
	}
	if name := p.Target.Name(); name != "" {
		text += " " + (&dissect.Endpoint{Addr: p.Addr, Identity: p.Target}).Display()
	}
	return text
}

// refused says whether the target is.
func (p *Plan) refused() bool {
	for i := range p.Objections {
		if p.Objections[i].err != nil {
			return true
		}
	}
	return false
}

// Origin is where it is sent from, in words.
func (p *Plan) Origin() string {
	if p.Node == "" {
		return "this machine"
	}
	return "node " + p.Node
}

// protocol is what the flow speaks, in words.
func (p *Plan) protocol() string {
	if p.Flow.Protocol != nil {
		return p.Flow.Protocol.Title
	}
	return strings.ToUpper(p.Flow.Transport.String())
}

// Lines is the plan as text.
func (p *Plan) Lines() []Line {
	var l lines
	f := p.Flow
	l.add(Plain, "stream  %s, %s from %s to %s", f.ID, p.protocol(), end(&f.Client), end(&f.Server))
	l.add(Plain, "to      %s, from %s", p.Where(), p.Origin())
	times := "once"
	if p.Order.Times > 1 {
		times = strconv.Itoa(p.Order.Times) + " times"
	}
	l.add(Plain, "sends   %d bytes in %s, %s, %s; %d bytes were answered", p.Sent, count(len(p.Turns), "turn"), p.Order.Pace, times, p.Received)
	for i := range p.Turns {
		if i == maxTurns {
			l.add(Faint, "        and %s more", count(len(p.Turns)-i, "turn"))
			break
		}
		t := &p.Turns[i]
		l.add(Faint, "turn %-3d %d bytes after %v: %s", i+1, t.Size, time.Duration(t.Chunks[0].At).Round(time.Microsecond), around(t.Chunks[0].Data, 0))
	}
	for i, c := range p.Calls {
		if i == maxTold {
			l.add(Faint, "        and %s more", count(len(p.Calls)+p.More-i, "call"))
			break
		}
		l.add(Plain, "call %-3d %s %s, answered: %s", i+1, c.Protocol, short(c.Summary), c.answer())
		l.last().At = c.Time
	}
	for _, n := range p.Notes {
		l.add(Plain, "note    %s", n)
	}
	for i := range p.Objections {
		o := &p.Objections[i]
		switch {
		case o.err != nil:
			l.add(Bad, "against %s", o.Why)
		case o.Final:
			l.add(Bad, "against %s", o.Why)
		case p.Order.Force:
			l.add(Bad, "forced  %s", o.Why)
		default:
			l.add(Bad, "against %s (--force replays it all the same)", o.Why)
		}
		l.last().Objection = o
	}
	return l
}

// end is one end of the flow in words.
func end(e *dissect.Endpoint) string {
	if e.Name() == "" {
		return e.Addr.String()
	}
	return e.Display() + " (" + e.Addr.String() + ")"
}

// answer is what came of a call, in words.
func (c *Call) answer() string {
	switch {
	case !c.Answered && c.Reverse:
		return "it is the server's"
	case !c.Answered:
		return "not"
	}
	text := firstOf(short(c.Status), "yes")
	if c.body != nil {
		text += ", " + strconv.FormatInt(c.body.size, 10) + " bytes"
	}
	return text
}

// Lines is the result as text: the run that is shown, call by call, and what came of all.
func (r *Result) Lines() []Line {
	var l lines
	if r.Shown != nil {
		if n := r.Runs(); n > 1 {
			l.add(Plain, "run %d of %d", r.Shown.Number, n)
		}
		r.Shown.lines(&l)
	}
	return append(l, Line{Text: r.Summary(), Grade: r.grade()})
}

func (r *Result) grade() Grade {
	if r.AllSame() {
		return Good
	}
	return Bad
}

// AllSame says whether each run was as it was recorded, and there was one.
func (r *Result) AllSame() bool { return r.Same > 0 && r.Same == r.Plan.Order.Times }

// Summary is what came of it in a sentence.
func (r *Result) Summary() string {
	sent := fmt.Sprintf("%d bytes sent to %s from %s, %d came back in %v", r.Sent, r.Plan.Where(), r.Plan.Origin(), r.Received, r.Took.Round(time.Millisecond))
	switch n := r.Runs(); {
	case n == 0:
		return "nothing was played"
	case r.AllSame() && n == 1:
		return "the same: " + sent
	case r.AllSame():
		return fmt.Sprintf("all %d runs the same: %s", n, sent)
	case n == 1 && r.Failed == 1:
		return "failed: " + r.Shown.Problem + ": " + sent
	case n == 1:
		return "different: " + r.Shown.What() + ": " + sent
	default:
		return fmt.Sprintf("of %d runs %d the same, %d different, %d failed: %s", n, r.Same, r.Different, r.Failed, sent)
	}
}

// What says what differs, in a few words.
func (r *Run) What() string {
	if len(r.Bytes) > 0 {
		return "the bytes that came back"
	}
	calls, fields := 0, 0
	for i := range r.Outcomes {
		if n := len(r.Outcomes[i].Differences) + r.Outcomes[i].More; n > 0 {
			calls++
			fields += n
		}
	}
	return fmt.Sprintf("%d of %s, %s", calls, count(len(r.Outcomes), "call"), count(fields, "field"))
}

// lines is the run as text.
func (r *Run) lines(l *lines) {
	same := 0
	for i := range r.Outcomes {
		o, from := &r.Outcomes[i], len(*l)
		if len(o.Differences) == 0 {
			if same++; same <= maxTold {
				l.add(Good, "call %-3d %s: the same%s", i+1, o.title(), o.took())
			}
		} else {
			l.add(Bad, "call %-3d %s: different%s", i+1, o.title(), o.took())
			for i := range o.Differences {
				l.add(Bad, "         %s", o.Differences[i])
				l.last().Difference = &o.Differences[i]
			}
			if o.More > 0 {
				l.add(Bad, "         and %s more", count(o.More, "difference"))
			}
		}
		if len(o.Ignored) > 0 && (same <= maxTold || len(o.Differences) > 0) {
			l.add(Faint, "         ignored: %s", strings.Join(o.Ignored, ", "))
		}
		for i := range (*l)[from:] {
			if o.Was != nil {
				(*l)[from+i].At = o.Was.Time
			}
		}
	}
	if same > maxTold {
		l.add(Good, "         and %s more that are the same", count(same-maxTold, "call"))
	}
	for i := range r.Bytes {
		l.add(Bad, "%s", r.Bytes[i])
		l.last().Difference = &r.Bytes[i]
	}
	for _, n := range r.Notes {
		l.add(Plain, "note    %s", n)
	}
	if r.Problem != "" {
		l.add(Bad, "failed  %s", r.Problem)
	}
}

// title is the call of an outcome, with what came of it now.
func (o *Outcome) title() string {
	c := o.Was
	if c == nil {
		c = o.Is
	}
	text := c.Protocol + " " + short(firstOf(c.Summary, c.Status))
	if o.Is != nil && o.Is.Status != "" {
		text += " " + short(o.Is.Status)
	}
	return text
}

// took is how long the answer took now and then, as far as both are known.
func (o *Outcome) took() string {
	if o.Is == nil || o.Was == nil || o.Is.Elapsed < 0 || o.Was.Elapsed < 0 {
		return ""
	}
	return fmt.Sprintf(", in %v (was %v)", time.Duration(o.Is.Elapsed).Round(time.Microsecond), time.Duration(o.Was.Elapsed).Round(time.Microsecond))
}
