package redis

import "bytes"

// leading is what the server sends to a replica (the replication protocol, as PSYNC begins it).
type leading uint8

const (
	asking   leading = iota // nothing of the kind: it answers
	dataSize                // the line before the data set: "$123\r\n" or "$EOF:…\r\n"
	data                    // the data set, which is known by its size
	dataMark                // the data set, which ends with a mark
	commands
)

const markSize = 40

// leader follows the data set, which has no form of RESP.
type leader struct {
	state leading
	line  []byte // of dataSize, so far; of dataMark, the last bytes
	mark  [markSize]byte
	left  int64
}

// begin says that commands are on the way.
func (l *leader) begin() {
	if l.state == asking {
		l.state = commands
	}
}

// follow takes the reply to PSYNC or SYNC.
func (l *leader) follow(reply []byte) {
	switch {
	case bytes.HasPrefix(reply, []byte("+FULLRESYNC")):
		l.state = dataSize
	case bytes.HasPrefix(reply, []byte("+CONTINUE")):
		l.state = commands
	}
}

// take takes bytes that are not commands, and says how many.
func (l *leader) take(b []byte) int {
	n := 0
	for n < len(b) {
		switch l.state {
		case dataSize:
			c := b[n]
			n++
			if c == '\n' && len(l.line) == 0 { // a sign of life
				continue
			}
			l.line = append(l.line, c)
			if c == '\n' || len(l.line) > 64 {
				l.sized()
			}
		case data:
			k := min(l.left, int64(len(b)-n))
			n += int(k)
			if l.left -= k; l.left == 0 {
				l.state = commands
			}
		case dataMark:
			n += l.search(b[n:])
		default:
			return n
		}
	}
	return n
}

// sized reads the line before the data set.
func (l *leader) sized() {
	rest := bytes.TrimSuffix(l.line, []byte("\r\n"))
	mark, marked := bytes.CutPrefix(rest, []byte("$EOF:"))
	n, ok := count(l.line)
	switch {
	case marked && len(mark) == markSize:
		copy(l.mark[:], mark)
		l.state = dataMark
	case ok && n > 0 && l.line[0] == '$':
		l.state, l.left = data, n
	default:
		l.state = commands
	}
	l.line = l.line[:0]
}

// search looks for the mark in b and the bytes kept before it.
func (l *leader) search(b []byte) int {
	old := len(l.line)
	joined := append(l.line, b[:min(len(b), markSize)]...)
	if i := bytes.Index(joined, l.mark[:]); i >= 0 {
		l.state, l.line = commands, nil
		return i + markSize - old
	}
	if i := bytes.Index(b, l.mark[:]); i >= 0 {
		l.state, l.line = commands, nil
		return i + markSize
	}
	if len(b) >= markSize {
		l.line = append(l.line[:0], b[len(b)-markSize+1:]...)
	} else {
		l.line = append(l.line[:0], joined[max(0, len(joined)-markSize+1):]...)
	}
	return len(b)
}

// gap says whether a hole of n bytes is within the data set.
func (l *leader) gap(n int64) bool {
	switch {
	case l.state == data && n > 0 && n <= l.left:
		if l.left -= n; l.left == 0 {
			l.state = commands
		}
		return true
	case l.state == dataMark:
		l.line = l.line[:0]
		return true
	case l.state == data, l.state == dataSize:
		l.state = commands
	}
	return false
}
