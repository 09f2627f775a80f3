#!/bin/bash
# record.sh: records freediameter.pcap anew, on loopback: two peers that meet, watch each other
# and part. Needs root, tcpdump, openssl, freeDiameterd and freediameter-extensions. Then:
# go test . -update, and read what changed. The other captures were made otherwise: see README.
. "$(dirname "$0")/../../dissecttest/recording.sh"

openssl dhparam -out "$work/dh.pem" 1024 2>/dev/null
peer() { # peer NAME PORT [ConnectPeer line]
	openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=$1.shop.example" -keyout "$work/$1.key" -out "$work/$1.pem" 2>/dev/null
	cat >"$work/$1.conf" <<-END
		Identity = "$1.shop.example";
		Realm = "shop.example";
		Port = $2;
		SecPort = $(($2 + 1));
		No_SCTP;
		No_IPv6;
		ListenOn = "127.0.0.1";
		TwTimer = 6;
		TcTimer = 30;
		TLS_Cred = "$work/$1.pem", "$work/$1.key";
		TLS_CA = "$work/$1.pem";
		TLS_DH_File = "$work/dh.pem";
		LoadExtension = "/usr/lib/freeDiameter/dict_nasreq.fdx";
		LoadExtension = "/usr/lib/freeDiameter/acl_wl.fdx" : "$work/acl";
		${3-}
	END
	timeout 60 freeDiameterd -c "$work/$1.conf" >"$work/$1.log" 2>&1 &
	pids+=($!)
}
echo 'ALLOW_IPSEC *.shop.example' >"$work/acl"

capture freediameter tcp port 13878
peer a 13878
for i in $(seq 100); do
	grep -q ":$(printf %04X 13878) .* 0A " /proc/net/tcp && break
	sleep 0.1
done
grep -q ":$(printf %04X 13878) .* 0A " /proc/net/tcp || { cat "$work/a.log" >&2; exit 1; }
peer b 13888 'ConnectPeer = "a.shop.example" { No_TLS; No_SCTP; ConnectTo = "127.0.0.1"; Port = 13878; };'
sleep 20 # two rounds of the watchdog
kill "${pids[2]}" || { cat "$work/b.log" >&2; exit 1; }
sleep 3
finish
