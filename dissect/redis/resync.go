package redis

import (
	"bytes"

	"github.com/sshark/sshark/pcap/flow"
)

// search looks for the beginning of a message in b, which begins a piece where start is set.
// It returns -1 where there is none.
func (p *parser) search(d flow.Dir, b []byte, start bool) int {
	if d == 1 && start && p.turned && p.leader.state == asking {
		// Who was asked begins with the reply.
		var s scanner
		s.begin(false)
		if n, v := s.run(b); v == done && (n == len(b) || starts(b[n])) || v == more && s.topped {
			return 0
		}
		p.bad++
	}
	for i := 0; i < len(b); i++ {
		if i > 0 || !start {
			next := bytes.Index(b[i:], []byte{'\n'})
			if next < 0 {
				return -1
			}
			i += next + 1
		}
		if i == len(b) {
			return -1
		}
		if b[i] != '*' && b[i] != '>' {
			continue
		}
		name, v := first(b[i:])
		switch {
		case v != done:
		case d == 0 || p.leader.state == commands:
			if b[i] == '*' && known(name) {
				return i
			}
		case published(name), b[i] == '>' && name[0] >= 'a' && name[0] <= 'z':
			return i
		}
	}
	return -1
}

// starts says whether a value may begin with c.
func starts(c byte) bool {
	return bytes.IndexByte([]byte("+-:$*_#,(!=%~>|"), c) >= 0
}
