#!/bin/bash
# record-keys.sh: records the captures of this folder that bring their secrets along (*.pcapng) anew,
# on loopback. Needs root, tcpdump, openssl, nginx, curl, and editcap (Debian: wireshark-common).
# Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
export no_proxy='*' NO_PROXY='*'
filter="tcp port 18450"
into=$work

keep() { # keep: ends the capture, and puts its secrets into it
	finish
	editcap --inject-secrets "tls,$work/keys" -F pcapng "$work/$name.pcap" "$name.pcapng"
	rm "$work/keys"
}

get() { # get [curl option...]
	SSLKEYLOGFILE=$work/keys timeout 5 curl -sk "$@" >/dev/null
}

# ask HOST [s_client option...]: two requests in one connection, and a KeyUpdate between them
# where there is such a thing.
ask() {
	local host=$1
	shift
	(
		sleep 0.2
		printf 'GET /%s/1 HTTP/1.1\nHost: shop.example\n\n' "$host"
		sleep 0.2
		[[ $host == *update* ]] && echo K && sleep 0.2
		printf 'GET /%s/2 HTTP/1.1\nHost: shop.example\n\n' "$host"
		sleep 0.2
		echo Q
	) | timeout 5 openssl s_client -crlf -connect 127.0.0.1:18450 -servername shop.example -keylogfile "$work/keys" "$@" >/dev/null 2>&1 || true
}

openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=shop.example" -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
head -c 20000 /dev/zero | tr '\0' 'x' >"$work/large"
cat >"$work/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/error.log;
events {}
http {
	access_log off; default_type text/plain; ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem;
	ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers ALL:@SECLEVEL=0; ssl_early_data on; ssl_session_cache shared:s:1m;
	client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
	client_max_body_size 1m;
	server { listen 127.0.0.1:18450 ssl http2; location / { return 200 "hello\n"; } location /large { root $work; } }
}
CONF
chmod -R a+rX "$work"
nginx -p "$work" -c "$work/nginx.conf" -e "$work/error.log" &
pids+=($!)
until_ready 18450
base=https://127.0.0.1:18450

capture keys13
get --http1.1 "$base/one" "$base/two"
get --http2 "$base/three" "$base/large"
get --http1.1 --data-binary "@$work/large" "$base/upload"
get --http1.1 --tls13-ciphers TLS_CHACHA20_POLY1305_SHA256 "$base/chacha"
get --http2 --tls13-ciphers TLS_AES_128_GCM_SHA256 "$base/aes128"
ask update -tls1_3 -sess_out "$work/s13"
ask resumed -tls1_3 -sess_in "$work/s13"
printf 'GET /early HTTP/1.1\r\nHost: shop.example\r\n\r\n' >"$work/early"
ask behind-early -tls1_3 -sess_in "$work/s13" -early_data "$work/early"
ask retry -tls1_3 -groups P-521:X25519
keep

capture keys12
for c in ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305 AES128-SHA AES256-SHA256 ECDHE-RSA-AES256-SHA384; do
	get --http1.1 --tls-max 1.2 --ciphers $c "$base/$c" "$base/$c/again"
done
get --http2 --tls-max 1.2 "$base/three" "$base/large"
ask ticket -tls1_2 -sess_out "$work/s12"
ask resumed -tls1_2 -sess_in "$work/s12"
ask mac-then-encrypt -tls1_2 -cipher AES128-SHA -no_etm
keep

capture keys-old
ask tls11 -tls1_1 -cipher AES128-SHA:@SECLEVEL=0
ask tls10 -tls1 -cipher AES256-SHA:@SECLEVEL=0 -no_etm
ask tls10-then-mac -tls1 -cipher AES256-SHA:@SECLEVEL=0
keep
