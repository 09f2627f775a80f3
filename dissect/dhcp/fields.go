package dhcp

import (
	"net/netip"

	"github.com/sshark/sshark/dissect"
)

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "dhcp_type", Kind: dissect.Int, Help: "type of the message: 1 DISCOVER, 2 OFFER, 3 REQUEST, 5 ACK, 6 NAK; 0 of BOOTP", Example: "3",
		Get: dissect.Of(func(m *message) any {
			if m.kind == 0 {
				return nil
			}
			return int64(m.kind)
		})},
	{Name: "dhcp_type_name", Kind: dissect.String, Help: "name of that type", Example: `"REQUEST"`,
		Get: dissect.Of(func(m *message) any {
			if m.name() == "" {
				return nil
			}
			return m.name()
		})},
	{Name: "dhcp_address", Kind: dissect.String, Help: "address that the client gets, has, or asks for", Example: `"10.0.0.5"`,
		Get: dissect.Of(func(m *message) any { return address(m.address()) })},
	{Name: "dhcp_mac", Kind: dissect.String, Help: "hardware address of the client", Example: `"02:42:0a:00:00:05"`,
		Get: dissect.Of(func(m *message) any {
			if m.b[2] == 0 {
				return nil
			}
			return string(m.appendMAC(nil))
		})},
	{Name: "dhcp_hostname", Kind: dissect.String, Help: "name that the client gives itself, or is given", Example: `"web-1"`,
		Get: dissect.Of(func(m *message) any {
			if len(m.host) == 0 {
				return nil
			}
			return string(m.host)
		})},
	{Name: "dhcp_server", Kind: dissect.String, Help: "identifier of the server", Example: `"10.0.0.1"`,
		Get: dissect.Of(func(m *message) any { return address(m.server) })},
}

func address(a []byte) any {
	if len(a) != 4 {
		return nil
	}
	return netip.AddrFrom4([4]byte(a)).String()
}
