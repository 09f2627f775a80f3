package capture

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/worker/bpf"
	"golang.org/x/sys/unix"
)

// tapsOf writes down what was chosen: names, with < for received only and > for sent only.
func tapsOf(taps []tapped) (out []string) {
	for _, t := range taps {
		name := t.name
		switch t.direction {
		case bpf.InboundOnly:
			name = "<" + name
		case bpf.OutboundOnly:
			name = ">" + name
		}
		out = append(out, name)
	}
	return out
}

func TestChoose(t *testing.T) {
	const ether = unix.ARPHRD_ETHER
	lo := device{index: 1, name: "lo", arphrd: unix.ARPHRD_LOOPBACK}
	eth := device{index: 2, name: "eth0", arphrd: ether, kind: "veth", link: 7, foreign: true}
	nic := device{index: 2, name: "ens3", arphrd: ether}
	addr := []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}
	tests := []struct {
		name string
		own  bool
		devs []device
		want []string
	}{
		{"a pod", false, []device{lo, eth}, []string{"<lo", "eth0"}},
		{"macvlan on the node's device", false, []device{lo, {index: 3, name: "net1", arphrd: ether, kind: "macvlan", link: 2, foreign: true}},
			[]string{"<lo", "net1"}},
		{"vlan on a device of the pod", false, []device{lo, eth, {index: 3, name: "v", arphrd: ether, kind: "vlan", link: 2}, {index: 4, name: "vv", arphrd: ether, kind: "vlan", link: 3}},
			[]string{"<lo", "eth0"}},
		{"vlan moved into the pod", false, []device{lo, {index: 3, name: "v", arphrd: ether, kind: "vlan", link: 2, foreign: true}},
			[]string{"<lo", "v"}},
		{"macvlan on a device of the pod", false, []device{lo, eth, {index: 3, name: "m", arphrd: ether, kind: "macvlan", link: 2}},
			[]string{"<lo", "eth0"}},
		{"bond", false, []device{lo, {index: 2, name: "e0", arphrd: ether, member: "bond"}, {index: 3, name: "e1", arphrd: ether, member: "bond"}, {index: 4, name: "bond0", arphrd: ether, kind: "bond"}},
			[]string{"<lo", "bond0"}},
		{"bridge", false, []device{lo, {index: 2, name: "br0", arphrd: ether, kind: "bridge"}, {index: 3, name: "p0", arphrd: ether, kind: "veth", member: "bridge", link: 2, foreign: true}},
			[]string{"<lo", ">br0", "<p0"}},
		{"pair in one namespace", false, []device{lo, {index: 2, name: "x", arphrd: ether, kind: "veth", link: 3}, {index: 3, name: "y", arphrd: ether, kind: "veth", link: 2}},
			[]string{"<lo", "x"}},
		{"pair with a bridge", false, []device{lo, {index: 2, name: "x", arphrd: ether, kind: "veth", link: 3}, {index: 3, name: "y", arphrd: ether, kind: "veth", link: 2, member: "bridge"}, {index: 4, name: "br0", arphrd: ether, kind: "bridge"}},
			[]string{"<lo", "<y", ">br0"}},
		{"pair between bridges", false, []device{{index: 2, name: "x", arphrd: ether, kind: "veth", link: 3, member: "bridge"}, {index: 3, name: "y", arphrd: ether, kind: "veth", link: 2, member: "bridge"}},
			[]string{"<x", "<y"}},
		{"tunnels", false, []device{lo, eth, {index: 3, name: "vx", arphrd: ether, kind: "vxlan", port: 4789}, {index: 4, name: "flannel", arphrd: ether, kind: "vxlan", port: 8472}, {index: 5, name: "wg0", arphrd: unix.ARPHRD_NONE, kind: "wireguard"}, {index: 6, name: "tunl0", arphrd: unix.ARPHRD_TUNNEL, kind: "ipip"}, {index: 7, name: "tun0", arphrd: unix.ARPHRD_NONE, kind: "tun"}, {index: 8, name: "gnv", arphrd: ether, kind: "geneve", port: 6081}, {index: 9, name: "sit0", arphrd: unix.ARPHRD_SIT, kind: "sit"}},
			[]string{"<lo", "eth0", "flannel", "wg0", "tun0"}},
		{"others", false, []device{lo, {index: 2, name: "can0", arphrd: unix.ARPHRD_CAN}, {index: 3, name: "ifb0", arphrd: ether, kind: "ifb"}, {index: 4, name: "vrf", arphrd: ether, kind: "vrf"}, {index: 5, name: "nlmon", arphrd: unix.ARPHRD_NETLINK}},
			[]string{"<lo"}},
		{"the node", true, []device{lo, nic, {index: 3, name: "docker0", arphrd: ether, kind: "bridge", addrs: addr}, {index: 4, name: "cali1", arphrd: ether, kind: "veth", link: 2, foreign: true}, {index: 5, name: "v", arphrd: ether, kind: "vlan", link: 2, addrs: addr}, {index: 6, name: "tunl0", arphrd: unix.ARPHRD_TUNNEL, kind: "ipip"}, {index: 7, name: "ens4", arphrd: ether, member: "bridge"}},
			[]string{"<lo", "ens3", "ens4"}},
		{"a node with a bond", true, []device{lo, {index: 2, name: "e0", arphrd: ether, member: "bond"}, {index: 3, name: "bond0", arphrd: ether, kind: "bond", addrs: addr}},
			[]string{"<lo", "bond0"}},
		{"a node in a container", true, []device{lo, {index: 2, name: "eth0", arphrd: ether, kind: "veth", link: 9, foreign: true, nsid: 0, addrs: addr}, {index: 3, name: "ptp", arphrd: ether, kind: "veth", link: 2, foreign: true, nsid: 5, addrs: addr}},
			[]string{"<lo", "eth0"}},
	}
	captured := func(d *device) bool { return d.nsid == 5 }
	for _, tt := range tests {
		taps := choosePod(tt.devs)
		if tt.own {
			taps = chooseOwn(tt.devs, captured)
		}
		if got := tapsOf(taps); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		for _, tap := range taps {
			if raw := tap.arphrd == unix.ARPHRD_NONE; raw != (tap.link == pcap.LinkRaw) {
				t.Errorf("%s: %s has link type %d", tt.name, tap.name, tap.link)
			}
		}
	}
}

// What the kernel says of real devices.
func TestDevices(t *testing.T) {
	w := newWorld(t)
	w.pair()
	w.run("ip -n @a link add br0 type bridge")
	w.run("ip -n @a link add p0 type veth peer name p1")
	w.run("ip -n @a link set p0 master br0")
	w.run("ip -n @a link add vx type vxlan id 5 dstport 4789 dev eth0")
	var devs []device
	w.in("a", func() error {
		n, err := openNetlink()
		if err != nil {
			return err
		}
		defer n.close()
		devs, err = n.devices()
		return err
	})
	got := map[string]string{}
	for _, d := range devs {
		got[d.name] = fmt.Sprintf("%d %s %s %v %d", d.arphrd, d.kind, d.member, d.foreign, d.port)
	}
	for name, want := range map[string]string{
		"lo":   "772   false 0",
		"eth0": "1 veth  true 0",
		"br0":  "1 bridge  false 0",
		"p0":   "1 veth bridge false 0",
		"vx":   "1 vxlan  false 4789",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if got := tapsOf(choosePod(devs)); !slices.Contains(got, "<p0") || slices.Contains(got, "p1") || slices.Contains(got, "vx") {
		t.Errorf("chosen %q", got)
	}
}

// The kernel is believed, but a message that is cut short must not stop the program.
func FuzzNetlink(f *testing.F) {
	link := make([]byte, 16+8+8)
	link[16], link[18], link[20], link[22] = 8, unix.IFLA_LINK, 5, 0
	f.Add(link)
	f.Add([]byte{8, 0, unix.IFLA_INFO_DATA, 0, 0, 0, 0, 0, 8, 0, 1, 0, 'v', 'x', 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := parseDevice(b); err != nil && d.index != 0 {
			t.Errorf("a device %+v and an error %v", d, err)
		}
		if _, p, err := parseAddress(b); err != nil && p.IsValid() {
			t.Errorf("an address %v and an error %v", p, err)
		}
		parseKind(b)
	})
}
