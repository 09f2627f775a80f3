// Package lines cuts streams into messages that begin with a line of text, behind which counted
// bytes may follow ("set k 0 0 5", "PUB subject 5"): what text protocols have in common.
//
// A message that came in one piece is handed on as it is, borrowed. Of one that came in several
// the line is copied, and of the rest the beginning, up to a limit. Where bytes are missing in
// what is counted the stream stays in step; else the message ends there, cut, and the next one
// is looked for: it begins a piece, or stands behind the end of a line.
//
// Nothing here is safe for more than one goroutine, and nothing allocates once it has seen
// messages of the size.
package lines

import "bytes"

// Message is one message of a stream.
type Message struct {
	Data  []byte // the line with its end, and as much of the rest as is kept; borrowed until the reader is used again
	Line  int    // how much of Data is the line, its end included
	Size  int64  // bytes on the wire
	First int64  // time of the first byte, ns
	Last  int64  // of the last one
	Cut   bool   // bytes of it are missing; where it has no end of line, of the line

	Missed bool // messages may have been lost before it
	Found  bool // it begins a piece behind a loss, which could have taken its beginning
}

// Text is the line without its end.
func (m *Message) Text() []byte { return Trim(m.Data[:m.Line]) }

// Body is what is kept of the bytes behind the line, without the end of line behind them.
func (m *Message) Body() []byte {
	b := m.Data[m.Line:]
	if n := m.Size - int64(m.Line) - int64(len(lineEnd)); int64(len(b)) > n {
		b = b[:max(0, n)]
	}
	return b
}

const lineEnd = "\r\n"

// Trim takes the end of a line off.
func Trim(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'})
}

// Format is what a Reader must know of a protocol.
type Format interface {
	// Rest is how many bytes belong to the message behind that line, which is given without its
	// end. Where they are more than 0 the last two of them are an end of line; a message where
	// they are not is cut, and what follows it is looked for.
	// It is negative where no message begins with that line.
	Rest(line []byte) int64
	// Begins says whether a message surely begins with that line, after a loss. opens says that
	// the line begins a piece.
	Begins(line []byte, opens bool) bool
}

const (
	// MaxLine is how long a line may be, its end included.
	MaxLine = 64 << 10
	maxIdle = 64 << 10 // bytes of memory that are kept for use again
)

// state is where a stream stands.
type state uint8

const (
	between state = iota // a message may begin
	inLine               // buf holds its beginning
	inside               // left bytes to come
	lost                 // in the middle of a line that says nothing
)

// Reader cuts the stream of one direction. The zero value is ready.
type Reader struct {
	Message Message // the last one that ended
	Bad     int     // how many lines were none of a message

	state  state
	missed bool // messages may have been lost before the next one
	unsure bool // the next line may be none of a message
	guess  bool // the message in hand was looked for
	opens  bool // the line in hand begins a piece
	full   bool // no more is kept of the message
	left   int64
	end    [2]byte // the last bytes of a message so far
	buf    []byte
}

// Lost says that the place in the stream is not known.
func (r *Reader) Lost() bool { return r.unsure }

// Between says that no message has begun, and that the place in the stream is known.
func (r *Reader) Between() bool { return r.state == between && !r.unsure }

// Next takes bytes of b, which is not empty, up to the end of a message at most, and says how
// many. The message, if it is done, is in r.Message. opens says that b begins a piece, as it
// was captured; limit is how many bytes behind the line are kept.
func (r *Reader) Next(f Format, b []byte, now int64, limit int, opens bool) (n int, done bool) {
	if opens && r.unsure && r.state == inLine {
		// What began before may be no line; this is the better guess.
		if end := bytes.IndexByte(b, '\n'); end >= 0 && f.Begins(Trim(b[:end]), true) {
			r.state = between
		}
	}
	switch r.state {
	case lost:
		if !opens {
			n = bytes.IndexByte(b, '\n') + 1
			if n == 0 {
				return len(b), false
			}
			r.state = between
			return n, false
		}
		r.state = between
	case inside:
		return r.inside(b, now, limit)
	}
	end := bytes.IndexByte(b, '\n') + 1
	if r.state == between {
		r.Message = Message{First: now}
		r.opens, r.full = opens, false
		r.buf = r.buf[:0]
		if end > 0 {
			return r.line(f, b[:end], b, now, limit)
		}
		if cap(r.buf) > maxIdle {
			r.buf = nil
		}
	}
	if n = end; end == 0 {
		n = len(b)
	}
	if len(r.buf)+n > MaxLine {
		r.fail()
		return n, false
	}
	r.state = inLine
	r.buf = append(r.buf, b[:n]...)
	if end == 0 {
		return n, false
	}
	r.state = between
	_, done = r.line(f, r.buf, nil, now, limit)
	return n, done
}

// line takes a whole line. It begins b, unless that is nil: then it stands in buf.
func (r *Reader) line(f Format, line, b []byte, now int64, limit int) (n int, done bool) {
	if r.guess = r.unsure; r.unsure {
		if !f.Begins(Trim(line), r.opens) {
			r.Bad++
			return len(line), false
		}
		r.unsure = false
	}
	rest := int64(0)
	if len(line) > MaxLine {
		rest = -1
	} else {
		rest = f.Rest(Trim(line))
	}
	if rest < 0 {
		r.fail()
		r.state = between // the next line may do
		return len(line), false
	}
	m := &r.Message
	m.Line, m.Size, m.Last, m.Missed, m.Found = len(line), int64(len(line))+rest, now, r.missed, r.guess && r.opens
	r.missed = false
	if int64(len(b)) >= m.Size && b != nil {
		m.Data = b[:min(m.Size, int64(m.Line+limit))]
		return int(m.Size), rest == 0 || string(b[m.Size-2:m.Size]) == lineEnd || r.overrun()
	}
	if rest == 0 {
		m.Data = r.buf
		return len(line), true
	}
	if b != nil {
		r.buf = append(r.buf, line...)
	}
	r.state, r.left = inside, rest
	if b = b[min(len(b), len(line)):]; len(b) > 0 { // less than the rest
		k, _ := r.inside(b, now, limit)
		return len(line) + k, false
	}
	return len(line), false
}

// inside goes on with what is counted.
func (r *Reader) inside(b []byte, now int64, limit int) (n int, done bool) {
	n = int(min(r.left, int64(len(b))))
	for i := max(0, n-2); i < n; i++ {
		r.end = [2]byte{r.end[1], b[i]}
	}
	if room := r.Message.Line + limit - len(r.buf); room > 0 && !r.full {
		r.buf = append(r.buf, b[:min(n, room)]...)
	}
	if r.left -= int64(n); r.left > 0 {
		return n, false
	}
	r.finish(now)
	return n, string(r.end[:]) == lineEnd || r.Message.Cut || r.overrun()
}

// overrun gives up the place in the stream, since what was counted does not end where it
// should. The message is handed on, unless it may have been none.
func (r *Reader) overrun() bool {
	r.Message.Cut = true
	r.fail()
	return !r.guess
}

func (r *Reader) finish(now int64) bool {
	r.state = between
	r.Message.Data, r.Message.Last = r.buf, now
	return true
}

func (r *Reader) fail() {
	r.Bad++
	r.Lose()
}

// Gap takes word of n missing bytes, 0: nobody knows how many. It says whether that ends a
// message, which then is in r.Message.
func (r *Reader) Gap(n int64, now int64) (done bool) {
	if r.state == inside && n > 0 && n <= r.left {
		r.Message.Cut, r.full = true, true
		r.end = [2]byte{}
		r.left -= n
		return r.left == 0 && r.finish(now)
	}
	done = r.Close(now)
	r.Lose()
	return done
}

// Close ends the stream. It says whether a message was cut short by that, which then is in
// r.Message; of half a line the size is what there was.
func (r *Reader) Close(now int64) (cut bool) {
	m := &r.Message
	switch {
	case r.state == inside:
	case r.state == inLine && !r.unsure:
		m.Line, m.Size, m.Missed = len(r.buf), int64(len(r.buf)), r.missed
	default:
		return false
	}
	m.Cut = true
	return r.finish(now)
}

// Lose gives up the place in the stream.
func (r *Reader) Lose() { r.state, r.unsure, r.missed = lost, true, true }
