// Package dissect turns packets into calls: it defines what a protocol must do, which of them
// claims a flow, and what a call is. One folder below holds one protocol; protocols/ is the
// ordered list of them; stream/ reassembles; filter/ judges.
//
// An Engine is used by one goroutine; it may use two of its own to dissect. What it hands to
// its callbacks (Call, Flow) is borrowed until the callback returns, unless said otherwise.
// Nothing that comes off the wire makes it fail: what cannot be parsed is a flow without
// calls, what is missing is marked.
package dissect

import (
	"math/bits"
	"net/netip"

	"github.com/sshark/sshark/pcap/flow"
)

// Identity is who an address was when its packet was seen; "" is unknown. Values are
// immutable and shared.
type Identity struct {
	Namespace string
	Pod       string
	PodUID    string
	Service   string
	Workload  string
	Kind      string // of the workload: Deployment, StatefulSet, …
	Node      string
	DNS       string // the name that was asked for
	Labels    map[string]string

	Annotations map[string]string // of the pod
}

// Name is the best name: service, else pod or workload, else DNS name, else "".
func (i *Identity) Name() string {
	switch {
	case i == nil:
		return ""
	case i.Service != "":
		return i.Service
	case i.Pod != "":
		return i.Pod
	case i.Workload != "":
		return i.Workload
	case i.DNS != "":
		return i.DNS
	}
	return i.Node
}

// Endpoint is one end of a flow.
type Endpoint struct {
	Addr netip.AddrPort
	*Identity
}

// Display is the name to show: the identity's with its namespace, else the address.
func (e *Endpoint) Display() string {
	name := e.Name()
	switch {
	case name == "":
		return e.Addr.Addr().String()
	case e.Identity.Namespace != "":
		return e.Identity.Namespace + "/" + name
	}
	return name
}

// Side is where a flow was seen.
type Side uint8

// SideUnknown: the capture does not say, or it was in the middle. SideBoth: sightings at both
// ends were joined (package vantage), and what is told is the server's.
const (
	SideUnknown Side = iota
	SideClient
	SideServer
	SideBoth
)

// String is the word that JSON and --vantage have.
func (s Side) String() string { return [...]string{"", "client", "server", "both"}[s] }

// Flow is an L4 conversation, told from the client's side: direction 0 is client to server.
// Client and Server are fixed before the first call is handed out; counters grow while it
// lives.
type Flow struct {
	ID        flow.ID
	Node      string     // that captured it
	NodeIP    netip.Addr // of that node, the zero Addr where it is not known
	Transport flow.Proto
	Client    Endpoint
	Server    Endpoint
	Vantage   Side
	Protocol  *Protocol // that claimed the stream, nil: none (yet)
	First     int64     // ns, first packet that was read
	Last      int64     // ns, last packet that was read
	Packets   [2]uint64
	Bytes     [2]uint64 // on the wire
	Payload   [2]uint64 // in-order payload bytes that were reassembled
	Lost      [2]uint64 // payload bytes that are missing (gaps)
	State     State
	Decrypted bool // some of it was inside of TLS, and was decrypted

	// Opening is what the two ends of a TCP connection chose when they opened it: their initial
	// sequence numbers, the client's in the upper half. Address translation leaves it as it is,
	// so all sightings of one connection have the same. 0: not seen, or not TCP.
	Opening uint64
}

// State is how far a flow has come, in the words of KFL's flow_state.
type State uint8

// Open: nothing but an opening was seen. Datagram flows close by idle time.
const (
	Open State = iota
	InProgress
	Closed
	Reset // closed by RST
)

// String is the word of JSON and filters; a reset flow is "closed" there.
func (s State) String() string {
	return [...]string{"open", "in_progress", "closed", "closed"}[s]
}

// Call is a request and its response, or a lone message. Times are ns since 1970 UTC, 0 where
// unknown. The value belongs to the engine, which uses it again.
type Call struct {
	Flow     *Flow
	Protocol *Protocol
	Seq      uint32 // tells calls of one flow apart that began at the same time, from 0

	// Reverse: a lone message from the flow's server, or a request that it made.
	Reverse bool

	Time          int64 // first byte of the request (of the response, if that is all there is)
	RequestEnd    int64 // last byte of the request
	ResponseStart int64 // first byte of the response
	ResponseEnd   int64 // last byte of the response

	RequestSize  uint64 // bytes of the request message on the wire, headers included
	ResponseSize uint64

	Error      bool // the protocol calls it an error (5xx and 4xx, a DNS failure, -ERR, …)
	Incomplete bool // bytes of it were lost, or the stream ended inside it
	Decrypted  bool // it was inside of TLS; its times are those of whole TLS records

	// Client is the same call as it was seen at the client's end, where the call was seen at
	// both; nil otherwise. The times above are then those of the server's end.
	Client *Sighting

	Message Message
}

// Sighting is when a call was seen at one place, by the clock of its node. Times are those of
// a Call.
type Sighting struct {
	Node          string
	Time          int64
	RequestEnd    int64
	ResponseStart int64
	ResponseEnd   int64
}

// Src is the sender of the request or of the lone message.
func (c *Call) Src() *Endpoint {
	if c.Reverse {
		return &c.Flow.Server
	}
	return &c.Flow.Client
}

// Dst is the other end.
func (c *Call) Dst() *Endpoint {
	if c.Reverse {
		return &c.Flow.Client
	}
	return &c.Flow.Server
}

// ID is derived from the flow, the time and Seq: 52 bits, the same whenever and from whatever
// beginning the flow is read.
func (c *Call) ID() uint64 {
	const m1, m2 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
	hi, lo := bits.Mul64(uint64(c.Flow.ID)^m1, uint64(c.Time)*m2+uint64(c.Seq))
	return (hi ^ lo) >> 12
}

// Elapsed is from the end of the request to the start of the response, ns; ok is false
// where there is no response (or no request).
func (c *Call) Elapsed() (ns int64, ok bool) {
	if c.RequestEnd == 0 || c.ResponseStart == 0 {
		return 0, false
	}
	// A server may answer before the request's last byte.
	return max(0, c.ResponseStart-c.RequestEnd), true
}

// Network is how much longer the client waited than the server took, ns: the time on the way
// there and back, by which no clocks need to agree. ok is false where the call was not seen
// at both ends.
func (c *Call) Network() (ns int64, ok bool) {
	s := c.Client
	if s == nil || s.RequestEnd == 0 || s.ResponseStart == 0 {
		return 0, false
	}
	server, ok := c.Elapsed()
	return max(0, s.ResponseStart-s.RequestEnd-server), ok
}

// Duration is from the start of the request to the end of the response, ns.
func (c *Call) Duration() (ns int64, ok bool) {
	if c.Time == 0 || c.ResponseEnd == 0 || c.RequestEnd == 0 {
		return 0, false
	}
	return max(0, c.ResponseEnd-c.Time), true
}

// Message is what a protocol knows of one call. The protocol's own fields read it through
// Field.Get; everyone else has these. What it returns is for screens only after the screen's
// own escaping: names, paths and bodies come off the wire.
type Message interface {
	// AppendSummary appends the one line that says what was asked: "GET /cart", "A example.com".
	AppendSummary(dst []byte) []byte
	// AppendStatus appends what came of it: "200", "NXDOMAIN", "" where nothing did.
	AppendStatus(dst []byte) []byte
	// AppendFields appends `,"name":value` for each field of the protocol that is known.
	AppendFields(dst []byte) []byte
	// Body returns the request's (0) or response's (1) body as it was sent, undone of its
	// transfer and content encoding, cut at the engine's limit; nil unless bodies were asked for.
	Body(part int) *Body
}

// Body is the content of one message. Its bytes are borrowed with the call.
type Body struct {
	Type      string // media type as it was said, "" if it was not
	Encoding  string // content encoding that was undone, "" none
	Data      []byte // decoded; as it came where Err is set
	Size      int64  // bytes as sent, before decoding, including those beyond the limit
	Truncated bool   // Data is not all of it
	Err       error  // it could not be decoded
}
