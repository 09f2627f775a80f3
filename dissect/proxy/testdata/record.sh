#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump, openssl,
# nginx and curl. Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
export no_proxy='*' NO_PROXY='*'
filter="tcp portrange 18480-18481"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=shop.example" \
	-keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
cat >"$work/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/error.log;
events {}
http {
	access_log off; default_type text/plain; ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem;
	client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
	server { listen 127.0.0.1:18480 proxy_protocol; location / { return 200 "for \$proxy_protocol_addr\n"; } }
	server { listen 127.0.0.1:18481 ssl proxy_protocol; location / { return 200 "hello\n"; } }
}
CONF
chmod -R a+rX "$work"
nginx -p "$work" -c "$work/nginx.conf" -e "$work/error.log" &
pids+=($!)
until_ready 18481

say() { # say TEXT...: each in a segment of its own
	exec 3<>/dev/tcp/127.0.0.1/18480
	for part in "$@"; do
		printf "$part" >"$work/part" # printf itself would send line by line
		cat "$work/part" >&3
		sleep 0.1
	done
	timeout 0.5 cat <&3 >/dev/null || true
	exec 3>&-
}

v2='\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x01\xd9\x03\x00\x50'
unknown='\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00'
request='GET /v2 HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n'

capture version1
curl -s --haproxy-protocol "http://127.0.0.1:18480/one" >/dev/null
curl -sk --haproxy-protocol "https://127.0.0.1:18481/two" >/dev/null
say 'PROXY UNKNOWN\r\n' "$request"
finish

capture version2
say "$v2$request"
say "$v2" "$request"
say '\r\n\r\n\x00\r\nQUIT\n\x21' '\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x01\xd9\x03\x00\x50'"$request"
say "$unknown$request"
finish
