package dissect

import (
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes one protocol to the engine, the filter, the help and the completion.
// Values are immutable; protocols/ holds the list.
type Protocol struct {
	Name      string // as in JSON and filters: "http"
	Title     string // as on screen: "HTTP"
	Transport []flow.Proto
	// Detect looks at the first bytes of a flow, on any port.
	Detect func(p *Probe) Verdict
	// New makes the parser of one flow that Detect claimed. It may keep the sink.
	New func(f *Flow, sink Sink) Parser
	// FromStart: the middle of a stream means little without its beginning (header tables,
	// prepared statements), so a query reads such flows from their first packet kept.
	FromStart bool
	// Fields are the filter fields that its messages have, in JSON order.
	Fields []Field
}

// Verdict is what detection says.
type Verdict uint8

// Unsure asks for more bytes; when a flow ends or its probe is full, it counts as No.
const (
	No Verdict = iota
	Unsure
	Yes
)

// Probe is the beginning of what each side sent. Direction 0 is the opener's where that is
// known, else that of the first payload seen.
type Probe struct {
	Transport flow.Proto
	Data      [2][]byte // borrowed, up to ProbeSize each; for datagrams the first one
	Opened    bool      // direction 0 is known to be the opener, from a SYN
	FromStart [2]bool   // Data begins where the stream of that side began
	Ports     [2]uint16 // hints at best: detection is by content

	// Swap is set by a Detect that says Yes: direction 1 is the client.
	Swap bool
}

// ProbeSize is how many bytes of a side are shown to detection at most.
const ProbeSize = 2048

// Sink is where a parser puts calls. It is the engine's, which is a Nester too; one goroutine uses
// it.
type Sink interface {
	// Call hands over one call. The engine fills Flow and Seq, and Protocol unless the parser
	// named what its own carries (gRPC in HTTP/2); the message is borrowed until Call returns,
	// so a parser may use its memory again.
	Call(c *Call)
	// Bodies says whether bodies are wanted, and how many bytes of each.
	Bodies() (limit int, wanted bool)
	// Switch says that from here on the stream speaks something else (after Upgrade, CONNECT,
	// STARTTLS): rest, the unread end of the bytes that the parser was just given, and all
	// that follows go through detection again. next may name the protocol, "" lets detection
	// find it. The parser is closed and sees nothing more of the flow.
	Switch(next string, rest []byte)
}

// Stamp says when bytes were captured.
type Stamp struct {
	Time int64 // ns
}

// Parser turns the two streams of one flow into calls. d is 0 for client to server. It is
// used by one goroutine. Bytes are borrowed; a parser that needs more of a message copies
// what it has, within a limit of its own. It never panics and never holds without bound.
type Parser interface {
	// Data takes the next bytes in order (of a datagram protocol: one datagram). It returns
	// ErrNotMine to give the flow up: it then goes on as bytes.
	Data(d flow.Dir, b []byte, at Stamp) error
	// Gap says that n bytes of one side are missing here (0: unknown how many).
	Gap(d flow.Dir, n int64, at Stamp) error
	// Close says that the flow ended or nothing more is to be read: calls that wait for an
	// answer are handed out without.
	Close(at Stamp)
}

// Idler is implemented by parsers of datagrams that can say that they wait for nothing. Such
// a parser may be taken from its flow without Close, and given to another one; one that is
// new, or was another flow's, goes on with the first flow should more come.
type Idler interface {
	Parser
	Idle() bool
	// Reuse makes the parser as New makes it, for another flow.
	Reuse(f *Flow, sink Sink)
}

// FieldKind is the CEL type of a field.
type FieldKind uint8

// The kinds, with the Go type that Field.Get returns for each.
const (
	String  FieldKind = iota // string
	Int                      // int64
	Bool                     // bool
	Strings                  // []string
	Map                      // map[string]string
	Bytes                    // []byte
)

// Field is one filter field of a protocol. Two protocols may declare the same field (method,
// status_code): name and kind must then agree.
type Field struct {
	Name    string
	Kind    FieldKind
	Help    string // one line
	Example string // a value to compare with, as typed in a filter: `"GET"`, `404`
	// Get reads it from a message of this protocol; nil is "not known", which a filter sees
	// as the zero value.
	Get func(c *Call) any
}

// Of makes a Field.Get of what reads one kind of message; of other messages nothing is known.
func Of[M Message](get func(M) any) func(*Call) any {
	return func(c *Call) any {
		if m, ok := c.Message.(M); ok {
			return get(m)
		}
		return nil
	}
}
