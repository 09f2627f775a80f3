package smtp

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/dissect/replies"
)

// guess is what the bytes of one side look like.
type guess uint8

const (
	foreign   guess = iota
	silent          // nothing was said
	begun           // too little to tell
	greets          // EHLO or one of its kin, or a command with an address
	asks            // a command that others have too
	welcomes        // a reply that only SMTP has, or that says who it is
	replying        // a reply that others have too
	encrypted       // STARTTLS
)

// detect wants a client that greets or that has mail, or a server that says that it is one, or
// replies with enhanced codes (RFC 3463).
func detect(p *dissect.Probe) dissect.Verdict {
	a, b := look(p.Data[0]), look(p.Data[1])
	if a == foreign || b == foreign {
		return dissect.No
	}
	for d, side := range [2][2]guess{{a, b}, {b, a}} {
		mine, theirs := side[0], side[1]
		p.Swap = d == 1
		switch {
		case mine == greets && (theirs == silent || theirs == begun || theirs == welcomes || theirs == replying),
			theirs == welcomes && (mine == silent || mine == begun || mine == asks || mine == encrypted),
			mine == encrypted && theirs == replying:
			return dissect.Yes
		}
	}
	p.Swap = false
	if a == silent && b == silent || talks(a) && talks(b) || answers(a) && answers(b) {
		return dissect.No
	}
	return dissect.Unsure
}

func talks(g guess) bool   { return g == greets || g == asks || g == encrypted }
func answers(g guess) bool { return g == welcomes || g == replying }

func look(b []byte) guess {
	if len(b) == 0 {
		return silent
	}
	end := bytes.IndexByte(b, '\n')
	line := b
	if end >= 0 {
		line = b[:end]
	}
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if b[0] >= '2' && b[0] <= '5' {
		return lookReply(b, line, end >= 0)
	}
	v, ok := parse(line)
	switch {
	case end < 0:
		return lookPart(b)
	case !ok:
		return foreign
	}
	_, args := replies.Split(line)
	switch v {
	case helo, ehlo, lhlo:
		if len(args) > 0 {
			return greets
		}
	case mail:
		if prefixed(args, "FROM:") {
			return greets
		}
	case rcpt:
		if prefixed(args, "TO:") {
			return greets
		}
	case starttls:
		return encrypted
	case data, rset, quit, noop, auth, bdat, vrfy, expn, help, xclient:
		return asks
	}
	return foreign
}

func prefixed(b []byte, word string) bool {
	return len(b) >= len(word) && bytes.EqualFold(b[:len(word)], []byte(word))
}

// lookPart looks at a line that has no end yet.
func lookPart(b []byte) guess {
	name, _ := replies.Split(bytes.TrimSuffix(b, []byte{'\r'}))
	for _, v := range verbs {
		if len(name) <= len(v) && len(v) > 0 && bytes.EqualFold([]byte(v[:len(name)]), name) && len(b) < maxLine {
			return begun
		}
	}
	return foreign
}

// lookReply looks at replies.
func lookReply(b, line []byte, whole bool) guess {
	if len(line) < 4 && !whole {
		for _, c := range line {
			if c < '0' || c > '9' {
				return foreign
			}
		}
		return begun
	}
	for n := 0; len(b) > 0 && n < 32; n++ {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 {
			end = len(b)
		}
		l := lines.Trim(b[:end])
		code, text := replies.Code(l), l[min(4, len(l)):]
		switch {
		case code == 0 && n == 0:
			return foreign
		case code == 0:
			return replying
		case code == 220 && (named(text, "SMTP") || named(text, "LMTP")),
			enhanced(code, text),
			code == 250 && (prefixed(text, "PIPELINING") || prefixed(text, "8BITMIME") || prefixed(text, "ENHANCEDSTATUSCODES")),
			code == 354 && len(text) > 0:
			return welcomes
		case code == 220 && named(text, "FTP"):
			return foreign
		}
		b = b[end:]
	}
	return replying
}

// named says whether a greeting has that word, perhaps as a part of one: ESMTP.
func named(text []byte, word string) bool { return bytes.Contains(bytes.ToUpper(text), []byte(word)) }

// enhanced says whether a text begins with an enhanced status code: "2.1.0 Ok".
func enhanced(code int, text []byte) bool {
	digit := func(i int) bool { return i < len(text) && text[i] >= '0' && text[i] <= '9' }
	if !digit(0) || int(text[0]-'0') != code/100 {
		return false
	}
	i := 1
	for range 2 {
		if i >= len(text) || text[i] != '.' || !digit(i+1) {
			return false
		}
		for i++; digit(i); i++ {
		}
	}
	return i < len(text) && text[i] == ' '
}
