// Package replay plays a recorded stream again: what a flow's client said is sent to a target,
// in turns with the server as it was, and what comes back is compared with what came then, call
// by call and field by field.
//
// A Desk makes a Plan of a flow: what would be sent, where to, from which node, and what is
// against it. Run plays a plan that nothing is against, and returns a Result. The bytes of both
// sides are read through query.Source, so nobody replays what they may not see; both the recorded
// conversation and the new one are dissected by the same engine, from bytes alone, so they differ
// in nothing but what was said.
//
// Of a flow up to MaxTranscript bytes are held, and of the conversation with the target what is
// being dissected, and the calls up to a bound (reading). A plan is immutable and may be run by
// several goroutines; a Result is its caller's. Everything ends with the context.
//
// Errors: those of the source and of package reach; ErrRefused where the policy is against it,
// and ErrAgainst where the recording is, which Order.Force overrides but for what Objection.Final
// says.
package replay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/reach"
)

// Bounds of a replay.
const (
	MaxTranscript = 32 << 20 // bytes of a flow, both sides together
	MaxTimes      = 1000
	MaxTimeout    = time.Minute
	DefaultWait   = 5 * time.Second // Order.Timeout where it is 0
	maxAll        = 512 << 20       // bytes sent by all repetitions together
)

// Errors.
var (
	// ErrRefused: the policy does not allow it. It is auth.ErrRefused.
	ErrRefused = auth.ErrRefused
	// ErrAgainst: something is against replaying the flow (Objection).
	ErrAgainst = errors.New("not replayed")
	// ErrOff: replay is turned off here.
	ErrOff = fmt.Errorf("%w: replay is turned off here", ErrRefused)
)

// Order is what to replay, and how.
type Order struct {
	Stream flow.ID
	To     string // HOST:PORT; "": where the flow's server was
	Node   string // that sends; "": the one that saw the client, as far as it is known
	Pace   Pace
	Times  int           // how often, 1 to MaxTimes; 0: once
	Wait   time.Duration // for the server's turn, up to MaxTimeout; 0: DefaultWait
	Ignore []string      // fields that may differ, besides those that are expected to (Rules)
	Force  bool          // also where something is against it
}

// Pace is when the client's bytes are sent.
type Pace struct {
	// Timed: at the times at which they were recorded, Speed times as fast, whatever the server
	// says. Speed 0: all at once. Not Timed: each turn when the server had its own.
	Timed bool
	Speed float64
}

// String is the pace in words.
func (p Pace) String() string {
	switch {
	case !p.Timed:
		return "in the order of the conversation"
	case p.Speed == 0:
		return "all at once"
	case p.Speed == 1:
		return "at the recorded times"
	}
	return fmt.Sprintf("at the recorded times, %g times as fast", p.Speed)
}

// ParsePace reads a speed: how many times as fast as it was recorded, or max; "" is in the order of
// the conversation.
func ParsePace(speed string) (Pace, error) {
	switch speed {
	case "":
		return Pace{}, nil
	case "max":
		return Pace{Timed: true}, nil
	}
	n, err := strconv.ParseFloat(speed, 64)
	if err != nil || !(n > 0 && n <= 1000) {
		return Pace{}, fmt.Errorf("%q: want a number up to 1000, as 2 or 0.5, or max", speed)
	}
	return Pace{Timed: true, Speed: n}, nil
}

// Desk is replays as one user may do them. Protocols, From and Guard are needed. It is safe for
// concurrent use.
type Desk struct {
	Protocols []*dissect.Protocol
	// From is who opens connections from a node. Of a Desk with Here it is asked for "".
	From func(node string) (reach.Reacher, error)
	Here bool // connections are opened by this program, whatever node saw the flow
	// Guard says whether the user may replay to an address, and completes the request; an error
	// that is a refusal wraps ErrRefused.
	Guard func(ctx context.Context, r *reach.Request) error
	// Who is who has an address now; nil, or a nil answer: not known.
	Who func(netip.AddrPort) *dissect.Identity
	// Begin is called before a plan is made and before it is run, and what it returns at its end;
	// its error keeps it from that. nil: they are not counted.
	Begin func() (end func(), err error)
	// Did is told of each plan that was made or refused, and of each that was run; nil: nobody.
	Did func(*Deed)
}

// Deed is what the audit log has of a replay.
type Deed struct {
	Order    *Order
	Target   string // address and port, "" while it is not known
	Node     string
	Run      bool // it was to be played, not only planned
	Runs     int  // how often it was
	Sent     int64
	Received int64
	Err      error
}

// Objection is what is against replaying a flow.
type Objection struct {
	Why   string
	Final bool // Order.Force does not help
	err   error
}

// Plan is what a replay would do.
type Plan struct {
	Order      Order
	Flow       *dissect.Flow
	Addr       netip.AddrPort    // that it is sent to
	Name       string            // of the target, as it was given; "" is the flow's own server
	Target     *dissect.Identity // who has that address now, nil: not known
	Node       string            // that sends; "": this machine
	Turns      []Turn
	Calls      []*Call // of the recording
	More       int     // calls of the recording beyond them, which are not compared
	Sent       int64   // bytes of the client
	Received   int64   // bytes of the server
	Objections []Objection
	Notes      []string // what else is to know
	Report     *query.Report

	request reach.Request
	from    reach.Reacher
	rules   *Rules
	answers [][]byte // what the server said
}

// Against says what keeps the plan from being run, nil if nothing does.
func (p *Plan) Against() error {
	for i := range p.Objections {
		o := &p.Objections[i]
		switch {
		case o.err != nil:
			return o.err
		case o.Final:
			return fmt.Errorf("%w: %s", ErrAgainst, o.Why)
		case !p.Order.Force:
			return fmt.Errorf("%w: %s; --force replays it all the same", ErrAgainst, o.Why)
		}
	}
	return nil
}

// Turn is what the client said in one go: between two things that the server said.
type Turn struct {
	Chunks []Chunk
	Size   int64 // bytes
	// Heard is what the server had said before it: bytes, of UDP datagrams; Answered how many
	// calls had been answered by then.
	Heard    int64
	Answered int
}

// Chunk is bytes that were recorded at one time, of UDP one datagram.
type Chunk struct {
	Data []byte
	At   int64 // ns since the first of the flow
}

// Check says what is wrong with an order, and fills in what it leaves open.
func (o *Order) Check() error {
	if o.Times == 0 {
		o.Times = 1
	}
	if o.Wait == 0 {
		o.Wait = DefaultWait
	}
	if o.To != "" {
		if _, _, err := reach.ParseTarget(o.To); err != nil {
			return err
		}
	}
	switch {
	case o.Times < 0 || o.Times > MaxTimes:
		return fmt.Errorf("%d times: want 1 to %d", o.Times, MaxTimes)
	case o.Wait < 0 || o.Wait > MaxTimeout:
		return fmt.Errorf("a timeout of %v: want up to %v", o.Wait, MaxTimeout)
	case o.Pace.Speed < 0 || o.Pace.Speed > 1000:
		return fmt.Errorf("a speed of %g: want up to 1000, or max", o.Pace.Speed)
	}
	return nil
}
