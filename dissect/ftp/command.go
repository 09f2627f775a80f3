package ftp

import (
	"bytes"

	"github.com/sshark/sshark/dissect/replies"
)

// verbs are the commands that are known.
var verbs = [...]string{"", "USER", "PASS", "ACCT", "CWD", "CDUP", "SMNT", "QUIT", "REIN", "PORT", "PASV", "TYPE", "STRU", "MODE", "RETR", "STOR", "STOU", "APPE", "ALLO", "REST", "RNFR",
	"RNTO", "ABOR", "DELE", "RMD", "MKD", "PWD", "LIST", "NLST", "SITE", "SYST", "STAT", "HELP", "NOOP", "AUTH", "ADAT", "PBSZ", "PROT", "CCC", "MIC", "CONF", "ENC", "FEAT", "OPTS",
	"EPRT", "EPSV", "LPRT", "LPSV", "MDTM", "MFMT", "MLSD", "MLST", "SIZE", "LANG", "CLNT", "HOST", "AVBL", "CSID", "HASH", "XCRC", "XMD5", "XSHA", "XSHA1", "XSHA256", "XPWD", "XCWD",
	"XMKD", "XRMD", "XCUP"}

// verb is a command, by its place in verbs; 0 is one that is not known.
type verb uint32

var (
	auth   = find([]byte("AUTH"))
	secret = map[verb]bool{find([]byte("PASS")): true, find([]byte("ACCT")): true, find([]byte("ADAT")): true}
)

// maxVerb is how long a command is at most.
const maxVerb = 8

func find(name []byte) verb {
	for v, known := range verbs {
		if len(known) == len(name) && bytes.EqualFold([]byte(known), name) {
			return verb(v)
		}
	}
	return 0
}

// split cuts a line into the command and what stands behind it. A client that interrupts a
// transfer sends commands of Telnet before (RFC 959, 3.4.2; RFC 854).
func split(line []byte) (name, args []byte) {
	for len(line) > 0 && line[0] >= 0x80 {
		line = line[1:]
	}
	return replies.Split(line)
}

// parse reads a line of a client; ok says that it can be a command.
func parse(line []byte) (v verb, ok bool) {
	name, args := split(line)
	if len(name) < 3 || len(name) > maxVerb {
		return 0, false
	}
	for i, c := range name {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (i < 3 || c < '0' || c > '9') {
			return 0, false
		}
	}
	for _, c := range args {
		if c < ' ' && c != '\t' || c == 0x7f {
			return 0, false
		}
	}
	return find(name), true
}
