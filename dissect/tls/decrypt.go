package tls

import (
	"bytes"
	"slices"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/keylog"
	"github.com/sshark/sshark/pcap/flow"
)

// Limits of decryption.
const (
	// maxGuess is how many records may be missing in a row: their number is not known, but is part
	// of how the next one is encrypted, so all are tried.
	maxGuess = 128
	// maxWrong is how many times in a row a side may be decrypted in vain; it is given up then.
	maxWrong = 2048
	// maxHeld is how many bytes wait for a ServerHello, which says how they are encrypted.
	maxHeld = 64 << 10
)

// decrypter reads the records of a flow that has secrets, and hands on what they hold. It reads
// beside the parser of the handshake, which tells it of the hellos before it sees their bytes.
//
// Where an epoch of TLS 1.3 ends (with the handshake, or a KeyUpdate) is known by trying: a record
// that does not open is tried with the keys of the next ones. So it matters little which records
// were lost, and not all secrets need to be there.
type decrypter struct {
	nest     dissect.Nester
	inside   dissect.Inside // nil: no data was decrypted yet
	client   flow.Dir
	asked    bool
	answered bool
	secrets  keylog.Secrets
	random   [32]byte // of the ClientHello
	version  uint16
	bulk     bulk
	side     [2]side
	held     []byte          // records that the client sent before it was answered
	heldAt   []dissect.Stamp // when each of them came
	plain    []byte
}

// side is one direction.
type side struct {
	over    bool   // nothing more is read of it
	lost    bool   // where the next record begins is not known
	missing int    // how many records may be missing before the next one
	told    bool   // data of it was handed on
	holed   bool   // none was yet, and of what was sent before it some is missing
	buf     []byte // the beginning of a record, or where it is lost of what may be one
	skip    int    // bytes that are passed over: the rest of a record
	wrong   int    // how many times in a row it was tried in vain

	epochs []epoch // from the one that it is in on
	last   []byte  // the last traffic secret that is known, which a KeyUpdate follows; nil: none
}

// epoch is what records are encrypted with for a while.
type epoch struct {
	secret []byte // of TLS 1.3
	key    *key   // nil: not derived yet
}

// newDecrypter returns nil if there is nothing to decrypt with.
func newDecrypter(sink dissect.Sink) *decrypter {
	nest, ok := sink.(dissect.Nester)
	if !ok || nest.Secrets().Connections() == 0 {
		return nil
	}
	return &decrypter{nest: nest}
}

// ask takes a ClientHello. It returns false if there are no secrets for it.
func (x *decrypter) ask(client flow.Dir, m []byte) bool {
	if x.answered || len(m) < minHello || m[0] != typeClientHello {
		return x.answered
	}
	x.client = client
	copy(x.random[:], m[helloHeader+2:])
	x.secrets, x.asked = x.nest.Secrets().Of(x.random[:])
	return x.asked
}

// answer takes a ServerHello that is no HelloRetryRequest. It returns false if nothing can be
// decrypted of what follows.
func (x *decrypter) answer(m []byte, a answering) bool {
	if !x.asked || x.answered || len(m) < minHello {
		return x.answered
	}
	var ok bool
	if x.bulk, ok = bulkOf(a.version, a.suite); !ok || a.packed {
		return false
	}
	x.answered, x.version = true, a.version
	if a.version < version13 {
		if x.secrets[keylog.Master] == nil {
			return false
		}
		pair := x.bulk.keys12(a.version, x.secrets[keylog.Master], x.random[:], m[helloHeader+2:][:32])
		for i, k := range pair {
			if k == nil {
				return false
			}
			if k.cbc != nil {
				k.cbc.then = a.thenMAC
			}
			// Before a side's ChangeCipherSpec it is not encrypted.
			x.side[x.client^flow.Dir(i)].epochs = []epoch{{}, {key: k}}
		}
		return true
	}
	for i, list := range [2][]keylog.Secret{
		{keylog.ClientEarly, keylog.ClientHandshake, keylog.ClientTraffic},
		{keylog.ServerHandshake, keylog.ServerTraffic},
	} {
		s := &x.side[x.client^flow.Dir(i)]
		for _, of := range list {
			if secret := x.secrets[of]; secret != nil {
				s.epochs = append(s.epochs, epoch{secret: secret})
			}
		}
		s.last = x.secrets[list[len(list)-1]]
	}
	return true
}

// data takes the next bytes of a side. It returns false if the flow cannot be decrypted.
func (x *decrypter) data(d flow.Dir, b []byte, at dissect.Stamp) bool {
	s := &x.side[d]
	if x.answered && len(x.held) > 0 {
		held, times := x.held, x.heldAt
		x.held, x.heldAt = nil, nil
		for i, n := 0, 0; len(held) > 0; held, i = held[n:], i+1 {
			n = recordHeader + size(held)
			x.record(x.client, held[:n], times[i])
		}
	}
	for len(b) > 0 && !s.over {
		if s.skip > 0 {
			n := min(s.skip, len(b))
			s.skip -= n
			b = b[n:]
			continue
		}
		if s.lost {
			s.buf = append(s.buf, b...)
			x.search(d, at)
			return true
		}
		n := recordHeader
		if len(s.buf) > 0 || len(b) < n {
			if len(s.buf) >= n {
				n += size(s.buf)
			}
			take := min(n-len(s.buf), len(b))
			s.buf = append(s.buf, b[:take]...)
			b = b[take:]
			switch {
			case len(s.buf) < n:
				return true
			case n == recordHeader && !plausible(s.buf):
				return x.astray(d, at)
			case n == recordHeader && size(s.buf) > 0:
				continue
			}
			ok := x.record(d, s.buf, at)
			s.buf = s.buf[:0]
			if !ok {
				return false
			}
			continue
		}
		if !plausible(b) {
			return x.astray(d, at)
		}
		if n += size(b); n > len(b) {
			s.buf = append(s.buf, b...)
			return true
		}
		if !x.record(d, b[:n], at) {
			return false
		}
		b = b[n:]
	}
	return true
}

// size is that of a record's payload.
func size(header []byte) int { return int(header[3])<<8 | int(header[4]) }

// plausible says whether a record may begin so.
func plausible(b []byte) bool {
	return b[0] >= kindChange && b[0] <= kindHeartbeat && b[1] == 3 && b[2] <= 4 && size(b) <= maxRecord
}

// astray: what stands where a record should is none.
func (x *decrypter) astray(d flow.Dir, at dissect.Stamp) bool {
	x.giveUp(d, at)
	return x.inside != nil
}

// giveUp reads no more of a side.
func (x *decrypter) giveUp(d flow.Dir, at dissect.Stamp) {
	if s := &x.side[d]; !s.over {
		x.hole(d, at)
		*s = side{over: true}
	}
}

// hole tells that data of a side is missing, how much nobody knows.
func (x *decrypter) hole(d flow.Dir, at dissect.Stamp) {
	if x.inside != nil {
		x.inside.Gap(d, 0, at)
	}
}

// gap says that n bytes are missing, 0: nobody knows how many.
func (x *decrypter) gap(d flow.Dir, n int64, at dissect.Stamp) {
	s := &x.side[d]
	if s.over {
		return
	}
	if s.told {
		x.hole(d, at)
	}
	s.missing = maxGuess
	if !s.lost && n > 0 {
		left := s.skip
		if len(s.buf) >= recordHeader {
			left = recordHeader + size(s.buf) - len(s.buf)
		}
		s.buf = s.buf[:0]
		if n <= int64(left) { // the end of a record, so the next one's beginning is known
			s.skip = left - int(n)
			return
		}
	}
	s.buf, s.skip, s.lost = s.buf[:0], 0, true
}

// search looks for a record that opens in the bytes of a side that is lost.
func (x *decrypter) search(d flow.Dir, at dissect.Stamp) {
	s := &x.side[d]
	if !x.answered {
		x.giveUp(d, at)
		return
	}
	s.encrypted()
	b := s.buf
	for {
		i := bytes.IndexByte(b, kindData)
		if i < 0 {
			b = b[len(b):]
			break
		}
		b = b[i:]
		if len(b) < recordHeader {
			break
		}
		n := recordHeader + size(b)
		if !plausible(b) || n < recordHeader+minEncrypted {
			b = b[1:]
			continue
		}
		if len(b) < n {
			break
		}
		kind, text, ok := x.open(s, b[:n])
		if s.over {
			x.hole(d, at)
			return
		}
		if !ok {
			b = b[1:]
			continue
		}
		s.buf, s.lost = nil, false
		x.opened(d, kind, text, at)
		x.data(d, b[n:], at) // of memory that nothing else uses any more
		return
	}
	s.buf = s.buf[:copy(s.buf, b)]
}

// record takes a whole one, which is borrowed. It returns false if the flow cannot be decrypted.
func (x *decrypter) record(d flow.Dir, r []byte, at dissect.Stamp) bool {
	s := &x.side[d]
	kind := r[0]
	switch {
	case !x.asked:
		return kind == kindHandshake || kind == kindAlert
	case !x.answered:
		if kind == kindData && d == x.client && len(x.held)+len(r) <= maxHeld {
			x.held, x.heldAt = append(x.held, r...), append(x.heldAt, at)
		}
		return kind != kindData || d == x.client
	case x.version >= version13:
		if kind != kindData {
			return true
		}
	case !s.begun():
		if kind == kindChange || kind == kindData { // of data, the ChangeCipherSpec is missing
			s.encrypted()
		}
		if kind != kindData {
			return true
		}
	case kind == kindChange: // other keys will be agreed on
		x.giveUp(d, at)
		return true
	}
	inner, text, ok := x.open(s, r)
	switch {
	case ok:
		x.opened(d, inner, text, at)
	case s.over || s.told:
		x.hole(d, at)
	}
	return true
}

// begun says whether a side is encrypted.
func (s *side) begun() bool {
	return len(s.epochs) > 0 && (s.epochs[0].key != nil || s.epochs[0].secret != nil)
}

// encrypted says that a side is, from here on.
func (s *side) encrypted() {
	if len(s.epochs) > 0 && !s.begun() {
		s.epochs = s.epochs[1:]
	}
}

// opened takes what a record held.
func (x *decrypter) opened(d flow.Dir, kind byte, text []byte, at dissect.Stamp) {
	if kind != kindData || len(text) == 0 {
		return
	}
	s := &x.side[d]
	if x.inside == nil {
		if x.inside = x.nest.Inside(); x.inside == nil {
			x.side = [2]side{{over: true}, {over: true}}
			return
		}
	}
	if s.holed {
		x.hole(d, at)
		s.holed = false
	}
	s.told = true
	x.inside.Data(d, text, at)
}

// open decrypts a record into memory that is used again. It tries the epoch that the side is in,
// and then those that may follow.
func (x *decrypter) open(s *side, r []byte) (kind byte, text []byte, ok bool) {
	for i := 0; ; i++ {
		if i == len(s.epochs) {
			// Behind the last secret that is known, the first of a KeyUpdate may be next.
			if s.last == nil || i > 0 && !bytes.Equal(s.epochs[i-1].secret, s.last) {
				break
			}
			s.epochs = append(s.epochs, epoch{secret: x.bulk.update(s.last)})
		}
		e := &s.epochs[i]
		if e.key == nil {
			if e.key = x.bulk.keys13(e.secret); e.key == nil {
				s.over = true
				return 0, nil, false
			}
		}
		if kind, text, ok = x.try(s, e.key, r); ok {
			if x.version >= version13 && s.last != nil && i == len(s.epochs)-1 {
				s.last = e.secret
			}
			s.epochs = s.epochs[i:]
			s.missing, s.wrong = 0, 0
			return kind, text, true
		}
		if s.wrong > maxWrong {
			*s = side{over: true, told: s.told}
			return 0, nil, false
		}
	}
	s.missing = min(maxGuess, s.missing+1)
	return 0, nil, false
}

// try decrypts a record with a key. Where records are missing it guesses how many.
func (x *decrypter) try(s *side, k *key, r []byte) (kind byte, text []byte, ok bool) {
	x.plain = slices.Grow(x.plain[:0], len(r))
	for i := range uint64(1 + s.missing) {
		kind, text, ok = k.open(x.plain[:0], r, k.next+i)
		if ok {
			k.next += i + 1
			s.holed = s.holed || i > 0 && !s.told
			return kind, text, true
		}
		s.wrong++
	}
	return 0, nil, false
}

// close ends what is inside.
func (x *decrypter) close(at dissect.Stamp) {
	if x.inside != nil {
		x.inside.Close(at)
	}
}
