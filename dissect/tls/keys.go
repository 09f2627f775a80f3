package tls

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// Sizes of what AEADs use (RFC 5288, 3; RFC 7905, 2; RFC 8446, 5.3).
const (
	nonceSize    = 12
	tagSize      = 16
	saltSize     = 4 // of the nonce of AES-GCM before TLS 1.3: the rest is in each record
	explicitSize = nonceSize - saltSize
)

// bulk says how the records of a cipher suite are encrypted.
type bulk struct {
	key    int // bytes
	aead   func(key []byte) (cipher.AEAD, error)
	mac    func() hash.Hash // of CBC, nil: it is an AEAD
	prf    func() hash.Hash // of key derivation, nil: that of TLS 1.0 and 1.1
	chacha bool
}

// bulkOf reads it off the suite's name; ok is false of suites that are not decrypted.
func bulkOf(version, suite uint16) (b bulk, ok bool) {
	name := suiteName(suite)
	switch {
	case strings.Contains(name, "_AES_128_"):
		b.key = 16
	case strings.Contains(name, "_AES_256_"):
		b.key = 32
	case strings.Contains(name, "_CHACHA20_POLY1305_"):
		b.key, b.chacha = chacha20poly1305.KeySize, true
	default:
		return b, false
	}
	b.prf = sha256.New
	if strings.HasSuffix(name, "_SHA384") {
		b.prf = sha512.New384
	}
	switch {
	case b.chacha:
		b.aead = chacha20poly1305.New
	case strings.Contains(name, "_GCM_"):
		b.aead = newGCM
	case strings.Contains(name, "_CBC_"):
		b.mac = b.prf
		if strings.HasSuffix(name, "_SHA") {
			b.mac = sha1.New
		}
		if version < version12 {
			b.prf = nil
		}
	}
	return b, b.aead != nil && (version >= version12 || b.chacha) || b.mac != nil && version > versionSSL3 && version < version13
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// key opens the records of one side, of one epoch.
type key struct {
	aead     cipher.AEAD
	iv       [nonceSize]byte
	explicit bool // the end of the nonce is in each record
	tls13    bool
	cbc      *cbc // nil: it is an AEAD
	next     uint64
}

// keys13 derives the key of a traffic secret (RFC 8446, 7.3).
func (b *bulk) keys13(secret []byte) *key {
	aead, err := b.aead(b.expand(secret, "key", b.key))
	if err != nil {
		return nil
	}
	k := &key{aead: aead, tls13: true}
	copy(k.iv[:], b.expand(secret, "iv", nonceSize))
	return k
}

// update is the traffic secret behind a KeyUpdate (RFC 8446, 7.2).
func (b *bulk) update(secret []byte) []byte { return b.expand(secret, "traffic upd", len(secret)) }

// expand is HKDF-Expand-Label with an empty context (RFC 8446, 7.1).
func (b *bulk) expand(secret []byte, label string, n int) []byte {
	const prefix = "tls13 "
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len(prefix)+len(label)))
	info = append(append(append(info, prefix...), label...), 0)
	out, err := hkdf.Expand(b.prf, secret, string(info), n)
	if err != nil {
		panic(err) // n is far below the limit
	}
	return out
}

// keys12 derives the keys of both sides, the client's first, from a master secret (RFC 5246, 6.3).
func (b *bulk) keys12(version uint16, master, clientRandom, serverRandom []byte) (pair [2]*key) {
	mac, iv := 0, saltSize
	switch {
	case b.mac != nil:
		mac = b.mac().Size()
		iv = 0
		if version == version10 {
			iv = aes.BlockSize
		}
	case b.chacha:
		iv = nonceSize
	}
	seed := append(append([]byte("key expansion"), serverRandom...), clientRandom...)
	block := b.pseudoRandom(master, seed, 2*(mac+b.key+iv))
	take := func(n int) (piece []byte) {
		piece, block = block[:n], block[n:]
		return piece
	}
	macs := [2][]byte{take(mac), take(mac)}
	secrets := [2][]byte{take(b.key), take(b.key)}
	ivs := [2][]byte{take(iv), take(iv)}
	for d := range pair {
		k := &key{explicit: !b.chacha}
		copy(k.iv[:], ivs[d])
		if b.mac != nil {
			k.cbc = newCBC(b, version, secrets[d], macs[d], ivs[d])
		} else if aead, err := b.aead(secrets[d]); err == nil {
			k.aead = aead
		} else {
			return [2]*key{}
		}
		pair[d] = k
	}
	return pair
}

// pseudoRandom is the PRF of TLS before 1.3 (RFC 5246, 5; RFC 2246, 5).
func (b *bulk) pseudoRandom(secret, seed []byte, n int) []byte {
	if b.prf != nil {
		return stretch(b.prf, secret, seed, n)
	}
	half := (len(secret) + 1) / 2
	out := stretch(md5.New, secret[:half], seed, n)
	for i, c := range stretch(sha1.New, secret[len(secret)-half:], seed, n) {
		out[i] ^= c
	}
	return out
}

// stretch is P_hash (RFC 5246, 5).
func stretch(h func() hash.Hash, secret, seed []byte, n int) (out []byte) {
	mac := hmac.New(h, secret)
	sum := func(parts ...[]byte) []byte {
		mac.Reset()
		for _, p := range parts {
			mac.Write(p)
		}
		return mac.Sum(nil)
	}
	for a := sum(seed); len(out) < n; a = sum(a) {
		out = append(out, sum(a, seed)...)
	}
	return out[:n]
}

// open decrypts a record, of which header is the first recordHeader bytes, as the seq-th of its
// epoch. It appends what it holds to dst, which must not be of the record's memory. ok is false if
// it is not authentic.
func (k *key) open(dst, record []byte, seq uint64) (kind byte, text []byte, ok bool) {
	header, b := record[:recordHeader], record[recordHeader:]
	if k.cbc != nil {
		text, ok = k.cbc.open(dst, header, b, seq)
		return header[0], text, ok
	}
	nonce := k.iv
	var memory [13]byte
	extra := header
	if k.explicit {
		if len(b) < explicitSize {
			return 0, dst, false
		}
		copy(nonce[saltSize:], b)
		b = b[explicitSize:]
	} else {
		for i := range 8 {
			nonce[nonceSize-8+i] ^= byte(seq >> (56 - 8*i))
		}
	}
	if len(b) < tagSize {
		return 0, dst, false
	}
	if !k.tls13 {
		extra = appendExtra(memory[:0], header, seq, len(b)-tagSize)
	}
	from := len(dst)
	text, err := k.aead.Open(dst, nonce[:], b, extra)
	if err != nil {
		return 0, dst, false
	}
	if !k.tls13 {
		return header[0], text, true
	}
	// What it is stands behind it, before any padding (RFC 8446, 5.2).
	n := len(text)
	for n > from && text[n-1] == 0 {
		n--
	}
	if n == from {
		return 0, dst, false
	}
	return text[n-1], text[:n-1], true
}

// appendExtra appends what is authentic besides the text: of n bytes (RFC 5246, 6.2.3.3).
func appendExtra(dst, header []byte, seq uint64, n int) []byte {
	dst = binary.BigEndian.AppendUint64(dst, seq)
	return binary.BigEndian.AppendUint16(append(dst, header[:3]...), uint16(n))
}
