package icmp

import "github.com/sshark/sshark/pcap/flow"

// kind is a type of message.
type kind struct {
	name    string
	reply   bool
	failure bool     // it tells of an error, and quotes the packet that caused it
	carries carries  // what the summary says of it
	codes   []string // names of codes, "" where there is none
	boxed   any      // name, for filters
}

// carries is what of a message is worth a line.
type carries uint8

const (
	nothing carries = iota
	echo            // an identifier and a sequence number
	target          // an IPv6 address at byte 8
	gateway         // an IPv4 address at byte 4
	mtu             // a number at byte 4
)

// typesOf are the types of a version, by number.
func typesOf(p flow.Proto) *[256]kind {
	if p == flow.ICMPv6 {
		return &types6
	}
	return &types4
}

// IANA, "Internet Control Message Protocol (ICMP) Parameters".
var types4 = boxed([256]kind{
	0: {name: "echo reply", reply: true, carries: echo},
	3: {name: "destination unreachable", failure: true, codes: []string{"network unreachable", "host unreachable", "protocol unreachable", "port unreachable",
		"fragmentation needed", "source route failed", "network unknown", "host unknown", "source host isolated", "network prohibited", "host prohibited",
		"network unreachable for this service", "host unreachable for this service", "administratively prohibited", "host precedence violation", "precedence cutoff"}},
	4:  {name: "source quench", failure: true},
	5:  {name: "redirect", carries: gateway, codes: []string{"for the network", "for the host", "for this service and network", "for this service and host"}},
	6:  {name: "alternate host address"},
	8:  {name: "echo request", carries: echo},
	9:  {name: "router advertisement"},
	10: {name: "router solicitation"},
	11: {name: "time exceeded", failure: true, codes: []string{"in transit", "in reassembly"}},
	12: {name: "parameter problem", failure: true, codes: []string{"pointer indicates the error", "missing option", "bad length"}},
	13: {name: "timestamp request", carries: echo},
	14: {name: "timestamp reply", reply: true, carries: echo},
	15: {name: "information request", carries: echo},
	16: {name: "information reply", reply: true, carries: echo},
	17: {name: "address mask request", carries: echo},
	18: {name: "address mask reply", reply: true, carries: echo},
	30: {name: "traceroute"},
	31: {name: "datagram conversion error"},
	32: {name: "mobile host redirect"},
	37: {name: "domain name request"},
	38: {name: "domain name reply", reply: true},
	40: {name: "photuris"},
	42: {name: "extended echo request", carries: echo},
	43: {name: "extended echo reply", reply: true, carries: echo},
})

// IANA, "Internet Control Message Protocol version 6 (ICMPv6) Parameters".
var types6 = boxed([256]kind{
	1: {name: "destination unreachable", failure: true, codes: []string{"no route", "administratively prohibited", "beyond scope of source address", "address unreachable",
		"port unreachable", "source address failed policy", "reject route", "error in source routing header", "headers too long"}},
	2:   {name: "packet too big", failure: true, carries: mtu},
	3:   {name: "time exceeded", failure: true, codes: []string{"in transit", "in reassembly"}},
	4:   {name: "parameter problem", failure: true, codes: []string{"bad header field", "unknown next header", "unknown option", "incomplete header chain"}},
	128: {name: "echo request", carries: echo},
	129: {name: "echo reply", reply: true, carries: echo},
	130: {name: "multicast listener query", carries: target},
	131: {name: "multicast listener report", carries: target},
	132: {name: "multicast listener done", carries: target},
	133: {name: "router solicitation"},
	134: {name: "router advertisement"},
	135: {name: "neighbor solicitation", carries: target},
	136: {name: "neighbor advertisement", carries: target},
	137: {name: "redirect", carries: target},
	138: {name: "router renumbering"},
	139: {name: "node information query"},
	140: {name: "node information reply", reply: true},
	141: {name: "inverse neighbor solicitation"},
	142: {name: "inverse neighbor advertisement"},
	143: {name: "multicast listener report v2"},
	144: {name: "home agent address discovery request"},
	145: {name: "home agent address discovery reply", reply: true},
	146: {name: "mobile prefix solicitation"},
	147: {name: "mobile prefix advertisement"},
	148: {name: "certification path solicitation"},
	149: {name: "certification path advertisement"},
	151: {name: "multicast router advertisement"},
	152: {name: "multicast router solicitation"},
	153: {name: "multicast router termination"},
	155: {name: "RPL control"},
	157: {name: "duplicate address request"},
	158: {name: "duplicate address confirmation", reply: true},
	160: {name: "extended echo request", carries: echo},
	161: {name: "extended echo reply", reply: true, carries: echo},
})

// boxed gives types a name that filters can be given without allocating.
func boxed(list [256]kind) [256]kind {
	for i := range list {
		if k := &list[i]; k.name != "" {
			k.boxed = k.name
		}
	}
	return list
}
