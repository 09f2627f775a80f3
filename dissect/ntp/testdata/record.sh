#!/bin/bash
# record.sh: records the captures of this folder anew, in a network namespace. Needs root,
# tcpdump, ip, chronyd, ntpdig (ntpsec-ntpdig) and ntpdate (ntpsec-ntpdate). Then:
# go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
chmod 755 "$work"
ns=ntp-$$
on() { ip netns exec $ns "$@"; }
inside=(ip netns exec $ns)

serve() { # serve NAME DIRECTIVE...: -x leaves the clock alone
	local name=$1
	shift
	mkdir "$work/$name"
	printf '%s\n' "$@" "pidfile $work/$name/pid" "bindcmdaddress /" "cmdport 0" >"$work/$name/conf"
	ip netns exec $ns chronyd -x -d -u root -f "$work/$name/conf" >"$work/$name/log" 2>&1 &
	pids+=($!)
}

space "$ns"
serve one "bindaddress 127.0.0.1" "local stratum 5" allow
serve two "bindaddress 127.0.0.2" "port 11123" "local stratum 9" allow
sleep 1

capture clients udp port 123 or udp port 11123
on timeout 8 chronyd -x -d -u root -Q "server 127.0.0.1 iburst maxsamples 4" "pidfile $work/pid" "bindcmdaddress /" "cmdport 0" >/dev/null 2>&1 || true
on timeout 8 chronyd -x -d -u root -Q "server 127.0.0.2 port 11123 iburst maxsamples 4" "pidfile $work/pid" "bindcmdaddress /" "cmdport 0" >/dev/null 2>&1 || true
on timeout 5 ntpdig 127.0.0.1 >/dev/null 2>&1 || true
finish

capture peers udp port 123
serve peer "bindaddress 127.0.0.3" "local stratum 9" "peer 127.0.0.1 iburst minpoll 1 maxpoll 1 xleave" "broadcast 2 127.255.255.255"
sleep 7
finish

capture snaplen-cut -s 70 udp port 123
on timeout 5 ntpdig -t 0.3 127.0.0.1 >/dev/null 2>&1 || true
finish
