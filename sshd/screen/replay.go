package screen

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/replay"
	"github.com/sshark/sshark/tui"
	"github.com/sshark/sshark/worker/reach"
)

// Replays lets the screen send flows again, as the user of a desk may.
type Replays struct{ desk *replay.Desk }

// NewReplays makes a replayer of a desk; nil if there is none.
func NewReplays(desk *replay.Desk) tui.Replayer {
	if desk == nil {
		return nil
	}
	return &Replays{desk}
}

// errForeign: the screen asks about something that is no backend of this package.
var errForeign = errors.New("what is looked at cannot be replayed")

// order is an order as the desk understands it.
func (r *Replays) order(o *tui.ReplayOrder) (out replay.Order, err error) {
	out = replay.Order{To: o.To, Node: o.Node, Times: o.Times, Ignore: o.Ignore, Force: o.Force}
	if out.Stream, err = flow.ParseID(o.Stream); err != nil {
		return out, err
	}
	if out.Pace, err = replay.ParsePace(o.Speed); err != nil {
		return out, fmt.Errorf("speed %w", err)
	}
	if o.To != "" {
		if _, _, err = reach.ParseTarget(o.To); err != nil {
			return out, err
		}
	}
	if o.Node != "" && r.desk.Here {
		return out, errors.New("it is sent from this machine: no node can be chosen")
	}
	if _, err = replay.NewRules(o.Ignore); err != nil {
		return out, err
	}
	return out, out.Check()
}

// Check implements tui.Replayer.
func (r *Replays) Check(o tui.ReplayOrder) error {
	_, err := r.order(&o)
	return err
}

// Plan implements tui.Replayer.
func (r *Replays) Plan(ctx context.Context, of tui.Backend, o tui.ReplayOrder) (*tui.ReplayPlan, error) {
	b, ok := of.(*Backend)
	if !ok {
		return nil, errForeign
	}
	asked, err := r.order(&o)
	if err != nil {
		return nil, err
	}
	p, err := r.desk.Plan(ctx, b.source, asked)
	if err != nil {
		return nil, err
	}
	out := &tui.ReplayPlan{Lines: told(p.Lines()), From: p.Origin(), Sends: sends(p), Report: report(p.Report)}
	out.Against, out.Forcible = against(p)
	out.Run = func(ctx context.Context, progress func(tui.ReplayProgress)) (*tui.ReplayResult, error) {
		result, err := r.desk.Run(ctx, p, func(at replay.Progress) { progress(tui.ReplayProgress(at)) })
		if result.Runs() == 0 {
			return nil, err
		}
		lines := result.Lines()
		return &tui.ReplayResult{Lines: told(lines[:len(lines)-1]), Summary: result.Summary(), Same: result.AllSame()}, err
	}
	return out, nil
}

// sends says what is sent.
func sends(p *replay.Plan) string {
	turns, times := "1 turn", ""
	if n := len(p.Turns); n != 1 {
		turns = fmt.Sprintf("%d turns", n)
	}
	if p.Order.Times > 1 {
		times = fmt.Sprintf(", %d times", p.Order.Times)
	}
	return fmt.Sprintf("%d bytes in %s, %s, to %s, from %s%s", p.Sent, turns, p.Order.Pace, p.Where(), p.Origin(), times)
}

// against is what keeps a plan from being run, and whether force overrides all of it.
func against(p *replay.Plan) (why string, forcible bool) {
	if p.Against() == nil {
		return "", false
	}
	forced := *p
	forced.Order.Force = true
	forcible = forced.Against() == nil
	for i := range p.Objections {
		if o := &p.Objections[i]; o.Final || forcible {
			return o.Why, forcible
		}
	}
	return p.Against().Error(), forcible
}

// told is text as the screen takes it.
func told(lines []replay.Line) []tui.ReplayLine {
	out := make([]tui.ReplayLine, len(lines))
	for i := range lines {
		l := &lines[i]
		out[i] = tui.ReplayLine{Text: l.Text, Grade: tui.ReplayGrade(l.Grade), At: l.At}
		if d := l.Difference; d != nil {
			out[i].Field, out[i].Was, out[i].Is = d.Field, d.Was, d.Is
		}
		if o := l.Objection; o != nil && !strings.HasPrefix(l.Text, "forced") { // how to force it is another key here
			out[i].Text = "against " + o.Why
		}
	}
	return out
}
