package http2

import "encoding/binary"

// Types of frames (RFC 9113, 6).
const (
	frameData         = 0
	frameHeaders      = 1
	framePriority     = 2
	frameReset        = 3
	frameSettings     = 4
	framePush         = 5
	framePing         = 6
	frameGoAway       = 7
	frameWindow       = 8
	frameContinuation = 9
)

// Flags of frames.
const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	headerSize   = 9
	firstMaxSize = 16 << 10 // of a frame, until the other side allows more
	anyMaxSize   = 1 << 20  // where it is not known what the other side allows
	preface      = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// frame is the header of a frame (RFC 9113, 4.1).
type frame struct {
	length int
	kind   uint8
	flags  uint8
	stream uint32
}

// parseFrame reads a header; b is at least headerSize long.
func parseFrame(b []byte) frame {
	return frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		kind:   b[3],
		flags:  b[4],
		stream: binary.BigEndian.Uint32(b[5:]) & (1<<31 - 1),
	}
}

// valid says whether a frame obeys the rules that end a connection when they are broken.
func (f *frame) valid(maxSize int) bool {
	if f.length > maxSize {
		return false
	}
	switch f.kind {
	case frameData, frameHeaders, frameContinuation:
		return f.stream != 0
	case framePriority:
		return f.stream != 0 && f.length == 5
	case frameReset:
		return f.stream != 0 && f.length == 4
	case framePush:
		return f.stream != 0 && f.length >= 4
	case frameSettings:
		return f.stream == 0 && f.length%6 == 0 && (f.flags&flagAck == 0 || f.length == 0)
	case framePing:
		return f.stream == 0 && f.length == 8
	case frameGoAway:
		return f.stream == 0 && f.length >= 8
	case frameWindow:
		return f.length == 4
	}
	return true // others are to be ignored
}

// allowed are the flags that frames of each type have.
var allowed = [...]uint8{
	frameData:         flagEndStream | flagPadded,
	frameHeaders:      flagEndStream | flagEndHeaders | flagPadded | flagPriority,
	frameSettings:     flagAck,
	framePush:         flagEndHeaders | flagPadded,
	framePing:         flagAck,
	frameContinuation: flagEndHeaders,
}

// plausible is for bytes that may be anything: it holds of a frame what senders keep to.
func (f *frame) plausible(b []byte) bool {
	if b[5]&0x80 != 0 || f.kind > frameContinuation || f.flags&^allowed[f.kind] != 0 || !f.valid(firstMaxSize) {
		return false
	}
	switch f.kind {
	case frameData:
		return f.length > 0 || f.flags&flagEndStream != 0
	case frameHeaders, frameContinuation:
		return f.length > 0
	case frameSettings:
		return f.length <= 32*6
	}
	return true
}

// unpad takes padding, and the priority of HEADERS, off a payload.
func (f *frame) unpad(b []byte) ([]byte, bool) {
	if f.flags&flagPadded != 0 {
		if len(b) == 0 || int(b[0]) > len(b)-1 {
			return nil, false
		}
		b = b[1 : len(b)-int(b[0])]
	}
	if f.kind == frameHeaders && f.flags&flagPriority != 0 {
		if len(b) < 5 {
			return nil, false
		}
		b = b[5:]
	}
	return b, true
}

// errorName is the name of an error code (RFC 9113, 7).
func errorName(code uint32) string {
	if code < uint32(len(errorNames)) {
		return errorNames[code]
	}
	return "UNKNOWN"
}

var errorNames = [...]string{"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
	"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"}

const (
	codeNone   = 0
	codeCancel = 8
)
