package tls

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
)

// appendJA3 appends the MD5 of what a client offers, in its order.
func appendJA3(dst []byte, a *asking) []byte {
	var mem [512]byte
	b := strconv.AppendUint(mem[:0], uint64(a.version), 10)
	next := byte(',')
	add := func(n uint16) {
		b = strconv.AppendUint(append(b, next), uint64(n), 10)
		next = '-'
	}
	// A list that is empty leaves its comma.
	list := func(each func(func(uint16))) {
		next = ','
		if each(add); next == ',' {
			b = append(b, next)
		}
	}
	list(a.eachSuite)
	list(func(add func(uint16)) {
		eachExtension(a.extensions, func(kind uint16, _ []byte) {
			if !grease(kind) {
				add(kind)
			}
		})
	})
	list(func(add func(uint16)) {
		data, _ := a.extension(extGroups)
		each16(data, 2, add)
	})
	list(func(add func(uint16)) {
		data, _ := a.extension(extFormats)
		r := reader{b: data}
		for _, f := range r.block(1) {
			add(uint16(f))
		}
	})
	sum := md5.Sum(b)
	return hex.AppendEncode(dst, sum[:])
}

// appendJA4 appends the fingerprint of a client by what carries the hello: 't' TCP, 'q' QUIC.
func appendJA4(dst []byte, a *asking, carrier byte) []byte {
	var mem [2][64]uint16
	suites, extensions := mem[0][:0], mem[1][:0]
	a.eachSuite(func(s uint16) { suites = append(suites, s) })
	named, count := byte('i'), 0
	eachExtension(a.extensions, func(kind uint16, _ []byte) {
		if grease(kind) {
			return
		}
		count++
		switch kind {
		case extServerName:
			named = 'd'
		case extALPN:
		default:
			extensions = append(extensions, kind)
		}
	})
	dst = append(dst, carrier)
	dst = append(append(dst, ja4Version(a.best())...), named)
	dst = appendTwo(appendTwo(dst, len(suites)), count)
	data, _ := a.extension(extALPN)
	dst = appendEnds(dst, data)

	slices.Sort(suites)
	slices.Sort(extensions)
	var text [1024]byte
	b := appendHex(text[:0], suites)
	dst = appendSum(append(dst, '_'), b)
	b = appendHex(text[:0], extensions)
	if data, ok := a.extension(extSignatures); ok && len(b) > 0 {
		signatures := suites[:0]
		each16(data, 2, func(n uint16) { signatures = append(signatures, n) })
		if len(signatures) > 0 {
			b = appendHex(append(b, '_'), signatures)
		}
	}
	return appendSum(append(dst, '_'), b)
}

func ja4Version(v uint16) string {
	switch v {
	case version13:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case version20:
		return "s2"
	}
	return "00"
}

func appendTwo(dst []byte, n int) []byte {
	n = min(n, 99)
	return append(dst, '0'+byte(n/10), '0'+byte(n%10))
}

// appendEnds appends first and last character of the first protocol on offer, of its digits
// in hexadecimal if it does not begin and end with letters or digits.
func appendEnds(dst, data []byte) []byte {
	var name []byte
	found := false
	eachProtocol(data, func(n []byte) {
		if !found {
			name, found = n, true
		}
	})
	if len(name) == 0 {
		return append(dst, "00"...)
	}
	first, last := name[0], name[len(name)-1]
	if alphanumeric(first) && alphanumeric(last) {
		return append(dst, first, last)
	}
	const digits = "0123456789abcdef"
	return append(dst, digits[first>>4], digits[last&15])
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// appendHex appends numbers of four digits with commas between.
func appendHex(dst []byte, list []uint16) []byte {
	for i, n := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = hex.AppendEncode(dst, []byte{byte(n >> 8), byte(n)})
	}
	return dst
}

// appendSum appends the first half dozen bytes of the SHA-256; of nothing it is zero.
func appendSum(dst, text []byte) []byte {
	if len(text) == 0 {
		return append(dst, "000000000000"...)
	}
	sum := sha256.Sum256(text)
	return hex.AppendEncode(dst, sum[:6])
}
