package sshd

import (
	"strings"

	"charm.land/ssh"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/command"
	"github.com/sshark/sshark/sshd/files"
)

// Observer is told what the server does, for it to be counted. Its methods return at once and
// are called by many at a time.
type Observer interface {
	// ConnectionRefused: a connection was closed before anything was read of it.
	ConnectionRefused()
	// SignIn: somebody was let in or not, with a method of RFC 4252 ("publickey").
	SignIn(method string, accepted bool)
	// Session begins, of a kind of Kinds; command is the first word of its command line, as
	// the client sent it. ended is called once, with the exit status and how many bytes went to
	// the client.
	Session(kind, command string) (ended func(status int, sent int64))
	// Refused: policy refused a verb to a user who got in.
	Refused(v auth.Verb)
	// Exported: a file, or the packets of a command, went to a client.
	Exported(bytes int64)
}

// Kinds are the kinds of sessions: a command line, the screen, files over SFTP and scp, and a
// shell, which there is none of.
func Kinds() []string { return []string{"command", "screen", "sftp", "scp", "shell"} }

// kindOf is what a session asks for, as far as its request says.
func kindOf(sess ssh.Session) (kind, name string) {
	line := sess.RawCommand()
	switch {
	case sess.Subsystem() == "sftp":
		return "sftp", ""
	case strings.TrimSpace(line) != "":
		words, _, err := command.Split(line)
		switch {
		case err != nil || len(words) == 0:
			return "command", ""
		case files.IsSCP(words):
			return "scp", ""
		case words[0] == "tui":
			return "screen", ""
		}
		return "command", words[0]
	}
	if _, _, ok := sess.Pty(); ok {
		return "screen", ""
	}
	return "shell", ""
}

// blind observes nothing.
type blind struct{}

func (blind) ConnectionRefused()                      {}
func (blind) SignIn(string, bool)                     {}
func (blind) Session(string, string) func(int, int64) { return func(int, int64) {} }
func (blind) Refused(auth.Verb)                       {}
func (blind) Exported(int64)                          {}
