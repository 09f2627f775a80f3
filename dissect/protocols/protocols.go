// Package protocols is the list of the protocols that are dissected, in the order in which
// they are asked whether a flow is theirs. The first that says yes has it, so a protocol that
// could mistake another's beginning for its own stands behind that one.
package protocols

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/amqp"
	"github.com/sshark/sshark/dissect/cassandra"
	"github.com/sshark/sshark/dissect/dhcp"
	"github.com/sshark/sshark/dissect/diameter"
	"github.com/sshark/sshark/dissect/dns"
	"github.com/sshark/sshark/dissect/ftp"
	"github.com/sshark/sshark/dissect/gql"
	"github.com/sshark/sshark/dissect/grpc"
	"github.com/sshark/sshark/dissect/http1"
	"github.com/sshark/sshark/dissect/http2"
	"github.com/sshark/sshark/dissect/icmp"
	"github.com/sshark/sshark/dissect/kafka"
	"github.com/sshark/sshark/dissect/ldap"
	"github.com/sshark/sshark/dissect/memcached"
	"github.com/sshark/sshark/dissect/mongodb"
	"github.com/sshark/sshark/dissect/mqtt"
	"github.com/sshark/sshark/dissect/mysql"
	"github.com/sshark/sshark/dissect/nats"
	"github.com/sshark/sshark/dissect/ntp"
	"github.com/sshark/sshark/dissect/postgresql"
	"github.com/sshark/sshark/dissect/proxy"
	"github.com/sshark/sshark/dissect/quic"
	"github.com/sshark/sshark/dissect/radius"
	"github.com/sshark/sshark/dissect/redis"
	"github.com/sshark/sshark/dissect/sip"
	"github.com/sshark/sshark/dissect/smtp"
	"github.com/sshark/sshark/dissect/ssh"
	"github.com/sshark/sshark/dissect/tls"
	"github.com/sshark/sshark/dissect/ws"
)

// All returns the list. The caller may change the slice, not the protocols.
func All() []*dissect.Protocol {
	return []*dissect.Protocol{
		proxy.Protocol(),      // a header before another protocol's beginning
		http1.Protocol(),      // a start line with its version: nothing else looks like it
		http2.Protocol(),      // its preface, or frames with a header block that makes sense
		grpc.Protocol(),       // claims nothing by itself: HTTP calls that carry it
		gql.Protocol(),        // the same
		ws.Protocol(),         // claims nothing by itself: what HTTP hands over
		tls.Protocol(),        // a hello, or records that follow each other
		ssh.Protocol(),        // a banner
		amqp.Protocol(),       // its header, or frames with their end
		kafka.Protocol(),      // a request whose layout fits its length
		mongodb.Protocol(),    // lengths, and an operation that there is
		cassandra.Protocol(),  // versions, and an operation that there is
		ldap.Protocol(),       // a message whose lengths fit, with an operation that there is
		diameter.Protocol(),   // a header of its version whose length fits
		postgresql.Protocol(), // a startup, or messages whose lengths fit
		mysql.Protocol(),      // a greeting, or numbered packets
		sip.Protocol(),        // a start line with its version
		nats.Protocol(),       // INFO or a command of its own
		memcached.Protocol(),  // a command of its own, or a binary header
		mqtt.Protocol(),       // a CONNECT, or packets whose lengths fit
		smtp.Protocol(),       // a greeting with 220, and commands of its own
		ftp.Protocol(),        // the same, with others
		redis.Protocol(),      // arrays of strings; a word of its own waits for an answer like its own
		quic.Protocol(),       // a long header of a known version
		icmp.Protocol(),       // a transport of its own
		ntp.Protocol(),        // a mode that fits version, length and times
		dhcp.Protocol(),       // its cookie
		radius.Protocol(),     // attributes that fit its length
		dns.Protocol(),        // a header whose counts fit its length
	}
}
