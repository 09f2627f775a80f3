#!/bin/bash
# record.sh: records the captures of this folder anew, between network namespaces: a client, a
# router and a server. Needs root, tcpdump, ip, ping, traceroute and rdisc6 (ndisc6). Then:
# go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
client=icmp-c$$ router=icmp-r$$ server=icmp-s$$
inside=(ip netns exec $client)
interface=c0

on() { # on NAMESPACE COMMAND...: whose failure is what is recorded
	local n=$1
	shift
	timeout 10 ip netns exec "$n" "$@" >/dev/null 2>&1 || true
}

for n in $client $router $server; do space "$n"; done
ip link add c0 netns $client type veth peer name r0 netns $router
ip link add s0 netns $server type veth peer name r1 netns $router
add() { # add NAMESPACE DEVICE ADDRESS...
	local n=$1 dev=$2
	shift 2
	for a in "$@"; do ip -n "$n" address add "$a" dev "$dev" $([[ $a == *:* ]] && echo nodad); done
	ip -n "$n" link set "$dev" up
}
add $client c0 10.8.1.1/24 fd08:1::1/64
add $router r0 10.8.1.254/24 fd08:1::fe/64
add $router r1 10.8.2.254/24 fd08:2::fe/64
add $server s0 10.8.2.1/24 fd08:2::1/64
ip netns exec $router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
ip netns exec $server sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
ip -n $client route add default via 10.8.1.254
ip -n $client route add default via fd08:1::fe
ip -n $server route add default via 10.8.2.254
ip -n $server route add default via fd08:2::fe
ip -n $router link set r1 mtu 1280
ip -n $server link set s0 mtu 1280
ip -n $router route add prohibit 10.8.9.0/24
ip -n $router route add unreachable 10.8.10.0/24
ip -n $router route add prohibit fd08:9::/64
sleep 2 # link-local addresses

capture v4 icmp
on $client ping -c 3 -i 0.2 10.8.2.1
on $client ping -c 1 -s 3000 10.8.2.1 # in fragments
on $client ping -c 1 -s 1400 -M do 10.8.2.1
on $client ping -c 1 -t 1 10.8.2.1
on $client ping -c 1 -W 1 10.8.9.1
on $client ping -c 1 -W 1 10.8.10.1
on $client traceroute -n -q 1 -w 1 10.8.2.1
on $client bash -c 'echo hello >/dev/udp/10.8.2.1/9'
finish

capture v6 icmp6
on $client ping -c 3 -i 0.2 fd08:2::1
on $client ping -c 1 -s 1400 -M do fd08:2::1
on $client ping -c 1 -t 1 fd08:2::1
on $client ping -c 1 -W 1 fd08:9::1
on $client ping -c 1 -W 1 fd08:1::77
on $client traceroute -n -q 1 -w 1 fd08:2::1
on $client bash -c 'echo hello >/dev/udp/fd08:2::1/9'
on $client rdisc6 -1 -w 500 c0
finish

capture snaplen-cut -s 60 icmp or icmp6
on $client ping -c 1 10.8.2.1
on $client bash -c 'echo hello >/dev/udp/10.8.2.1/9'
on $client ping -c 1 -t 1 fd08:2::1
finish
