#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump, openssl,
# nginx, curl and go. Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
export no_proxy='*' NO_PROXY='*'
filter="tcp portrange 18440-18449"

server() { # server PORT [s_server option...]
	local port=$1
	shift
	openssl s_server -accept "127.0.0.1:$port" -cert "$work/cert.pem" -key "$work/key.pem" -quiet "$@" </dev/null >/dev/null 2>&1 &
	pids+=($!)
	until_ready "$port"
}

client() { # client PORT [s_client option...]
	local port=$1
	shift
	(sleep 0.2; echo Q) | timeout 5 openssl s_client -connect "127.0.0.1:$port" "$@" >/dev/null 2>&1 || true
}

for n in cert other; do
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/O=Shop/CN=$n.example" \
		-addext "subjectAltName=DNS:shop.example,DNS:*.shop.example,IP:127.0.0.1" -keyout "$work/$n.key" -out "$work/$n.crt" 2>/dev/null
done
mv "$work/cert.key" "$work/key.pem"
mv "$work/cert.crt" "$work/cert.pem"
go build -o "$work/client" ./client

server 18441 -alpn h2,http/1.1
server 18442 -groups P-384 -tls1_3
server 18443 -tls1_2 -Verify 1 -CAfile "$work/cert.pem" -verify_return_error
server 18444 -tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256
cat >"$work/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/error.log;
events {}
http {
	access_log off; default_type text/plain; ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem;
	client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
	server { listen 127.0.0.1:18445 ssl http2; location / { return 200 "hello\n"; } }
}
CONF
chmod -R a+rX "$work"
nginx -p "$work" -c "$work/nginx.conf" -e "$work/error.log" &
pids+=($!)
until_ready 18445

capture tls13
client 18441 -servername shop.example -alpn h2,http/1.1 -sess_out "$work/s13"
client 18441 -servername shop.example -alpn h2 -sess_in "$work/s13"
client 18441 -noservername
client 18442 -servername retry.example
finish

capture tls12
client 18441 -tls1_2 -servername shop.example -alpn http/1.1 -sess_out "$work/s12"
client 18441 -tls1_2 -servername shop.example -sess_in "$work/s12"
client 18441 -tls1_2 -no_ticket -sess_out "$work/s12id"
client 18441 -tls1_2 -no_ticket -sess_in "$work/s12id"
client 18443 -servername mutual.example -cert "$work/cert.pem" -key "$work/key.pem"
finish

capture errors
client 18444 -tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384 -servername no-suite.example
client 18444 -tls1_3 -servername no-version.example
client 18443 -servername no-certificate.example
client 18443 -servername wrong-certificate.example -cert "$work/other.crt" -key "$work/other.key"
client 18441 -tls1_2 -CAfile "$work/other.crt" -verify_return_error -servername unknown-ca.example
exec 3<>/dev/tcp/127.0.0.1/18441
printf 'GET / HTTP/1.0\r\n\r\n' >&3
timeout 0.5 cat <&3 >/dev/null || true
exec 3>&-
finish

capture nginx-curl
curl -sk --resolve shop.example:18445:127.0.0.1 https://shop.example:18445/ >/dev/null
curl -sk --http1.1 --tls-max 1.2 "https://127.0.0.1:18445/" >/dev/null
finish

capture split
for mode in plain segments records; do "$work/client" $mode 127.0.0.1:18441; done
"$work/client" sslv2 127.0.0.1:18441
finish

capture snaplen-cut -s 200
client 18441 -tls1_2 -servername shop.example
finish

# The capture begins while the connection is in use.
"$work/client" long 127.0.0.1:18445 &
load=$!
sleep 0.4
capture middle -c 12
wait "$dump" || true
wait "$load"
