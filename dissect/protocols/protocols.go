// Package protocols is the list of the protocols that are dissected, in the order in which
// they are asked whether a flow is theirs. The first that says yes has it, so a protocol that
// could mistake another's beginning for its own stands behind that one.
package protocols

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/dns"
	"github.com/sshark/sshark/dissect/http1"
)

// All returns the list. The caller may change the slice, not the protocols.
func All() []*dissect.Protocol {
	return []*dissect.Protocol{
		http1.Protocol(), // a start line with its version: nothing else looks like it
		dns.Protocol(),   // a header whose counts fit its length
	}
}
