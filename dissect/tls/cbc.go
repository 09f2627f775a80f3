package tls

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"hash"
)

// cbc opens records of AES-CBC with HMAC: TLS 1.1 and 1.2 (RFC 5246, 6.2.3.2), and TLS 1.0
// (RFC 2246, 6.2.3.2), where a record's IV is the end of the record before; the MAC over the text,
// or over what it was encrypted to (RFC 7366).
type cbc struct {
	block cipher.Block
	mac   hash.Hash
	then  bool   // the MAC is over what was encrypted
	chain []byte // TLS 1.0: the IV of the next record
}

func newCBC(b *bulk, version uint16, key, mac, iv []byte) *cbc {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has one of AES's sizes
	}
	c := &cbc{block: block, mac: hmac.New(b.mac, mac)}
	if version == version10 {
		c.chain = append([]byte(nil), iv...)
	}
	return c
}

// open is that of key. Nothing here needs to take the same time for all input: whoever sent it
// does not see how long it takes.
func (c *cbc) open(dst, header, b []byte, seq uint64) (text []byte, ok bool) {
	const size = aes.BlockSize
	whole := b
	macSize := c.mac.Size()
	if c.then {
		if len(b) < macSize {
			return dst, false
		}
		b = b[:len(b)-macSize]
		if !c.authentic(header, b, whole[len(b):], seq) {
			return dst, false
		}
	}
	iv := c.chain
	if iv == nil {
		if len(b) < size {
			return dst, false
		}
		iv, b = b[:size], b[size:]
	}
	if len(b) == 0 || len(b)%size != 0 {
		return dst, false
	}
	from := len(dst)
	text = append(dst, b...)
	cipher.NewCBCDecrypter(c.block, iv).CryptBlocks(text[from:], b)
	n := len(text) - 1 - int(text[len(text)-1]) // without padding and its length
	if !c.then {
		if n -= macSize; n < from || !c.authentic(header, text[from:n], text[n:n+macSize], seq) {
			return dst, false
		}
	}
	if n < from {
		return dst, false
	}
	if c.chain != nil {
		c.chain = append(c.chain[:0], b[len(b)-size:]...)
	}
	return text[:n], true
}

func (c *cbc) authentic(header, b, mac []byte, seq uint64) bool {
	var extra [13]byte
	c.mac.Reset()
	c.mac.Write(appendExtra(extra[:0], header, seq, len(b)))
	c.mac.Write(b)
	return hmac.Equal(c.mac.Sum(nil), mac)
}
