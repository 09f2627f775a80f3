package demo

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/sshark/sshark/cmd/netlab"
)

// The shop's networks. All services share one bridge.
const (
	bits4 = 24
	bits6 = 64
	// zone is the shop's DNS zone. "internal" is reserved for private use (ICANN
	// resolution 2024.07.29.06), so no real name is shadowed.
	zone = "shop.internal."
)

// member is one service of the shop.
type member struct {
	name  string // of the service; the namespace has the prefix before it
	octet byte   // last octet of its addresses
}

func (m member) addr4() netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, m.octet}) }

func (m member) addr6() netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x77, 15: m.octet})
}

func (m member) host() netlab.Host {
	return netlab.Host{Name: m.name, Addrs: []netip.Prefix{
		netip.PrefixFrom(m.addr4(), bits4), netip.PrefixFrom(m.addr6(), bits6),
	}}
}

func (m member) fqdn() string { return m.name + "." + zone }

// The members, in the order of their start: who is asked is there before who asks.
var (
	dnsMember      = member{"dns", 53}
	redisMember    = member{"redis", 30}
	postgresMember = member{"postgres", 31}
	catalogMember  = member{"catalog", 20}
	ordersMember   = member{"orders", 22}
	cartMember     = member{"cart", 21}
	gatewayMember  = member{"gateway", 10}
	clientMember   = member{"client", 100}
)

// staff are the members of a shop with or without the databases.
func staff(redis, postgres bool) []member {
	all := []member{dnsMember}
	if redis {
		all = append(all, redisMember)
	}
	if postgres {
		all = append(all, postgresMember)
	}
	return append(all, catalogMember, ordersMember, cartMember, gatewayMember, clientMember)
}

// Ports that the services listen on.
const (
	gatewayPort  = 80
	catalogPort  = 8080
	cartPort     = 8080
	ordersPort   = 8080 // HTTP/2 without TLS
	receiptsPort = 8443 // HTTPS
	stockPort    = 9000 // gRPC
	redisPort    = 6379
	postgresPort = 5432
	closedPort   = 9090 // of the catalog: nobody listens, so its callers are refused
)

func hostPort(m member, port int) string {
	return fmt.Sprintf("%s:%d", strings.TrimSuffix(m.fqdn(), "."), port)
}
