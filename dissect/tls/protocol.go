// Package tls dissects the part of TLS that is not encrypted: the handshake of SSL 3.0 (RFC 6101),
// TLS 1.0 to 1.2 (RFC 2246, 4346, 5246) and TLS 1.3 (RFC 8446), on any TCP port, also behind a
// STARTTLS, and a ClientHello in the format of SSL 2.0 (RFC 5246, E.2). The protocol's name is
// "tlsx", as in KFL: a TLS handshake, not decrypted. Of connections whose secrets are known
// (package keylog) it decrypts the rest, and shows that to the other protocols.
//
// A call is a ClientHello and what the server says to it: a ServerHello, a HelloRetryRequest
// (the next ClientHello is the next call), or an alert. It is handed out when both sides have
// gone over to encryption, or one has ended the handshake by an alert, so that what follows the
// ServerHello is told too: the server's certificate (before TLS 1.3, where it is encrypted),
// whether a session was resumed, the alert. Times and sizes are those of the two hellos alone,
// with the headers of their records. A handshake that was answered, but whose end was not seen,
// is marked incomplete. Behind the handshake nothing is read and nothing is held.
//
// Messages may be split over records and records over segments in any way, and a record may
// hold many messages. Where bytes are missing, reading that side ends: record boundaries are
// not looked for again. A ClientHello that was cut behind its version is told, marked
// incomplete, without fingerprints. A ServerHello without a ClientHello is not told. A
// connection that is joined in its middle is known by its records, and has no calls.
//
// It cannot know: what TLS 1.3 encrypts (certificates, the protocol agreed on, a client's
// refusal), a handshake inside of an encrypted connection (renegotiation), DTLS.
//
// Decrypted are AES-GCM (RFC 5288, 5289), ChaCha20-Poly1305 (RFC 7905) and, before TLS 1.3, AES-CBC
// with either order of MAC and encryption (RFC 7366), from TLS 1.0 on, with early data (RFC 8446,
// 2.3) and changes of keys. That needs a ClientHello and a ServerHello that were seen. What a
// record holds is told when all of it has come, at that time, and sizes are those of what was
// decrypted. Only what is authentic is told. Where bytes are missing, the next record that opens is
// looked for, and a gap is told before what it holds; of TLS 1.0 with CBC, where a record needs the
// one before, that ends the side. Not decrypted are other ciphers (CCM, RC4, 3DES), TLS that
// compresses, and what follows a renegotiation.
//
// JA3 is that of salesforce/ja3, JA4 that of FoxIO's JA4 (TLS client) specification; values
// of GREASE (RFC 8701) are left out of both, and of the list of cipher suites.
//
// Package quic reads the same messages with type Handshake.
//
// A parser belongs to one flow and one goroutine. It holds one ClientHello (64 KiB at most),
// the server's first certificate (32 KiB at most), and one message that is not complete. One that
// decrypts holds also a record of each side and what one held (18 KiB each), and what a client
// sent before it was answered (64 KiB at most).
package tls

import (
	"encoding/binary"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes TLS handshakes.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "tlsx",
	Title:     "TLS",
	Transport: []flow.Proto{flow.TCP, flow.UDP}, // over UDP as a part of QUIC, whose flows are claimed there
	Detect:    detect,
	New:       func(_ *dissect.Flow, sink dissect.Sink) dissect.Parser { return newParser(sink) },
	Fields:    fields,
}

// guess is what the bytes of one side look like.
type guess uint8

const (
	other  guess = iota
	silent       // nothing was said
	begun        // too little to tell
	clientHello
	serverHello
	record // one that stands in the middle of a connection
)

// detect wants a hello from either side, or, in the middle of a connection, a record.
func detect(p *dissect.Probe) dissect.Verdict {
	if p.Transport == flow.UDP {
		return dissect.No
	}
	var sides [2]guess
	for d, b := range p.Data {
		sides[d] = look(b, p.FromStart[d])
		if sides[d] == other {
			return dissect.No
		}
	}
	for d, side := range sides {
		switch side {
		case clientHello, serverHello:
			p.Swap = (side == clientHello) == (d == 1)
			return dissect.Yes
		}
	}
	switch {
	case sides[0] == begun || sides[1] == begun:
		return dissect.Unsure
	case sides[0] == record || sides[1] == record:
		return dissect.Yes
	}
	return dissect.Unsure
}

// look reads the header of the first record, and the beginning of what it holds.
func look(b []byte, fromStart bool) guess {
	if len(b) == 0 {
		return silent
	}
	if b[0]&0x80 != 0 {
		return lookV2(b)
	}
	switch {
	case b[0] != kindHandshake && (fromStart || b[0] < kindChange || b[0] > kindData):
		return other
	case len(b) > 1 && b[1] != 3, len(b) > 2 && b[2] > 4:
		return other
	case len(b) < recordHeader:
		return begun
	}
	n := int(binary.BigEndian.Uint16(b[3:]))
	switch kind := b[0]; {
	case n == 0 || n > maxRecord:
		return other
	case kind == kindHandshake:
		return lookHello(b[recordHeader:min(len(b), recordHeader+n)], n)
	case kind == kindChange && n != 1, kind == kindAlert && n != 2 && n < minEncrypted, kind == kindData && n < minEncrypted:
		return other
	}
	next := b[min(len(b), recordHeader+n):]
	if len(next) > 0 && (next[0] < kindChange || next[0] > kindData) || len(next) > 1 && next[1] != 3 {
		return other
	}
	return record
}

// lookHello looks at the payload of a handshake record of n bytes.
func lookHello(b []byte, n int) guess {
	switch {
	case len(b) == 0:
		return begun
	case b[0] != typeClientHello && b[0] != typeServerHello,
		len(b) > 1 && b[1] != 0,
		len(b) > 4 && b[4] != 3 && b[4] != 0x7f:
		return other
	case len(b) < min(n, 6):
		return begun
	case len(b) >= helloHeader && messageSize(b) < minHello:
		return other
	case b[0] == typeClientHello:
		return clientHello
	}
	return serverHello
}

// lookV2 looks at a ClientHello of SSL 2.0, whose lengths must fit each other.
func lookV2(b []byte) guess {
	switch {
	case len(b) > 2 && b[2] != typeClientHello,
		len(b) > 3 && b[3] != 3 && b[3] != 0,
		len(b) > 4 && (b[3] == 3 && b[4] > 4 || b[3] == 0 && b[4] != 2):
		return other
	case len(b) < 2+v2Header:
		return begun
	}
	if _, ok := readV2(b[2:], int(b[0]&0x7f)<<8|int(b[1])); !ok {
		return other
	}
	return clientHello
}
