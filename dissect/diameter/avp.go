package diameter

import "encoding/binary"

// AVPs that are read.
const (
	avpSession        = 263
	avpOriginHost     = 264
	avpResult         = 268
	avpErrorMessage   = 281
	avpExperimental   = 297
	avpExperimentCode = 298
)

const flagVendor = 0x80

// nextAVP takes the first AVP off b (RFC 6733, 4.1). ok is false where there is none, or not
// all of it. The code of a vendor's is 0.
func nextAVP(b []byte) (code uint32, v, rest []byte, ok bool) {
	if len(b) < avpSize {
		return 0, nil, nil, false
	}
	code = binary.BigEndian.Uint32(b)
	n, from := int(binary.BigEndian.Uint32(b[4:])&0xffffff), avpSize
	if b[4]&flagVendor != 0 {
		code, from = 0, avpSize+4
	}
	if n < from || n > len(b) {
		return 0, nil, nil, false
	}
	return code, b[from:n], b[min((n+3)&^3, len(b)):], true
}

// number is the value of an Unsigned32.
func number(v []byte) (n int64, ok bool) {
	if len(v) != 4 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint32(v)), true
}
