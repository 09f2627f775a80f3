#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump, openssl,
# ngtcp2-client and ngtcp2-server. Then: go test . -update, and read what changed. Those named
# quic-go-… were made otherwise: see README.
. "$(dirname "$0")/../../dissecttest/recording.sh"
filter="udp portrange 18460-18469"

server() { # server PORT [option...]
	local port=$1
	shift
	gtlsserver -q -d "$work/www" "$@" 127.0.0.1 "$port" "$work/key.pem" "$work/cert.pem" >/dev/null 2>&1 &
	pids+=($!)
	until grep -qi ":$(printf %04X "$port") " /proc/net/udp; do sleep 0.05; done
}

client() { # client PORT [option...]
	local port=$1
	shift
	timeout 5 gtlsclient -q --exit-on-all-streams-close --no-quic-dump --no-http-dump "$@" 127.0.0.1 "$port" "https://127.0.0.1/hello" >/dev/null 2>&1 || true
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=quic.example" \
	-keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
mkdir "$work/www"
echo hello >"$work/www/hello"
server 18460
server 18461 -V
server 18462 --groups=-GROUP-ALL:+GROUP-SECP521R1

capture ngtcp2
client 18460 --session-file="$work/session" --tp-file="$work/tp"
client 18460 --session-file="$work/session" --tp-file="$work/tp"
client 18460 --version=0xff00001d
finish

capture ngtcp2-retry
client 18461
client 18462
finish

capture ngtcp2-loss
for i in 1 2 3; do client 18460 --tx-loss=0.3 --rx-loss=0.3; done
finish

capture snaplen-cut -s 300
client 18460
finish
