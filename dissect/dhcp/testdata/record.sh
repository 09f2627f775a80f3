#!/bin/bash
# record.sh: records the captures of this folder anew, between network namespaces. Needs root,
# tcpdump, ip, dhcpd (isc-dhcp-server), udhcpc and dhclient (isc-dhcp-client). Then: go test
# . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
client=dhcp-c$$ server=dhcp-s$$
inside=(ip netns exec $client)
interface=c0

lease() { # lease [option...]: once, with the address released in the end
	timeout 6 ip netns exec $client udhcpc -i c0 -f -n -t 2 -T 1 -s "$work/script" "$@" >/dev/null 2>&1 || true
}

for n in $client $server; do space "$n"; done
ip link add c0 netns $client address 02:42:0a:08:01:05 type veth peer name s0 address 02:42:0a:08:01:01 netns $server
ip -n $server address add 10.8.1.1/24 dev s0
ip -n $server link set s0 up
ip -n $client link set c0 up
printf '#!/bin/sh\nif [ "$1" = bound ]; then ip address flush dev c0; ip address add "$ip/$mask" dev c0; fi\n' >"$work/script"
chmod 755 "$work" "$work/script"
cat >"$work/conf" <<-END
	authoritative;
	default-lease-time 600;
	option domain-name "shop.example";
	subnet 10.8.1.0 netmask 255.255.255.0 { range 10.8.1.100 10.8.1.110; option routers 10.8.1.1; }
END
touch "$work/leases"
ip netns exec $server dhcpd -4 -f -q -cf "$work/conf" -lf "$work/leases" -pf "$work/pid" --no-pid s0 >"$work/log" 2>&1 &
pids+=($!)
until grep -q :0043 <(ip netns exec $server cat /proc/net/udp); do sleep 0.1; done

capture lease udp port 67
lease -q -R -x hostname:web-1
lease -q -R -r 10.9.9.9 -x hostname:web-2
finish

isc() { # isc [option...]: the other client, with the lease of another network
	timeout 8 ip netns exec $client dhclient -4 -1 -sf "$work/script" -lf "$work/old" -pf "$work/pid" "$@" c0 >/dev/null 2>&1 || true
}
printf 'lease {\n  interface "c0";\n  fixed-address 192.0.2.7;\n  option subnet-mask 255.255.255.0;\n  option dhcp-server-identifier 10.8.1.1;\n  renew 0 2037/1/1 00:00:00;\n  rebind 0 2037/1/1 00:00:00;\n  expire 0 2037/1/1 00:00:00;\n}\n' >"$work/old"
capture nak-release udp port 67
isc
ip -n $client address add 10.8.1.100/24 dev c0 2>/dev/null || true
isc -r
finish

capture snaplen-cut -s 120 udp port 67
lease -q -R -x hostname:web-1
finish
