// Package amqp dissects AMQP 0-9-1 (its specification, and RabbitMQ's extensions) on any TCP
// port. AMQP 1.0 is another protocol, and refused.
//
// A call is one method, a lone message, of the client or of the server; with its content
// header and body where it has them (publish, deliver, get-ok, return), put together by
// channel, since frames of other channels may come in between. Methods that answer others
// ("-ok") are told as responses, the others as requests; they are not paired. Heartbeats and
// protocol headers are not told, but for the header with which a server refuses a client's.
//
// Where bytes are missing: in a frame whose length is known the stream stays in step; else the
// next frame is looked for by its header, a known method, and its end mark. Contents that were
// on the way are then told as incomplete. What is said in SASL is not repeated.
//
// A parser belongs to one flow and one goroutine; it holds at most 2,048 contents of 4 MiB in
// all for each side, and allocates nothing for a call once it has seen one of its size.
package amqp

import (
	"bytes"
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes AMQP 0-9-1.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "amqp",
	Title:     "AMQP",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New:       func(f *dissect.Flow, sink dissect.Sink) dissect.Parser { return newParser(f, sink) },
	Fields:    fields,
}

// Frames (specification, 4.2.3): type, channel, length, what is in it, end mark.
const (
	frameMethod    = 1
	frameHeader    = 2
	frameBody      = 3
	frameHeartbeat = 8

	frameStart = 7
	frameEnd   = 0xCE
	maxFrame   = 128 << 20
)

// Protocol headers (4.2.2) are "AMQP" and four bytes of version.
const initSize = 8

var initMagic = []byte("AMQP")

// isInit says whether b may be, and whether it is, a protocol header, and if it is one of
// AMQP 0-8 to 0-9-1.
func isInit(b []byte) (may, is, ours bool) {
	if n := min(len(b), len(initMagic)); !bytes.Equal(b[:n], initMagic[:n]) {
		return false, false, false
	}
	if len(b) < initSize {
		return true, false, false
	}
	switch string(b[4:initSize]) {
	case "\x00\x00\x09\x01", "\x01\x01\x00\x09", "\x01\x01\x08\x00", "\x01\x01\x09\x01":
		ours = true
	}
	return true, true, ours
}

// guess is what the bytes of one side look like.
type guess uint8

const (
	other   guess = iota
	silent        // nothing was said
	begun         // too little to tell
	frame         // of anyone
	client        // only clients say that
	server        // only servers do
	foreign       // a protocol header of another version
)

// detect wants a protocol header from the client, or a whole frame from either side.
func detect(p *dissect.Probe) dissect.Verdict {
	a, b := look(p.Data[0]), look(p.Data[1])
	if a == foreign || b == foreign {
		switch {
		case a == foreign && b == client: // the server says what it would speak
			return dissect.Yes
		case a == foreign && (b == silent || b == begun):
			return dissect.Unsure
		}
		return dissect.No
	}
	switch {
	case a == client || b == server:
		return dissect.Yes
	case b == client && p.Opened && bytes.HasPrefix(p.Data[1], initMagic):
		return dissect.Unsure // a server refuses what has not come yet
	case b == client || a == server:
		p.Swap = true
		return dissect.Yes
	case a == frame || b == frame:
		return dissect.Yes
	case (a == begun || b == begun) && a != other && b != other:
		return dissect.Unsure
	}
	return dissect.No
}

// look tells what b begins with.
func look(b []byte) guess {
	if len(b) == 0 {
		return silent
	}
	switch may, is, ours := isInit(b); {
	case ours:
		return client
	case is:
		return foreign
	case may:
		return begun
	}
	size := measure(b)
	switch {
	case size < 0:
		return other
	case size == 0:
		return begun
	case b[0] == frameMethod && len(b) >= frameStart+4:
		m := methodOf(b[frameStart:])
		switch {
		case m == nil, int64(len(b)) >= size && b[size-1] != frameEnd:
			return other
		case int64(len(b)) < size:
			return begun
		case m.from == 'c':
			return client
		case m.from == 's':
			return server
		}
		return frame
	case int64(len(b)) < size:
		if len(b) >= dissect.ProbeSize {
			return other
		}
		return begun
	case b[size-1] != frameEnd:
		return other
	case b[0] == frameBody: // whatever it is, a frame must follow
		if next := look(b[size:]); next == other {
			return other
		}
	}
	return frame
}

// measure is the length of the frame that b begins with; 0: too short to tell, -1: none does.
func measure(b []byte) int64 {
	switch b[0] {
	case frameMethod, frameHeader, frameBody, frameHeartbeat:
	default:
		return -1
	}
	if len(b) < frameStart {
		return 0
	}
	n := int64(binary.BigEndian.Uint32(b[3:]))
	channel := binary.BigEndian.Uint16(b[1:])
	switch b[0] {
	case frameMethod:
		if n < 4 {
			return -1
		}
		if len(b) >= frameStart+4 {
			m := methodOf(b[frameStart:])
			if m != nil && (m.class == classConnection) != (channel == 0) {
				return -1
			}
		}
	case frameHeader:
		if n < 14 || channel == 0 {
			return -1
		}
	case frameBody:
		if channel == 0 {
			return -1
		}
	case frameHeartbeat:
		if n != 0 || channel != 0 {
			return -1
		}
	}
	if n > maxFrame {
		return -1
	}
	return frameStart + n + 1
}
