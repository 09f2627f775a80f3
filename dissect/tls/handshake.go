package tls

import (
	"crypto/x509"
	"strconv"
	"time"

	"github.com/sshark/sshark/dissect"
)

// part is one message: when its first and its last byte came, ns, and how many bytes of the
// flow it was.
type part struct {
	first, last int64
	size        int
}

// Handshake is a ClientHello and what was said to it: the message of a call. Its memory is
// its own. Package quic fills it by Ask, Answer and Fail.
type Handshake struct {
	carrier  byte // of JA4: 't' or 'q'
	asked    bool
	answered bool
	resumed  bool
	early    bool // the client may send data at once
	failed   bool
	alert    int // that ended it, plus one

	hello       []byte // the ClientHello
	client      asking // of hello
	server      answering
	alpn        []byte // of server
	certificate []byte
	parsed      *x509.Certificate

	request, response part
	call              dissect.Call
}

// NewQUIC makes a handshake that QUIC carries.
func NewQUIC() *Handshake { return &Handshake{carrier: 'q'} }

// reset makes it a new handshake; memory is kept.
func (hs *Handshake) reset() {
	*hs = Handshake{carrier: hs.carrier, hello: hs.hello[:0], alpn: hs.alpn[:0], certificate: hs.certificate[:0]}
}

// Ask takes a ClientHello from its header on, which is borrowed: when it came, and how many
// bytes of the flow it was. Of one that is cut it takes what is there. It returns false if it
// is none.
func (hs *Handshake) Ask(m []byte, first, last int64, size int) bool {
	if len(m) < helloHeader || m[0] != typeClientHello {
		return false
	}
	a, ok := readClientHello(m)
	if ok {
		hs.ask(m, a)
		hs.request = part{first, last, size}
	}
	return ok
}

func (hs *Handshake) ask(m []byte, a asking) {
	hs.hello = append(hs.hello[:0], m...)
	if a.suite == 2 {
		a, _ = readClientHello(hs.hello)
	} else {
		a, _ = readV2(hs.hello, len(hs.hello))
	}
	_, hs.early = a.extension(extEarlyData)
	hs.client, hs.asked = a, true
}

// Answer takes a ServerHello, as Ask does. retry says that it is a HelloRetryRequest: the
// client will ask again.
func (hs *Handshake) Answer(m []byte, first, last int64, size int) (retry, ok bool) {
	if len(m) < helloHeader || m[0] != typeServerHello {
		return false, false
	}
	a, ok := readServerHello(m)
	if ok {
		hs.answer(a)
		hs.response = part{first, last, size}
	}
	return a.retry, ok
}

func (hs *Handshake) answer(a answering) {
	hs.alpn = append(hs.alpn[:0], a.alpn...)
	a.alpn = hs.alpn
	hs.server, hs.answered, hs.resumed = a, true, a.psk
}

// Fail says that an alert ended the handshake.
func (hs *Handshake) Fail(alert uint8) { hs.fail(alert) }

func (hs *Handshake) fail(alert uint8) { hs.alert, hs.failed = int(alert)+1, true }

// Asked says whether there is a ClientHello.
func (hs *Handshake) Asked() bool { return hs.asked }

// Whole says whether all of the ClientHello is there.
func (hs *Handshake) Whole() bool { return hs.asked && !hs.client.cut }

// Call fills in a call whose message it is, of the protocol that Protocol describes.
func (hs *Handshake) Call(c *dissect.Call) {
	*c = dissect.Call{
		Protocol: protocol, Message: hs,
		Time: hs.request.first, RequestEnd: hs.request.last, RequestSize: uint64(hs.request.size),
		ResponseStart: hs.response.first, ResponseEnd: hs.response.last, ResponseSize: uint64(hs.response.size),
		Error: hs.failed, Incomplete: hs.client.cut,
	}
}

// AppendServerName appends the name that the client asks for.
func (hs *Handshake) AppendServerName(dst []byte) []byte {
	return append(dst, hs.client.serverName()...)
}

// AppendALPN appends the protocols that the client offers, with commas between.
func (hs *Handshake) AppendALPN(dst []byte) []byte {
	const limit = 1024
	from := len(dst)
	data, _ := hs.client.extension(extALPN)
	eachProtocol(data, func(name []byte) {
		switch {
		case len(dst)-from+len(name) >= limit:
			return
		case len(dst) > from:
			dst = append(dst, ',')
		}
		dst = append(dst, name...)
	})
	return dst
}

// AppendJA4 appends the fingerprint of the client, or nothing if its hello is cut.
func (hs *Handshake) AppendJA4(dst []byte) []byte {
	if !hs.Whole() {
		return dst
	}
	return appendJA4(dst, &hs.client, hs.carrier)
}

func (hs *Handshake) appendJA3(dst []byte) []byte {
	if !hs.Whole() {
		return dst
	}
	return appendJA3(dst, &hs.client)
}

// AppendSummary implements dissect.Message: "ClientHello example.com".
func (hs *Handshake) AppendSummary(dst []byte) []byte {
	dst = append(dst, "ClientHello"...)
	if name := hs.client.serverName(); len(name) > 0 {
		dst = append(append(dst, ' '), name...)
	}
	return dst
}

// AppendStatus implements dissect.Message: "TLS 1.3", "HelloRetryRequest", or the name of the
// alert that ended the handshake.
func (hs *Handshake) AppendStatus(dst []byte) []byte {
	switch {
	case hs.failed:
		return hs.appendAlert(dst)
	case !hs.answered:
		return dst
	case hs.server.retry:
		return append(dst, "HelloRetryRequest"...)
	}
	return appendVersion(dst, hs.server.version)
}

func (hs *Handshake) appendAlert(dst []byte) []byte { return AppendAlert(dst, uint8(hs.alert-1)) }

// AppendFields implements dissect.Message.
func (hs *Handshake) AppendFields(dst []byte) []byte {
	var mem [512]byte
	text := func(name string, value []byte) {
		if len(value) > 0 {
			dst = dissect.AppendBytes(dissect.AppendKey(dst, name), value)
		}
	}
	number := func(name string, n uint16) {
		dst = strconv.AppendUint(dissect.AppendKey(dst, name), uint64(n), 10)
	}
	text("tlsx_sni", hs.client.serverName())
	text("tlsx_alpn", hs.AppendALPN(mem[:0]))
	text("tlsx_ja3", hs.appendJA3(mem[:0]))
	text("tlsx_ja4", hs.AppendJA4(mem[:0]))
	dst = append(dissect.AppendKey(dst, "tlsx_cipher_suites"), '[')
	n := len(dst)
	hs.client.eachSuite(func(s uint16) {
		if len(dst) > n {
			dst = append(dst, ',')
		}
		dst = dissect.AppendBytes(dst, appendSuite(mem[:0], s))
	})
	dst = append(dst, ']')
	if hs.answered {
		number("tlsx_version", hs.server.version)
		number("tlsx_cipher_suite", hs.server.suite)
		dst = strconv.AppendBool(dissect.AppendKey(dst, "tlsx_resumed"), hs.resumed)
	}
	if hs.failed {
		text("tlsx_alert", hs.appendAlert(mem[:0]))
	}
	if c := hs.leaf(); c != nil {
		dst = dissect.AppendString(dissect.AppendKey(dst, "tlsx_cert_subject"), c.Subject.String())
		dst = dissect.AppendString(dissect.AppendKey(dst, "tlsx_cert_issuer"), c.Issuer.String())
		dst = dissect.AppendStrings(dissect.AppendKey(dst, "tlsx_cert_names"), names(c))
		dst = dissect.AppendString(dissect.AppendKey(dst, "tlsx_cert_expires"), c.NotAfter.UTC().Format(time.RFC3339))
	}
	text("tlsx_info", hs.appendInfo(mem[:0]))
	return dst
}

// appendInfo appends what came of the handshake, in one line.
func (hs *Handshake) appendInfo(dst []byte) []byte {
	from := len(dst)
	next := func() []byte {
		if len(dst) > from {
			dst = append(dst, ", "...)
		}
		return dst
	}
	if hs.answered {
		dst = appendVersion(next(), hs.server.version)
		dst = appendSuite(next(), hs.server.suite)
		if len(hs.server.alpn) > 0 {
			dst = append(append(next(), "ALPN "...), hs.server.alpn...)
		}
		if hs.server.retry {
			dst = append(next(), "HelloRetryRequest"...)
		}
		if hs.resumed {
			dst = append(next(), "resumed"...)
		}
	}
	if c := hs.leaf(); c != nil {
		dst = append(append(next(), "certificate "...), c.Subject.String()...)
	}
	if hs.failed {
		dst = hs.appendAlert(append(next(), "alert "...))
	}
	return dst
}

// Body implements dissect.Message: there is none.
func (hs *Handshake) Body(int) *dissect.Body { return nil }

// leaf is the server's certificate, nil if it was not seen or cannot be read.
func (hs *Handshake) leaf() *x509.Certificate {
	if hs.parsed == nil && len(hs.certificate) > 0 {
		c, err := x509.ParseCertificate(hs.certificate)
		if err != nil {
			hs.certificate = hs.certificate[:0]
			return nil
		}
		hs.parsed = c
	}
	return hs.parsed
}

// maxNames is how many names of a certificate are told.
const maxNames = 256

// names are those that a certificate is for: hosts and addresses.
func names(c *x509.Certificate) []string {
	list := append([]string{}, c.DNSNames[:min(len(c.DNSNames), maxNames)]...)
	for _, a := range c.IPAddresses[:min(len(c.IPAddresses), maxNames-len(list))] {
		list = append(list, a.String())
	}
	return list
}
