#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump, dig,
# dnsperf and go. Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
port=10053
filter="port $port"

ask() { dig @127.0.0.1 -p "$port" +tries=1 +time=1 "$@" >/dev/null || true; }

go build -o "$work/server" ./server
"$work/server" "127.0.0.1:$port" &
pids+=($!)
until dig @127.0.0.1 -p "$port" +tries=1 +time=1 example MX >/dev/null 2>&1; do sleep 0.05; done

capture udp
ask +noedns www.example A
ask +noedns HOST.example AAAA
ask example MX
ask example TXT +dnssec
ask _http.example SRV
ask svc.example HTTPS
ask missing.example A
ask broken.example A
ask . NS
ask -x 192.0.2.1
finish

capture retransmit
ask +tries=3 +time=1 lost.example A
finish

capture truncated-then-tcp
ask +noedns large.example A
finish

capture tcp
ask +tcp +keepopen host.example A +tcp example MX +tcp missing.example A
ask +tcp example AXFR
finish

printf 'host.example A\nwww.example A\nmissing.example A\nexample MX\n' >"$work/queries"
capture many-pending
dnsperf -s 127.0.0.1 -p "$port" -d "$work/queries" -n 25 -c 1 -q 50 >/dev/null
finish

capture snaplen-cut -s 90
ask +noedns www.example A
ask example MX
finish
