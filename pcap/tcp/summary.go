package tcp

import "github.com/sshark/sshark/pcap/flow"

// End is how a connection ended, as far as it was seen.
type End uint8

// The ends. By is who began it: sent the first FIN, or the RST.
const (
	Open       End = iota // nothing says that it ended
	Opening               // it was asked for, and never answered
	HalfClosed            // one side has said that it sends no more
	Closed                // both have
	Refused               // the answer to the opening was a reset
	Reset                 // a reset cut it off
)

// Summary is what there is to say of a connection.
type Summary struct {
	Client flow.Dir // the direction of what the client sent
	Opened bool     // the opening was seen, so Client is known; else it is a guess: who sent first
	Side   [2]Side  // by direction
	// SYN, SYNACK and ACK are when the opening was seen, 0 where it was not. Seen at the client,
	// the round trip is from SYN to SYNACK; at the server, from SYNACK to ACK.
	SYN, SYNACK, ACK int64
	End              End
	By               flow.Dir
	First, Last      int64
}

// Summary is what was seen so far.
func (a *Analyzer) Summary() Summary {
	s := Summary{Client: a.opener, Opened: a.opened, SYN: a.syn, SYNACK: a.synAck, ACK: a.ack, First: a.first, Last: a.now}
	for d := range a.end {
		s.Side[d] = a.end[d].Side
	}
	rst := func(d flow.Dir) int64 { return s.Side[d].RST }
	fin := func(d flow.Dir) int64 { return s.Side[d].FIN }
	switch {
	case rst(0) != 0 || rst(1) != 0:
		s.End, s.By = Reset, earlier(rst)
		if a.opened && s.By != a.opener && a.synAck == 0 && s.Side[a.opener].Payload == 0 {
			s.End = Refused
		}
		// A reset behind a close cuts nothing off.
		if f := max(fin(0), fin(1)); fin(0) != 0 && fin(1) != 0 && rst(s.By) > f {
			s.End, s.By = Closed, earlier(fin)
		}
	case fin(0) != 0 && fin(1) != 0:
		s.End, s.By = Closed, earlier(fin)
	case fin(0) != 0 || fin(1) != 0:
		s.End, s.By = HalfClosed, earlier(fin)
	case a.opened && a.syn != 0 && a.synAck == 0 && s.Side[a.opener.Other()].Packets == 0:
		s.End, s.By = Opening, a.opener
	}
	return s
}

// earlier is the direction whose time comes first; 0 is never.
func earlier(at func(flow.Dir) int64) flow.Dir {
	a, b := at(flow.AtoB), at(flow.BtoA)
	if a == 0 || b != 0 && b < a {
		return flow.BtoA
	}
	return flow.AtoB
}

// Both are the counts of both sides.
func (s *Summary) Both() (c Counts) {
	for i := range c {
		c[i] = s.Side[0].Counts[i] + s.Side[1].Counts[i]
	}
	return c
}
