package smtp

import (
	"bytes"

	"github.com/sshark/sshark/dissect/replies"
)

// verb is a command.
type verb uint32

const (
	other verb = iota // one that is not known
	helo
	ehlo
	lhlo
	mail
	rcpt
	data
	bdat
	rset
	vrfy
	expn
	help
	noop
	quit
	starttls
	auth
	xclient
)

var verbs = [...]string{helo: "HELO", ehlo: "EHLO", lhlo: "LHLO", mail: "MAIL", rcpt: "RCPT", data: "DATA", bdat: "BDAT", rset: "RSET", vrfy: "VRFY", expn: "EXPN", help: "HELP",
	noop: "NOOP", quit: "QUIT", starttls: "STARTTLS", auth: "AUTH", xclient: "XCLIENT"}

// maxVerb is how long a command is at most.
const maxVerb = 16

// parse reads a line of a client; ok says that it can be a command.
func parse(line []byte) (v verb, ok bool) {
	name, _ := replies.Split(line)
	if len(name) < 3 || len(name) > maxVerb {
		return other, false
	}
	for _, c := range name {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return other, false
		}
	}
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return other, false
		}
	}
	for v := range verbs {
		if len(verbs[v]) == len(name) && bytes.EqualFold([]byte(verbs[v]), name) {
			return verb(v), true
		}
	}
	return other, true
}

// chunk is how many bytes follow BDAT, negative: it does not say.
func chunk(line []byte) int64 {
	_, args := replies.Split(line)
	args, _, _ = bytes.Cut(args, []byte{' '})
	if len(args) == 0 || len(args) > 10 {
		return -1
	}
	n := int64(0)
	for _, c := range args {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
