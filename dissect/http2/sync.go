package http2

// How much is held while frames are looked for: enough for those that must follow each other.
const maxSearch = 64 << 10

// What speaks for bytes being frames; enough of it settles it.
const (
	weakEvidence   = 1 // a frame that is plausible
	fixedEvidence  = 2 // one of a fixed length, or of numbers that are known
	strongEvidence = 4 // a header block that makes sense
	enough         = 3
)

// found says whether bytes are frames.
type found uint8

const (
	foundNone found = iota
	foundPart       // so far
	foundYes
)

// chain looks at frames that follow each other from the beginning of b on. It says too what
// the first header block in them is.
func chain(b []byte, scratch *list) (found, what) {
	evidence, what := 0, garbage
	for i := 0; i < len(b); {
		h := b[i:]
		if len(h) < headerSize {
			if !beginsFrame(h) {
				return foundNone, what
			}
			break
		}
		f := parseFrame(h)
		if !f.plausible(h) {
			return foundNone, what
		}
		h = h[headerSize:]
		if f.length > len(h) {
			break
		}
		h = h[:f.length]
		switch f.kind {
		case frameSettings:
			for s := h; len(s) > 0; s = s[6:] {
				if !knownSetting(s[0], s[1]) {
					return foundNone, what
				}
			}
			evidence += fixedEvidence
		case framePriority, frameReset, framePing, frameGoAway, frameWindow:
			evidence += fixedEvidence
		case frameHeaders, framePush:
			block, ok := f.unpad(h)
			if ok && f.kind == framePush {
				if len(block) < 4 {
					return foundNone, what
				}
				block = block[4:]
			}
			if !ok {
				return foundNone, what
			}
			if f.flags&flagEndHeaders == 0 {
				evidence += weakEvidence
				break
			}
			switch w := classify(block, scratch); w {
			case garbage:
				return foundNone, what
			case trailers:
				evidence += weakEvidence
			default:
				evidence += strongEvidence
				if f.kind == frameHeaders {
					what = w
				}
			}
		default:
			if f.flags&flagPadded != 0 && (f.length == 0 || int(h[0]) > f.length-1) {
				return foundNone, what
			}
			evidence += weakEvidence
		}
		if evidence >= enough {
			return foundYes, what
		}
		i += headerSize + f.length
	}
	return foundPart, what
}

// knownSetting says whether a setting is registered, or one of those that are in use without
// or that are sent to be ignored.
func knownSetting(high, low byte) bool {
	return high == 0 && low <= 0x20 || high >= 0xf0 || high&15 == 0xa && low&15 == 0xa
}

// beginsFrame says whether less than a header may be the beginning of one.
func beginsFrame(b []byte) bool {
	switch {
	case len(b) > 0 && b[0] != 0, len(b) > 1 && b[1] > firstMaxSize>>8, len(b) > 3 && b[3] > frameContinuation:
		return false
	case len(b) > 4 && b[4]&^allowed[b[3]] != 0, len(b) > 5 && b[5]&0x80 != 0:
		return false
	}
	return true
}

// search looks for frames in b and returns where they begin, len(b) if nowhere; more says that
// what begins there is not settled yet.
func search(b []byte, scratch *list) (at int, more bool) {
	for at = 0; at < len(b); at++ {
		if b[at] != 0 {
			continue
		}
		switch v, _ := chain(b[at:], scratch); v {
		case foundYes:
			return at, false
		case foundPart:
			if len(b)-at < maxSearch {
				return at, true
			}
		}
	}
	return at, true
}
