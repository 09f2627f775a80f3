package ftp

import (
	"bytes"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/lines"
	"github.com/sshark/sshark/dissect/replies"
)

// guess is what the bytes of one side look like.
type guess uint8

const (
	foreign  guess = iota
	silent         // nothing was said
	begun          // too little to tell
	asks           // a command that only FTP has
	mayAsk         // one that others have too
	replying       // a reply that only FTP has, or a greeting that says who it is
	mayReply
)

// enough is how many commands must follow each other where no reply was seen at all.
const enough = 3

// detect wants a server that says that it is one, or replies as only FTP does, or a command of
// FTP's that is answered by digits; of a capture of the client's side alone, several commands
// with one of FTP's among them.
func detect(p *dissect.Probe) dissect.Verdict {
	a, b := look(p.Data[0]), look(p.Data[1])
	if a == foreign || b == foreign {
		return dissect.No
	}
	for d, side := range [2][2]guess{{a, b}, {b, a}} {
		mine, theirs := side[0], side[1]
		p.Swap = d == 1
		switch {
		case theirs == replying && !answers(mine), mine == asks && answers(theirs),
			mine == asks && theirs == silent && commands(p.Data[d]) >= enough:
			return dissect.Yes
		}
	}
	p.Swap = false
	if a == silent && b == silent || asking(a) && asking(b) || answers(a) && answers(b) {
		return dissect.No
	}
	return dissect.Unsure
}

func asking(g guess) bool  { return g == asks || g == mayAsk }
func answers(g guess) bool { return g == replying || g == mayReply }

func look(b []byte) guess {
	if len(b) == 0 {
		return silent
	}
	if b[0] >= '1' && b[0] <= '5' {
		return lookReply(b)
	}
	best := foreign
	for n := 0; n < 16 && len(b) > 0; n++ {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 {
			if n > 0 {
				return best
			}
			return lookPart(b)
		}
		v, ok := parse(lines.Trim(b[:end]))
		switch {
		case !ok, v == 0 && n == 0:
			if n == 0 {
				return foreign
			}
			return best
		case v == 0: // one that servers may know
		case !shared[verbs[v]], v == auth && encryption(lines.Trim(b[:end])):
			return asks
		}
		best = mayAsk
		b = b[end:]
	}
	return best
}

// commands counts the lines that b begins with that are commands that are known, up to enough.
func commands(b []byte) (n int) {
	for ; n < enough; n++ {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 {
			break
		}
		if v, ok := parse(lines.Trim(b[:end])); !ok || v == 0 {
			break
		}
		b = b[end:]
	}
	return n
}

// shared are commands that other protocols have too: SMTP, POP3, NNTP.
var shared = map[string]bool{"USER": true, "PASS": true, "QUIT": true, "NOOP": true, "HELP": true, "STAT": true, "LIST": true, "AUTH": true, "MODE": true, "HOST": true,
	"DELE": true, "RETR": true, "ENC": true, "HASH": true, "SITE": true, "LANG": true}

// encryption says whether AUTH asks for it (RFC 4217, 4), as none of another protocol does.
func encryption(line []byte) bool {
	_, args := split(line)
	return bytes.EqualFold(args, []byte("TLS")) || bytes.EqualFold(args, []byte("SSL")) || bytes.EqualFold(args, []byte("TLS-C"))
}

// lookPart looks at a line that has no end yet.
func lookPart(b []byte) guess {
	name, _ := split(bytes.TrimSuffix(b, []byte{'\r'}))
	for _, v := range verbs[1:] {
		if len(name) <= len(v) && bytes.EqualFold([]byte(v[:len(name)]), name) && len(b) < maxLine {
			return begun
		}
	}
	return foreign
}

// lookReply looks at replies.
func lookReply(b []byte) guess {
	more := false // lines of the same reply follow, which may be anything
	for n := 0; len(b) > 0 && n < 64; n++ {
		end := bytes.IndexByte(b, '\n') + 1
		part := end == 0
		if part {
			end = len(b)
		}
		l := lines.Trim(b[:end])
		code, text := replies.Code(l), bytes.ToLower(l[min(4, len(l)):])
		switch {
		case code == 0 && n == 0 && (!part || len(l) > 3):
			return foreign
		case n == 0 && len(l) < 4:
			return begun
		case code == 0 && !more:
			return mayReply
		case code == 0:
		case code == 220 && (bytes.Contains(text, []byte("smtp")) || bytes.Contains(text, []byte("lmtp"))), code == 354, code == 334:
			return foreign
		case code == 220 && bytes.Contains(text, []byte("ftp")),
			code == 331, // a password is wanted: no other protocol has that
			code == 227 && (bytes.Contains(text, []byte("passive")) || bytes.Count(text, []byte(",")) == 5),
			code == 257 && len(text) > 0 && text[0] == '"',
			code == 229 && bytes.Contains(text, []byte("extended passive")),
			code == 150 && (bytes.Contains(text, []byte("connection")) || bytes.Contains(text, []byte("directory listing"))),
			code == 226 && bytes.Contains(text, []byte("transfer complete")):
			return replying
		default:
			more = replies.More(l)
		}
		b = b[end:]
	}
	return mayReply
}
