package tls

import "encoding/binary"

// Types of handshake messages (RFC 8446, B.3, with those that are not in use any more).
const (
	typeClientHello  = 1
	typeServerHello  = 2
	typeCertificate  = 11
	typeServerDone   = 14
	typeKeyUpdate    = 24
	typeNextProtocol = 67
)

// Types of extensions (IANA, TLS ExtensionType Values).
const (
	extServerName = 0
	extGroups     = 10
	extFormats    = 11
	extSignatures = 13
	extALPN       = 16
	extThenMAC    = 22
	extPSK        = 41
	extEarlyData  = 42
	extVersions   = 43
)

// Versions.
const (
	version13   = 0x0304
	version12   = 0x0303
	version10   = 0x0301
	versionSSL3 = 0x0300
	version20   = 0x0002 // SSL 2.0
)

// Sizes of and in hellos.
const (
	helloHeader = 4
	minHello    = helloHeader + 2 + 32 + 1 + 2 // version, random, session, and a cipher suite
	v2Header    = 9
)

// messageSize is the size of a handshake message, whose header is in b.
func messageSize(b []byte) int {
	return helloHeader + int(b[1])<<16 + int(b[2])<<8 + int(b[3])
}

// asking is what a ClientHello says (RFC 8446, 4.1.2). Its slices are of the message.
type asking struct {
	version    uint16
	suites     []byte
	suite      int // bytes of one: 2, of SSL 2.0 3
	extensions []byte
	cut        bool // the message is not all there
}

// readClientHello reads a message from its header on. ok is false if it cannot be one, or if
// of a cut one less is there than its version.
func readClientHello(m []byte) (a asking, ok bool) {
	r := reader{b: m}
	r.skip(helloHeader)
	a = asking{version: r.u16(), suite: 2, cut: len(m) < helloHeader || len(m) < messageSize(m)}
	known := !r.bad
	r.skip(32)
	session := r.block(1)
	a.suites = r.block(2)
	if a.cut && known && r.bad { // before the end of its cipher suites, which are not known then
		a.suites = nil
		return a, a.version>>8 == 3
	}
	if r.bad || len(session) > 32 || len(a.suites)%2 != 0 || a.version>>8 != 3 {
		return a, false
	}
	compression := r.block(1)
	if !r.bad && len(compression) == 0 {
		return a, false
	}
	if !a.cut && len(r.b) == 0 {
		return a, !r.bad
	}
	n := int(r.u16())
	if a.cut {
		a.extensions = r.b[:min(n, len(r.b))]
		return a, true
	}
	a.extensions = r.b
	return a, !r.bad && n == len(r.b) && wellFormed(a.extensions)
}

// readV2 reads a ClientHello of SSL 2.0 of n bytes, from its type on (RFC 5246, E.2). Of one
// that is not all there, only the lengths are checked.
func readV2(m []byte, n int) (a asking, ok bool) {
	r := reader{b: m}
	r.skip(1)
	a = asking{version: r.u16(), suite: 3, cut: len(m) < n}
	suites, session, challenge := int(r.u16()), int(r.u16()), int(r.u16())
	if r.bad || suites == 0 || suites%3 != 0 || session != 0 && session != 16 && session != 32 || challenge < 16 || challenge > 32 ||
		v2Header+suites+session+challenge != n {
		return a, false
	}
	if !a.cut {
		a.suites = r.take(suites)
	}
	return a, !r.bad
}

// eachSuite goes through the cipher suites, without GREASE and those of SSL 2.0 alone.
func (a *asking) eachSuite(each func(suite uint16)) {
	for b := a.suites; a.suite > 0 && len(b) >= a.suite; b = b[a.suite:] {
		if s := binary.BigEndian.Uint16(b[a.suite-2:]); !grease(s) && (a.suite == 2 || b[0] == 0) {
			each(s)
		}
	}
}

// extension finds one.
func (a *asking) extension(kind uint16) (data []byte, ok bool) {
	eachExtension(a.extensions, func(k uint16, d []byte) {
		if k == kind && !ok {
			data, ok = d, true
		}
	})
	return data, ok
}

// serverName is the host that is asked for (RFC 6066, 3).
func (a *asking) serverName() []byte {
	data, _ := a.extension(extServerName)
	r := reader{b: data}
	r = reader{b: r.block(2)}
	for len(r.b) > 0 {
		kind := r.u8()
		if name := r.block(2); kind == 0 && !r.bad {
			return name[:min(len(name), maxServerName)]
		}
	}
	return nil
}

// eachProtocol goes through the protocols on offer (RFC 7301, 3.1).
func eachProtocol(data []byte, each func(name []byte)) {
	r := reader{b: data}
	r = reader{b: r.block(2)}
	for len(r.b) > 0 {
		name := r.block(1)
		if r.bad {
			return
		}
		each(name)
	}
}

// each16 goes through a list of 16-bit numbers behind a length of so many bytes, without
// GREASE.
func each16(data []byte, length int, each func(n uint16)) {
	r := reader{b: data}
	r = reader{b: r.block(length)}
	for len(r.b) >= 2 {
		if n := r.u16(); !grease(n) {
			each(n)
		}
	}
}

// best is the highest version on offer.
func (a *asking) best() uint16 {
	v := uint16(0)
	if data, ok := a.extension(extVersions); ok {
		each16(data, 1, func(n uint16) { v = max(v, n) })
		return v
	}
	return a.version
}

// answering is what a ServerHello says (RFC 8446, 4.1.3).
type answering struct {
	version uint16
	suite   uint16
	retry   bool // it is a HelloRetryRequest
	thenMAC bool // of CBC: the MAC is over what was encrypted
	packed  bool // what is sent is compressed
	psk     bool // a key was taken that the client offered
	alpn    []byte
}

// retryRandom is the random of a HelloRetryRequest (RFC 8446, 4.1.3).
const retryRandom = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

// readServerHello reads a message from its header on. Drafts of TLS 1.3 up to the 21st have
// neither session nor compression.
func readServerHello(m []byte) (a answering, ok bool) {
	r := reader{b: m}
	r.skip(helloHeader)
	a.version = r.u16()
	a.retry = string(r.take(32)) == retryRandom
	draft := a.version>>8 == 0x7f
	if !draft && len(r.block(1)) > 32 {
		return a, false
	}
	a.suite = r.u16()
	if !draft {
		a.packed = r.u8() != 0
	}
	if r.bad || a.version>>8 != 3 && !draft {
		return a, false
	}
	eachExtension(r.block(2), func(kind uint16, data []byte) {
		switch kind {
		case extVersions:
			if len(data) == 2 {
				a.version = binary.BigEndian.Uint16(data)
			}
		case extThenMAC:
			a.thenMAC = true
		case extPSK:
			a.psk = true
		case extALPN:
			eachProtocol(data, func(name []byte) { a.alpn = name })
		}
	})
	return a, true
}

// firstCertificate is the server's own one of a Certificate message before TLS 1.3 (RFC 5246,
// 7.4.2), nil if it is not all there.
func firstCertificate(m []byte) []byte {
	r := reader{b: m}
	r.skip(helloHeader + 3)
	return r.block(3)
}

// eachExtension goes through extensions up to the first that is not all there.
func eachExtension(b []byte, each func(kind uint16, data []byte)) {
	for r := (reader{b: b}); len(r.b) > 0; {
		kind := r.u16()
		data := r.block(2)
		if r.bad {
			return
		}
		each(kind, data)
	}
}

func wellFormed(extensions []byte) bool {
	r := reader{b: extensions}
	for len(r.b) > 0 && !r.bad {
		r.skip(2)
		r.block(2)
	}
	return !r.bad
}

// grease says whether a number is one of those that mean nothing (RFC 8701, 2).
func grease(n uint16) bool { return n&0x0f0f == 0x0a0a && n>>8 == n&0xff }

// reader takes values from the front of b; once they run out it is bad, and all that it gives
// is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) skip(n int) { r.take(n) }

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// block takes bytes that stand behind their length, of so many bytes.
func (r *reader) block(length int) []byte {
	n := 0
	for _, c := range r.take(length) {
		n = n<<8 | int(c)
	}
	return r.take(n)
}
