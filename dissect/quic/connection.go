package quic

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/tls"
	"github.com/sshark/sshark/pcap/flow"
)

// connection is one that has not been told: the message of its call.
type connection struct {
	version  uint32
	recipe   recipe // of the keys
	client   flow.Dir
	dcid     []byte // by which the client first called the server; keys follow from it
	own      []byte // the client's ID for itself
	server   []byte // the server's ID for itself, nil: not known
	keys     [2]keys
	expected [2]uint64 // packet numbers, of client and server
	crypto   [2]cryptoStream
	hello    *tls.Handshake
	before   *tls.Handshake // the one that a HelloRetryRequest ended
	start    int            // where in the client's stream it begins
	came     [2]part        // client's and server's packets with the hellos
	began    int64          // time of the first packet
	seen     int64          // of the newest

	cut       bool // packets of the client were cut
	whole     bool // its hello is there
	anew      bool // it was told to say hello again
	retried   bool // the server sent a Retry
	refused   bool // the server sent a Version Negotiation
	answered  bool // the server sent something else,
	agreed    bool // and its ServerHello
	closed    bool // by a CONNECTION_CLOSE
	code      uint64
	call, tls dissect.Call
}

// part is when bytes came, and how many.
type part struct {
	first, last int64
	size        int
}

func (p *part) add(n int, now int64) {
	if p.first == 0 {
		p.first = now
	}
	p.last = now
	p.size += n
}

// rekey takes the keys of another version, or those that follow from another ID.
func (c *connection) rekey(version uint32, r recipe, dcid []byte) {
	c.version, c.recipe = version, r
	c.dcid = append([]byte(nil), dcid...)
	c.keys = initialKeys(r, c.dcid)
}

// sent says whether a client's packet is of this connection.
func (c *connection) sent(h *header) bool {
	return bytes.Equal(h.dcid, c.dcid) || len(c.own) > 0 && bytes.Equal(h.scid, c.own) ||
		c.server != nil && bytes.Equal(h.dcid, c.server)
}

// gets says whether a server's packet is of this connection.
func (c *connection) gets(h *header) bool { return bytes.Equal(h.dcid, c.own) }

// Types of frames that Initial packets have (RFC 9000, 12.4).
const (
	framePadding = 0x00
	framePing    = 0x01
	frameAck     = 0x02
	frameAckECN  = 0x03
	frameCrypto  = 0x06
	frameClose   = 0x1c

	frameCryptoT = 0x08 // of Chromium's versions with TLS
)

// frames takes those of one packet; crypto says that there was a CRYPTO frame among them. What
// cannot stand in an Initial packet ends it.
func (c *connection) frames(side int, b []byte) (crypto bool) {
	for off := 0; off >= 0 && off < len(b); {
		kind := b[off]
		off++
		switch kind {
		case framePadding, framePing:
		case frameAck, frameAckECN:
			off = skipAck(b, off, kind == frameAckECN)
		case frameCrypto, frameCryptoT:
			if (kind == frameCryptoT) != (c.version == versionT050 || c.version == versionT051) {
				return crypto
			}
			at, next := varint(b, off)
			n, next := varint(b, next)
			if next < 0 || n > uint64(len(b)-next) {
				return crypto
			}
			off = next + int(n)
			c.crypto[side].add(at, b[next:off])
			crypto = true
		case frameClose:
			if code, next := varint(b, off); next > 0 {
				c.closed, c.code = true, code
			}
			return crypto
		default:
			return crypto
		}
	}
	return crypto
}

// skipAck finds the end of an ACK frame (RFC 9000, 19.3).
func skipAck(b []byte, off int, ecn bool) int {
	_, off = varint(b, off)
	_, off = varint(b, off)
	ranges, off := varint(b, off)
	_, off = varint(b, off)
	if off < 0 || ranges > uint64(len(b)) {
		return -1
	}
	n := 2 * int(ranges)
	if ecn {
		n += 3
	}
	for ; n > 0 && off >= 0; n-- {
		_, off = varint(b, off)
	}
	return off
}
