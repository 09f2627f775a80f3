package quic

import (
	"crypto/aes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sender makes Initial packets.
type sender struct {
	version    uint32
	dcid, scid string
	keys       keys
	number     uint64
	token      string
}

func number(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)|0x8000_0000) }

// initial seals frames in a packet (RFC 9001, 5.3 and 5.4); its number has two bytes.
func (s *sender) initial(frames ...string) string {
	kinds := byte(0)
	if s.version == version2 {
		kinds = 1
	}
	b := []byte{longHeader | fixedBit | kinds<<4 | 1}
	b = binary.BigEndian.AppendUint32(b, s.version)
	b = append(append(b, byte(len(s.dcid))), s.dcid...)
	b = append(append(b, byte(len(s.scid))), s.scid...)
	b = append(append(b, number(len(s.token))...), s.token...)
	var text []byte
	for _, f := range frames {
		text = append(text, f...)
	}
	for len(text) < 32 {
		text = append(text, framePadding)
	}
	b = append(b, number(2+len(text)+tagSize)...)
	body := len(b)
	b = binary.BigEndian.AppendUint16(b, uint16(s.number))
	nonce := s.keys.iv
	for i := range 8 {
		nonce[4+i] ^= byte(s.number >> (56 - 8*i))
	}
	s.number++
	b = s.keys.aead.Seal(b, nonce[:], text, b)
	var mask [aes.BlockSize]byte
	s.keys.hp.Encrypt(mask[:], b[body+4:body+4+aes.BlockSize])
	b[0] ^= mask[0] & 0x0f
	b[body] ^= mask[1]
	b[body+1] ^= mask[2]
	return string(b)
}

// crypto is a CRYPTO frame.
func crypto(off int, data string) string {
	return string([]byte{frameCrypto}) + string(number(off)) + string(number(len(data))) + data
}

func closing(code int) string {
	return string([]byte{frameClose}) + string(number(code)) + "\x00\x00"
}

const ack = "\x02\x00\x00\x00\x00"

func pair(version uint32, dcid string) (client, server *sender) {
	return pairOf(version, recipes(version)[0], dcid)
}

// pairOf are a client and a server that make their keys in a way that the version does not tell.
func pairOf(version uint32, r recipe, dcid string) (client, server *sender) {
	k := initialKeys(r, []byte(dcid))
	return &sender{version: version, dcid: dcid, scid: "client", keys: k[0]}, &sender{version: version, dcid: "client", scid: "the server", keys: k[1]}
}

// shake is a TLS message.
func shake(kind byte, body string) string {
	return string([]byte{kind, 0, byte(len(body) >> 8), byte(len(body))}) + body
}

func block(n int, s string) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(len(s)))
	return string(b[8-n:]) + s
}

const random = "0123456789abcdef0123456789abcdef"

// hello is a ClientHello of TLS 1.3 for a host, over HTTP/3.
func hello(name string) string {
	return shake(1, "\x03\x03"+random+"\x00"+block(2, "\x13\x01")+block(1, "\x00")+block(2,
		"\x00\x00"+block(2, block(2, "\x00"+block(2, name)))+"\x00\x10"+block(2, block(2, block(1, "h3")))+"\x00\x2b"+block(2, block(1, "\x03\x04"))))
}

var (
	reply = shake(2, "\x03\x03"+random+"\x00\x13\x01\x00"+block(2, "\x00\x2b\x00\x02\x03\x04"))
	again = shake(2, "\x03\x03\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"+
		"\x00\x13\x01\x00"+block(2, "\x00\x2b\x00\x02\x03\x04"))
)

// sink notes calls.
type sink struct {
	t     testing.TB
	calls []string
	each  func(c *dissect.Call)
}

func (k *sink) Bodies() (int, bool)   { return 0, false }
func (k *sink) Switch(string, []byte) {}
func (k *sink) Call(c *dissect.Call) {
	k.calls = append(k.calls, cuttest.Short(c))
	if c.Time == 0 || c.RequestEnd < c.Time || c.ResponseEnd < c.ResponseStart {
		k.t.Errorf("%s: times: %+v", cuttest.Short(c), c)
	}
	if k.each != nil {
		k.each(c)
	}
}

// datagram is one of a conversation, at 1 ms after the last one.
type datagram struct {
	d    flow.Dir
	data string
}

func c(packets ...string) datagram { return datagram{0, strings.Join(packets, "")} }
func s(packets ...string) datagram { return datagram{1, strings.Join(packets, "")} }

func play(t testing.TB, datagrams []datagram) (*sink, *parser) {
	k := &sink{t: t}
	p := &parser{sink: k}
	now := int64(1e9)
	for _, g := range datagrams {
		now += 1e6
		b := []byte(g.data)
		if err := p.Data(g.d, b, dissect.Stamp{Time: now}); err != nil {
			t.Fatal(err)
		}
		clear(b)
	}
	p.Close(dissect.Stamp{Time: now})
	return k, p
}
