package replay

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
)

// AppendJSON appends the plan as one JSON object, without a line end.
func (p *Plan) AppendJSON(dst []byte) []byte {
	f := p.Flow
	dst = append(dst, `{"stream":`...)
	dst = dissect.AppendString(dst, f.ID.String())
	dst = dissect.AppendString(dissect.AppendKey(dst, "protocol"), p.protocol())
	dst = p.appendTarget(dst)
	dst = strconv.AppendInt(dissect.AppendKey(dst, "times"), int64(p.Order.Times), 10)
	dst = dissect.AppendString(dissect.AppendKey(dst, "pace"), p.Order.Pace.String())
	dst = strconv.AppendInt(dissect.AppendKey(dst, "sends_bytes"), p.Sent, 10)
	dst = strconv.AppendInt(dissect.AppendKey(dst, "answered_bytes"), p.Received, 10)
	dst = append(dissect.AppendKey(dst, "turns"), '[')
	for i := range p.Turns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"bytes":`...), p.Turns[i].Size, 10)
		dst = append(strconv.AppendInt(dissect.AppendKey(dst, "after_us"), p.Turns[i].Chunks[0].At/1000, 10), '}')
	}
	dst = append(dissect.AppendKey(append(dst, ']'), "calls"), '[')
	for i, c := range p.Calls {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = dissect.AppendString(append(dst, `{"summary":`...), c.Summary)
		dst = append(dissect.AppendString(dissect.AppendKey(dst, "status"), c.Status), '}')
	}
	dst = dissect.AppendStrings(dissect.AppendKey(append(dst, ']'), "notes"), p.Notes)
	var against []string
	for i := range p.Objections {
		against = append(against, p.Objections[i].Why)
	}
	dst = dissect.AppendStrings(dissect.AppendKey(dst, "against"), against)
	return append(append(dissect.AppendKey(dst, "dry_run"), "true"...), '}')
}

func (p *Plan) appendTarget(dst []byte) []byte {
	dst = dissect.AppendString(dissect.AppendKey(dst, "to"), p.Where())
	dst = dissect.AppendString(dissect.AppendKey(dst, "transport"), p.Flow.Transport.String())
	if p.Node != "" {
		dst = dissect.AppendString(dissect.AppendKey(dst, "node"), p.Node)
	}
	return dst
}

// AppendJSON appends the result as one JSON object, without a line end.
func (r *Result) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"stream":`...)
	dst = dissect.AppendString(dst, r.Plan.Flow.ID.String())
	dst = r.Plan.appendTarget(dst)
	number := func(name string, n int64) { dst = strconv.AppendInt(dissect.AppendKey(dst, name), n, 10) }
	number("times", int64(r.Plan.Order.Times))
	number("same", int64(r.Same))
	number("different", int64(r.Different))
	number("failed", int64(r.Failed))
	number("sent_bytes", r.Sent)
	number("received_bytes", r.Received)
	number("duration_us", r.Took.Microseconds())
	if run := r.Shown; run != nil {
		number("run", int64(run.Number))
		if run.Problem != "" {
			dst = dissect.AppendString(dissect.AppendKey(dst, "problem"), run.Problem)
		}
		dst = dissect.AppendStrings(dissect.AppendKey(dst, "notes"), run.Notes)
		if len(run.Bytes) > 0 {
			dst = appendDifferences(dst, run.Bytes)
		}
		dst = append(dissect.AppendKey(dst, "calls"), '[')
		for i := range run.Outcomes {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = run.Outcomes[i].appendJSON(dst)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func (o *Outcome) appendJSON(dst []byte) []byte {
	c := o.Was
	if c == nil {
		c = o.Is
	}
	dst = dissect.AppendString(append(dst, `{"summary":`...), c.Summary)
	if o.Was != nil {
		dst = dissect.AppendString(dissect.AppendKey(dst, "was"), o.Was.Status)
	}
	if o.Is != nil {
		dst = dissect.AppendString(dissect.AppendKey(dst, "status"), o.Is.Status)
		if o.Is.Elapsed >= 0 {
			dst = strconv.AppendInt(dissect.AppendKey(dst, "elapsed_time"), o.Is.Elapsed/1000, 10)
		}
	}
	dst = strconv.AppendBool(dissect.AppendKey(dst, "same"), len(o.Differences) == 0)
	dst = appendDifferences(dst, o.Differences)
	return append(dissect.AppendStrings(dissect.AppendKey(dst, "ignored"), o.Ignored), '}')
}

func appendDifferences(dst []byte, all []Difference) []byte {
	dst = append(dissect.AppendKey(dst, "differences"), '[')
	for i, d := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = dissect.AppendString(append(dst, `{"field":`...), d.Field)
		dst = dissect.AppendString(dissect.AppendKey(dst, "was"), d.Was)
		dst = append(dissect.AppendString(dissect.AppendKey(dst, "is"), d.Is), '}')
	}
	return append(dst, ']')
}
