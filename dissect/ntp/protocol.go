// Package ntp dissects NTP (RFC 5905, RFC 1305) and SNTP (RFC 4330), versions 1 to 4, with its
// control messages (RFC 9327) and the private ones of ntpd, on any UDP port.
//
// Every message is a call of its own; what a server says has the times of a response. Mode and
// version are told of all, stratum and reference of those that tell time. A kiss of death (RFC
// 5905, 7.4) is an error, its code the status.
//
// Eight bytes of a header that may all be zero say little: away from port 123 a message must
// have the length, the ranges and the timestamps of one, and control messages are not claimed.
// Extension fields and authenticators are not read. A parser belongs to one flow and one
// goroutine.
package ntp

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lone"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes NTP.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "ntp",
	Title:     "NTP",
	Transport: []flow.Proto{flow.UDP},
	Detect:    detect,
	New:       func(f *dissect.Flow, sink dissect.Sink) dissect.Parser { return lone.New(f, sink, &message{}) },
	Fields:    fields,
}

// port is that of NTP: there, less evidence is enough.
const port = 123

func detect(p *dissect.Probe) dissect.Verdict {
	hint := p.Ports[0] == port || p.Ports[1] == port
	for d, b := range p.Data {
		m := message{b: b}
		if !m.sane() || !hint && !m.likely() {
			continue
		}
		if m.mode() != broadcast {
			p.Swap = m.reply() == (d == 0)
		}
		return dissect.Yes
	}
	return dissect.No
}

// sane says whether what is there is in its range (RFC 5905, 7.3; RFC 9327, 2).
func (m *message) sane() bool {
	if len(m.b) < minHeader || m.version() < 1 || m.version() > 4 {
		return false
	}
	switch m.mode() {
	case control:
		if len(m.b) < controlHeader {
			return false
		}
		n := int(binary.BigEndian.Uint16(m.b[10:]))
		return m.b[0]&0xc0 == 0 && controls[m.b[1]&0x1f] != "" && n <= maxControl
	case private:
		// Of implementations there were these three.
		return m.b[2] == 0 || m.b[2] == 2 || m.b[2] == 3
	case 0:
		// Version 1 had no modes (RFC 1059): servers tell by the port who asks.
		if m.version() != 1 {
			return false
		}
	}
	poll, precision := int8(m.b[2]), int8(m.b[3])
	return m.b[1] <= 16 && poll >= -8 && poll <= 24 && (precision <= 0 && precision >= -40 || precision == untold)
}

// untold is the precision of a client that keeps its own to itself; others say 0.
const untold = 32

// likely says whether a message that is sane is one on any port.
func (m *message) likely() bool {
	b := m.b
	if len(b) < header || len(b)%4 != 0 || m.mode() == 0 || m.mode() >= control {
		return false
	}
	be := binary.BigEndian
	receive, transmit := be.Uint32(b[32:]), be.Uint32(b[40:])
	if m.mode() == server {
		// Both were read off one clock, one after the other.
		return be.Uint64(b[24:]) != 0 && receive != 0 && transmit-receive < 16
	}
	if be.Uint64(b[40:]) == 0 || m.version() < 3 {
		return false
	}
	for _, c := range b[4:40] {
		if c != 0 {
			// Not one of those that say nothing but when they were sent: the delay to the reference
			// clock and its uncertainty are below 16 s, and timestamps are of one time.
			past := be.Uint32(b[16:])
			return be.Uint32(b[4:]) < 16<<16 && be.Uint32(b[8:]) < 16<<16 && b[3] >= 0x80 &&
				(past == 0 || transmit-past < 1<<22) && (receive == 0 || transmit-receive < 1<<20)
		}
	}
	return true
}
