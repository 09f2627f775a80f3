#!/bin/bash
# record-multicast.sh: records mdns.pcap and llmnr.pcap of this folder anew, between two network
# namespaces. Needs root, tcpdump, ip, avahi-daemon, llmnrd with llmnr-query, and dig. Then:
# go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
chmod 755 "$work"
a=mdns-a$$ b=mdns-b$$
inside=(ip netns exec $a)
interface=v0

responder() { # responder NAMESPACE NAME: each in its own view of the file system
	cat >"$work/$2.conf" <<-END
		[server]
		host-name=$2
		use-ipv6=yes
		enable-dbus=no
		disallow-other-stacks=no
		[publish]
		publish-workstation=yes
	END
	mkdir "$work/$2" "$work/$2.run"
	cat >"$work/$2/shop.service" <<-END
		<service-group><name>Shop on $2</name><service><type>_http._tcp</type><port>8080</port><txt-record>path=/cart</txt-record></service></service-group>
	END
	ip netns exec "$1" unshare -m bash -c "mount --bind $work/$2 /etc/avahi/services; mkdir -p /run/avahi-daemon; mount --bind $work/$2.run /run/avahi-daemon; exec avahi-daemon -f $work/$2.conf --no-drop-root --no-chroot --no-rlimits" >"$work/$2.log" 2>&1 &
	pids+=($!)
}

for n in $a $b; do space "$n"; done
ip link add v0 netns $a type veth peer name v1 netns $b
ip -n $a address add 10.8.4.1/24 dev v0
ip -n $b address add 10.8.4.2/24 dev v1
ip -n $a link set v0 up
ip -n $b link set v1 up
ip -n $a route add 224.0.0.0/4 dev v0
ip -n $b route add 224.0.0.0/4 dev v1
sleep 2 # link-local addresses

capture mdns "udp port 5353"
responder $a cart
responder $b catalog
sleep 5
ask() { timeout 3 ip netns exec $a dig +tries=1 +time=1 +noedns @224.0.0.251 -p 5353 "$@" >/dev/null 2>&1 || true; }
ask catalog.local A
ask _http._tcp.local PTR
ask nobody.local AAAA
kill "${pids[-1]}"
finish

capture llmnr "port 5355"
ip netns exec $b llmnrd -H catalog -6 >"$work/llmnrd.log" 2>&1 &
pids+=($!)
sleep 1
for q in "-T A catalog" "-T AAAA catalog" "-T A nobody"; do
	timeout 5 ip netns exec $a llmnr-query -c 1 -t 500 -I v0 $q >/dev/null 2>&1 || true
done
finish
