package quic

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

// keys are those of one side's Initial packets.
type keys struct {
	aead cipher.AEAD
	hp   cipher.Block // header protection
	iv   [12]byte
}

// recipe is what a version makes its Initial keys with.
type recipe struct{ salt, prefix string }

// Recipes, by their salts (RFC 9001, 5.2; RFC 9369, 3.3.1; the drafts of the former; and the
// versions of Chromium that carried TLS).
var (
	recipe1    = recipe{"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a", "quic "}
	recipe2    = recipe{"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9", "quicv2 "}
	recipe29   = recipe{"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99", "quic "} // drafts 29 to 32
	recipe23   = recipe{"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02", "quic "} // drafts 23 to 28
	recipe22   = recipe{"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a", "quic "}
	recipeT050 = recipe{"\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10", "quic "}
	recipeT051 = recipe{"\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d", "quic "}
)

// anyRecipe are those that a client may use with a version that nobody speaks, and that the
// builds of one maker have used: the newest first.
var anyRecipe = []recipe{recipe1, recipe29, recipe23, recipe22}

// recipes are those that a version that is known may use; authentication tells which one.
func recipes(version uint32) []recipe {
	switch {
	case version == version2:
		return []recipe{recipe2}
	case version == versionT050:
		return []recipe{recipeT050}
	case version == versionT051:
		return []recipe{recipeT051}
	case version == draftFirst:
		return []recipe{recipe22}
	case version > draftFirst && version <= 0xff00001c:
		return []recipe{recipe23}
	case version >= 0xff00001d && version <= 0xff000020:
		return []recipe{recipe29}
	case reserved(version), mvfst(version):
		return anyRecipe
	}
	return anyRecipe[:1]
}

// initialKeys derives the keys of client and server from the connection ID that the client
// chose for the server.
func initialKeys(r recipe, dcid []byte) [2]keys {
	secret, err := hkdf.Extract(sha256.New, dcid, []byte(r.salt))
	if err != nil {
		panic(err) // SHA-256 is never refused
	}
	return [2]keys{
		deriveKeys(expand(secret, "client in", sha256.Size), r.prefix),
		deriveKeys(expand(secret, "server in", sha256.Size), r.prefix),
	}
}

func deriveKeys(secret []byte, prefix string) (k keys) {
	k.aead, _ = cipher.NewGCM(newAES(expand(secret, prefix+"key", 16)))
	k.hp = newAES(expand(secret, prefix+"hp", 16))
	copy(k.iv[:], expand(secret, prefix+"iv", len(k.iv)))
	return k
}

// newAES makes the cipher of a key of 16 bytes, which never fails.
func newAES(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return b
}

// expand is HKDF-Expand-Label with an empty context (RFC 8446, 7.1).
func expand(secret []byte, label string, n int) []byte {
	const prefix = "tls13 "
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len(prefix)+len(label)))
	info = append(append(append(info, prefix...), label...), 0)
	out, err := hkdf.Expand(sha256.New, secret, string(info), n)
	if err != nil {
		panic(err) // n is far below the limit
	}
	return out
}

// open takes protection and encryption off a packet, in place (RFC 9001, 5.3 and 5.4).
// expected is the packet number that would be next. ok is false if it is not authentic.
func (k *keys) open(b []byte, body int, expected uint64) (frames []byte, number uint64, ok bool) {
	if len(b) < body+minBody {
		return nil, 0, false
	}
	var mask [aes.BlockSize]byte
	k.hp.Encrypt(mask[:], b[body+4:body+4+aes.BlockSize])
	b[0] ^= mask[0] & 0x0f
	size := int(b[0]&3) + 1
	for i := range size {
		b[body+i] ^= mask[1+i]
		number = number<<8 | uint64(b[body+i])
	}
	number = wholeNumber(number, size, expected)
	nonce := k.iv
	for i := range 8 {
		nonce[4+i] ^= byte(number >> (56 - 8*i))
	}
	text := b[body+size:]
	frames, err := k.aead.Open(text[:0], nonce[:], text, b[:body+size])
	return frames, number, err == nil
}

// wholeNumber completes a packet number of which only the low bytes are sent (RFC 9000, A.3).
func wholeNumber(low uint64, size int, expected uint64) uint64 {
	window := uint64(1) << (8 * size)
	n := expected&^(window-1) | low
	switch {
	case n+window/2 <= expected && n < 1<<62-window:
		return n + window
	case n > expected+window/2 && n >= window:
		return n - window
	}
	return n
}
