package command

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/replay"
	"github.com/sshark/sshark/worker/query"
)

// replayFlags are the flags of replay.
type replayFlags struct {
	look
	origin
	order replay.Order
	speed string
	yes   bool
}

func (e *Env) replay() *cobra.Command {
	var r replayFlags
	formats := []string{formatText, formatJSON}
	c := &cobra.Command{
		Use:   "replay ID",
		Short: "a flow's client side, sent again (dry run unless --yes)",
		Long: `Sends what the client of a flow said again, and compares what comes back with what came then: status,
headers, bodies (JSON by its members), and the fields of other protocols, call by call. ID is in the
column STREAM of calls and flows (-o wide), and "stream" in their JSON.
Without --yes nothing is sent: it says what would be, where to, and what is against it.
Requests that change something change it again.
Each of the client's turns is sent as soon as the server had its own, which is told by the answers
to its calls, else by its bytes. --speed N sends at the recorded times, N times as fast, whatever the
server says; --speed max sends all at once.
Fields that are expected to differ are ignored and listed: Date and its like, cookies, request IDs,
and times that are those of the answer itself. --ignore adds more.
TCP and UDP; not what is encrypted (TLS, QUIC, SSH). What lacks its beginning or bytes in between is
refused unless --force. 32 MiB of a flow at most.
Exit status: 0 the same (or nothing against it, without --yes), 1 different or failed, 4 refused.`,
		Example: `replay 0123456789abc
replay 0123456789abc --yes
replay 0123456789abc --to cart.shop:8080 --yes --times 10
replay 0123456789abc --yes --ignore 'response.body.items[*].stock'`,
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&r.order.To, "to", "", "`HOST:PORT` to send to; default: where the flow's server was")
	f.StringVar(&r.speed, "speed", "", "`N` times as fast as it was recorded, or max; default: each turn after the server's")
	f.IntVar(&r.order.Times, "times", 1, "how often, `N` times, each on a connection of its own")
	f.StringArrayVar(&r.order.Ignore, "ignore", nil, "`FIELD` that may differ, with all below it, as differences show it; [*] is any element; given again: those too")
	f.BoolVar(&r.order.Force, "force", false, "replay it also where its beginning or bytes of it are missing")
	f.DurationVar(&r.order.Wait, "timeout", replay.DefaultWait, "how long the server may take for its turn, a `TIME` up to 1m")
	if e.Open == nil {
		f.StringVar(&r.order.Node, "node", "", "send from the node `NAME`; default: the one of the client, or that saw the flow")
	}
	f.BoolVar(&r.yes, "yes", false, "send it")
	r.look.declare(f, formats...)
	_ = f.MarkHidden("utc") // accepted everywhere; nothing of them is shown here
	_ = f.MarkHidden("numeric")
	r.origin.declare(e, f)
	c.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("replay wants one ID, as in the column STREAM of: flows -o wide")
		}
		var err error
		if r.order.Stream, err = streamID(args); err != nil {
			return err
		}
		color, err := r.check(e, formats...)
		if err != nil {
			return err
		}
		if err := r.parse(); err != nil {
			return err
		}
		return e.replays(&r, color)
	}
	return c
}

// parse checks what the flags say.
func (r *replayFlags) parse() error {
	var err error
	if r.order.Pace, err = replay.ParsePace(r.speed); err != nil {
		return usagef("--speed %v", err)
	}
	if r.order.Times < 1 { // 0 is the default to others
		return usagef("--times %d: want 1 to %d", r.order.Times, replay.MaxTimes)
	}
	if err := r.order.Check(); err != nil {
		return &usageError{err}
	}
	return nil
}

// errReplay is what scripts tell from the exit status.
var errReplay = errors.New("the replay was not as it was recorded")

// progressEvery is how often it is said how far a replay has come.
const progressEvery = 2 * time.Second

func (e *Env) replays(r *replayFlags, color bool) error {
	for _, v := range []auth.Verb{auth.Replay, auth.Payload} {
		if err := e.allow(v); err != nil {
			return err
		}
	}
	if e.Replay == nil {
		return replay.ErrOff
	}
	done, err := r.open(e)
	if err != nil {
		return err
	}
	defer done()
	p, err := e.Replay.Plan(e.ctx, e.Source, r.order)
	if errors.Is(err, query.ErrNoSuchFlow) {
		err = fmt.Errorf("stream %s: %w; IDs are in the column STREAM of: flows -o wide", r.order.Stream, query.ErrNoSuchFlow)
	}
	if err != nil {
		return err
	}
	if p.Report != nil {
		e.sayMissing(p.Report)
	}
	o := e.output()
	if against := p.Against(); !r.yes || against != nil {
		if r.output == formatJSON {
			o.buf = append(p.AppendJSON(o.buf), '\n')
		} else {
			printLines(o, color, p.Lines())
		}
		if err := o.spill(true); err != nil || against != nil {
			return errors.Join(err, against)
		}
		e.say("nothing was sent; --yes sends it")
		if p.Report != nil && p.Report.Partial() {
			return errPartial
		}
		return nil
	}
	last := e.Now()
	result, err := e.Replay.Run(e.ctx, p, func(at replay.Progress) {
		if now := e.Now(); now.Sub(last) >= progressEvery {
			last = now
			e.say("run %d of %d: %d of %d turns, %d bytes sent, %d received", at.Run, at.Runs, at.Turn, at.Turns, at.Sent, at.Received)
		}
	})
	if result.Runs() > 0 {
		if r.output == formatJSON {
			o.buf = append(result.AppendJSON(o.buf), '\n')
		} else {
			printLines(o, color, result.Lines())
		}
		if err := o.spill(true); err != nil {
			return err
		}
	}
	switch {
	case err != nil:
		return err
	case result.AllSame():
		return nil
	case result.Failed > 0 && result.Different == 0:
		return fmt.Errorf("%w: it failed", errReplay)
	}
	return fmt.Errorf("%w: it differs", errReplay)
}

// printLines prints what a replay says of itself.
func printLines(o *output, color bool, all []replay.Line) {
	styles := [...]style{replay.Plain: normal, replay.Faint: dim, replay.Good: green, replay.Bad: red}
	for _, l := range all {
		text := printable(l.Text)
		if how := styles[l.Grade]; color && how != normal {
			text = "\x1b[" + string(how) + "m" + text + "\x1b[0m"
		}
		o.buf = append(append(o.buf, text...), '\n')
	}
}
