package view

import "context"

// Replayer sends what the client of a flow said again. It is safe for concurrent use; a call ends
// soon after its context.
type Replayer interface {
	// Check says what is wrong with an order, as far as that is told from it alone; nil: nothing.
	// It returns at once.
	Check(o ReplayOrder) error
	// Plan says what an order would do to a flow of what is looked at. Nothing is sent.
	Plan(ctx context.Context, of Backend, o ReplayOrder) (*ReplayPlan, error)
}

// ReplayOrder is what to send again, and how.
type ReplayOrder struct {
	Stream string   // the flow's ID
	To     string   // HOST:PORT, "": where the flow's server was
	Node   string   // that sends it, "": the client's, or the one that saw the flow
	Speed  string   // N times as fast as it was recorded, or max; "": each turn after the server's
	Times  int      // how often, from 1
	Ignore []string // fields that may differ, besides those that are expected to
	Force  bool     // also where something is against it that can be overridden
}

// ReplayPlan is what an order would do. It does not change.
type ReplayPlan struct {
	Lines    []ReplayLine
	Against  string // what keeps it from being sent, "": nothing
	Forcible bool   // ReplayOrder.Force overrides that
	From     string // what sends it, as "node node-a" or "this machine"
	Sends    string // what is sent, where to and from where, in words
	Report   Report // of what was read
	// Run sends it, and tells how far it is; that may come from another goroutine. The result is
	// what came of it also where the error says that it ended early; it may be nil then.
	Run func(ctx context.Context, progress func(ReplayProgress)) (*ReplayResult, error)
}

// ReplayLine is a line of text, with what came off the wire in it.
type ReplayLine struct {
	Text  string
	Grade ReplayGrade
	At    int64 // when the call that it tells of was recorded, ns; 0: it tells of none
	// Field is that of an answer which is another than it was; "": the line tells of none. Was and
	// Is are what it was and is, "": nothing at all.
	Field, Was, Is string
}

// ReplayGrade is what a line says, for it to be coloured.
type ReplayGrade uint8

// The grades.
const (
	ReplayPlain ReplayGrade = iota
	ReplayFaint
	ReplaySame
	ReplayDifferent // or against it
)

// ReplayProgress is how far a replay has come.
type ReplayProgress struct {
	Run, Runs      int // from 1
	Turn, Turns    int // sent
	Sent, Received int64
}

// ReplayResult is what came of a replay, call by call.
type ReplayResult struct {
	Lines   []ReplayLine
	Summary string
	Same    bool // each run was as it was recorded
}
