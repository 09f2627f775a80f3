package dissect

import (
	"errors"
	"net/netip"

	"github.com/sshark/sshark/dissect/stream"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// phase is what becomes of a flow's bytes.
type phase uint8

const (
	probing  phase = iota // no protocol has claimed it yet
	parsing               // one has
	ignored               // none does: the flow goes on as bytes
	done                  // closed
	unwanted              // the asker does not want it
)

// conn is one flow in the hands of a worker. It receives the streams, in directions of the
// key, and is the sink of the flow's parser.
type conn struct {
	w       *worker
	flow    Flow
	key     flow.Key
	client  flow.Dir // which direction of the key is client to server
	iface   *pcap.Interface
	last    int64       // ns, newest packet that was read
	seen    [2]bool     // a packet was read, by direction of the key
	opened  bool        // the opener is known from a SYN
	tcp     *stream.TCP // nil: datagrams
	sctp    *stream.SCTP
	phase   phase
	told    bool
	fixed   bool // the ends no longer change
	waiting bool

	outer    *conn              // it is inside of that one's stream, decrypted; nil: it was captured
	entry    *flow.Entry[*conn] // of the tracker that found it, nil: the source did
	parser   Parser
	calls    uint32
	begun    int64 // time of its first call
	recent   *moments
	tries    uint8 // datagrams that nobody claimed
	switched bool
	next     string
	rest     []byte
	probe    *prober // nil: nothing was shown to the protocols yet
	unheard  bool    // ignored by what one side said before the other
	listed   bool    // in the worker's list of datagram flows with a parser
	fins     [2]bool
	isn      [2]uint32 // initial sequence numbers, by direction of the key
	isns     uint8     // bit d: isn[d] is known
}

// orient guesses which end is the client, from what headers tell.
func (c *conn) orient(info *flow.Info) {
	c.key = info.Key
	switch info.Opener {
	case flow.OpenerA, flow.OpenerB:
		c.opened = true
		c.client = flow.Dir(info.Opener - flow.OpenerA)
	default:
		// Servers have the lower port; the first to speak is the client if that says nothing.
		c.client = flow.AtoB
		if info.Opener == flow.OpenerBGuess {
			c.client = flow.BtoA
		}
		a, b := info.Key.PortA, info.Key.PortB
		if a != b && (a < 1024 || b < 1024 || info.Key.Proto == flow.TCP) {
			c.client = flow.AtoB
			if a < b {
				c.client = flow.BtoA
			}
		}
	}
	c.ends()
}

// ends fills in who the flow is between.
func (c *conn) ends() {
	f := &c.flow
	f.Client.Addr, f.Server.Addr = c.key.Addr(c.client), c.key.Addr(c.client.Other())
	own := ownEnd(c.iface, f.Client.Addr.Addr(), f.Server.Addr.Addr())
	f.Vantage = own
	f.Client.Identity, f.Server.Identity = c.identity(&f.Client, own == SideClient), c.identity(&f.Server, own == SideServer)
	if own == SideServer && f.Client.Identity == nil && f.Client.Addr.Addr() == f.Server.Addr.Addr() {
		f.Client.Identity = f.Server.Identity // a pod that talks to itself
	}
	c.opening()
}

// opens notes the initial sequence numbers that a SYN tells: its sender's, and with ACK that
// of the other end too (RFC 9293, 3.5).
func (c *conn) opens(h *flow.Header) {
	c.isn[h.Dir], c.isns = h.Seq, c.isns|1<<h.Dir
	if h.Flags&flow.ACK != 0 {
		d := h.Dir.Other()
		c.isn[d], c.isns = h.Ack-1, c.isns|1<<d
	}
	c.opening()
}

func (c *conn) opening() {
	if c.isns == 3 {
		c.flow.Opening = uint64(c.isn[c.client])<<32 | uint64(c.isn[c.client.Other()])
	}
}

// ownEnd says which end of a flow the interface belongs to. A pod that talks to itself is
// seen as the server.
func ownEnd(i *pcap.Interface, client, server netip.Addr) Side {
	side := SideUnknown
	for _, p := range i.Addrs {
		switch p.Addr() {
		case server:
			return SideServer
		case client:
			side = SideClient
		}
	}
	return side
}

func (c *conn) identity(e *Endpoint, own bool) *Identity {
	var id *Identity
	if c.w.o.Resolve != nil {
		id = c.w.o.Resolve(e.Addr, c.flow.First)
	}
	if own && c.iface.Pod.Name != "" && (id == nil || id.Pod != c.iface.Pod.Name || id.Namespace != c.iface.Pod.Namespace) {
		return c.w.owner(c.iface)
	}
	return id
}

// turn makes the other end the client.
func (c *conn) turn() {
	f := &c.flow
	c.client = c.client.Other()
	f.Packets[0], f.Packets[1] = f.Packets[1], f.Packets[0]
	f.Bytes[0], f.Bytes[1] = f.Bytes[1], f.Bytes[0]
	f.Payload[0], f.Payload[1] = f.Payload[1], f.Payload[0]
	f.Lost[0], f.Lost[1] = f.Lost[1], f.Lost[0]
	c.ends()
}

// flags notes how a connection ends.
func (c *conn) flags(h *flow.Header, time int64) {
	switch {
	case !c.w.before(time):
	case h.Flags&flow.RST != 0:
		c.flow.State = Reset
	case h.Flags&flow.FIN != 0:
		c.fins[h.Dir] = true
		if c.fins[0] && c.fins[1] && c.flow.State != Reset {
			c.flow.State = Closed
		}
	}
}

// maybeDone ends the dissection of a connection that is over.
func (c *conn) maybeDone(h *flow.Header) {
	if h.Flags&flow.RST != 0 || c.tcp != nil && c.tcp.Finished() {
		c.finish()
	}
}

// finish hands on what is held and closes the parser.
func (c *conn) finish() {
	if c.phase == done {
		return
	}
	if c.tcp != nil {
		c.tcp.Close(c.w.clock, c)
	}
	if c.sctp != nil {
		c.sctp.Close(c.w.clock, c)
	}
	if c.phase == probing && c.probe != nil {
		c.probe.settle(c)
	}
	c.closeParser()
	c.fixed = true
	c.phase = done
	c.tcp, c.sctp, c.probe, c.recent = nil, nil, nil, nil
}

func (c *conn) closeParser() {
	if c.parser != nil {
		p := c.parser
		c.parser = nil
		p.Close(Stamp{Time: c.last})
	}
}

// streams says that its bytes are two streams, not datagrams.
func (c *conn) streams() bool { return c.flow.Transport == flow.TCP }

// count tells n more bytes of payload, direction d of the key; n < 0: they are to be told again.
func (c *conn) count(d flow.Dir, n int, time int64) {
	if c.w.within(time) {
		c.flow.Payload[d^c.client] += uint64(n)
	}
}

// Data takes the next bytes of one direction of the key.
func (c *conn) Data(d flow.Dir, b []byte, time int64) {
	c.count(d, len(b), time)
	switch c.phase {
	case parsing:
		c.feed(d^c.client, b, time)
	case probing:
		switch {
		case !c.streams():
			c.datagram(d, b, time)
			return
		case c.probe == nil:
			c.probe = &prober{}
		}
		c.probe.data(c, d, b, time)
	}
}

// Gap takes word of missing bytes of one direction of the key.
func (c *conn) Gap(d flow.Dir, n int64, time int64) {
	if c.w.within(time) {
		c.flow.Lost[d^c.client] += uint64(n)
	}
	switch {
	case c.phase == parsing:
		if err := c.parser.Gap(d^c.client, n, Stamp{Time: time}); err != nil {
			c.giveUp(err)
		}
	case c.phase == ignored && c.unheard: // the other's beginning was lost: what was said answered it
		c.phase, c.unheard, c.probe = probing, false, &prober{}
		c.probe.gap(c, d, n, time)
	case c.phase == probing && c.streams(): // each datagram is shown by itself
		if c.probe == nil {
			c.probe = &prober{}
		}
		c.probe.gap(c, d, n, time)
	}
}

// feed gives the parser bytes, direction 0 being client to server.
func (c *conn) feed(d flow.Dir, b []byte, time int64) {
	if c.parser == nil {
		c.parser = c.w.parser(c)
	}
	if !c.streams() && !c.listed {
		c.w.list(c)
	}
	err := c.parser.Data(d, b, Stamp{Time: time})
	if err != nil {
		c.giveUp(err)
		return
	}
	if c.switched {
		c.change(d, time)
	}
}

// giveUp lets a flow go on as bytes. A parser that knows it was wrong says ErrNotMine; any
// other error ends the dissection of the flow in the same way.
func (c *conn) giveUp(err error) {
	c.closeParser()
	if errors.Is(err, ErrNotMine) && c.calls == 0 {
		c.flow.Protocol = nil
	}
	c.phase = ignored
}

// change goes on with another protocol in the same stream.
func (c *conn) change(d flow.Dir, time int64) {
	c.switched = false
	rest := c.rest
	c.rest = nil
	c.closeParser()
	c.phase = probing
	c.probe = &prober{changed: true}
	if p := c.w.byName[c.next]; p != nil {
		c.claim(p, false)
		if len(rest) > 0 {
			c.feed(d, rest, time)
		}
		return
	}
	if len(rest) > 0 && c.streams() {
		c.probe.data(c, d^c.client, rest, time)
	}
}

// claim gives the flow to a protocol.
func (c *conn) claim(p *Protocol, swap bool) {
	if swap && !c.fixed {
		c.turn()
	}
	c.fixed = true
	c.flow.Protocol = p
	c.phase = parsing
	c.parser = c.w.parser(c)
	c.probe = nil
}

// Call is the sink's: it completes a call and hands it over.
func (c *conn) Call(call *Call) {
	if call.Protocol == nil {
		call.Protocol = c.flow.Protocol
	}
	call.Decrypted = c.outer != nil
	for ; c.outer != nil; c = c.outer {
		c.calls++
	}
	c.calls++
	call.Flow, call.Seq = &c.flow, c.nth(call.Time)
	c.w.handler.Call(call)
}

// moments count the last calls of a flow by the time that they began at, in a ring.
type moments struct {
	times [8]int64
	n     [8]uint32
	last  uint8
}

// nth is how many calls of that time there were before. A flow with one call, as most of
// datagrams are, needs no ring.
func (c *conn) nth(time int64) uint32 {
	if c.calls == 1 {
		c.begun = time
		return 0
	}
	m := c.recent
	if m == nil {
		m = &moments{}
		m.times[0] = c.begun
		c.recent = m
	}
	for i := range m.times {
		if at := (m.last - uint8(i)) % uint8(len(m.times)); m.times[at] == time {
			m.n[at]++
			return m.n[at]
		}
	}
	m.last = (m.last + 1) % uint8(len(m.times))
	m.times[m.last], m.n[m.last] = time, 0
	return 0
}

// Bodies is the sink's.
func (c *conn) Bodies() (int, bool) { return c.w.o.Bodies, c.w.o.Bodies > 0 }

// Switch is the sink's.
func (c *conn) Switch(next string, rest []byte) { c.switched, c.next, c.rest = true, next, rest }
