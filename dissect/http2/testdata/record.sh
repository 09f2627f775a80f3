#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump and
# Debian's nginx, curl, nghttp2-client and nghttp2-server. Then: go test . -update, and read
# what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
export no_proxy='*' NO_PROXY='*'

quiet() { timeout 20 "$@" >/dev/null 2>&1 || true; }

mkdir -p "$work/www" "$work/logs"
seq 1 400 >"$work/www/numbers.txt"
seq 1 6000 >"$work/www/many.txt"
echo 'p { color: teal }' >"$work/www/style.css"
echo '<link rel=stylesheet href=/style.css>' >"$work/www/index.html"
cat >"$work/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/logs/error.log;
events {}
http {
	access_log off; gzip on; gzip_types text/plain; gzip_min_length 100; default_type text/plain;
	client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
	server { listen 127.0.0.1:18180 http2; root $work/www; location /teapot { return 418 "short and stout\n"; }
		location /refuse { client_max_body_size 1k; proxy_pass http://127.0.0.1:9; } }
}
CONF
chmod -R a+rX "$work"
nginx -p "$work" -c "$work/nginx.conf" -e "$work/logs/error.log" &
pids+=($!)
nghttpd --no-tls -a 127.0.0.1 -d "$work/www" --push=/index.html=/style.css -b 40 --trailer 'x-checksum: 17' --echo-upload 18181 &
pids+=($!)
nghttpd --no-tls -a 127.0.0.1 -d "$work/www" --max-concurrent-streams=3 18182 &
pids+=($!)
for port in 18180 18181 18182; do until_ready "$port"; done
base=http://127.0.0.1
filter="tcp port 18180" capture nginx-curl
for path in numbers.txt 'missing?x=1&y=%20' teapot; do
	quiet curl -s --http2-prior-knowledge --compressed "$base:18180/$path"
done
quiet curl -s --http2-prior-knowledge -I "$base:18180/numbers.txt"
quiet curl -s --http2-prior-knowledge -r 10-19 --cookie 'a=1; b=2' "$base:18180/numbers.txt"
quiet curl -s --http2-prior-knowledge -X DELETE "$base:18180/numbers.txt"
head -c 3000 /dev/zero | tr '\0' z | quiet curl -s --http2-prior-knowledge --data-binary @- "$base:18180/refuse"
finish
filter="tcp port 18181" capture nghttp-push-padding
quiet nghttp -a -b 20 "$base:18181/index.html"
quiet nghttp -b 7 -H 'x-a: 1' --trailer 'x-end: here' -d "$work/www/numbers.txt" "$base:18181/upload" 
quiet nghttp --no-dep -p 3 -w 10 "$base:18181/many.txt"
finish
filter="tcp port 18181" capture continuation
quiet nghttp --continuation -H "x-large: $(head -c 3000 /dev/zero | tr '\0' '*')" -H "x-other: $(head -c 30000 /dev/zero | tr '\0' 'e')" "$base:18181/style.css"
finish
filter="tcp port 18181" capture multiplexed
quiet h2load -n 60 -c 2 -m 10 --no-tls-proto=h2c "$base:18181/numbers.txt" "$base:18181/missing" "$base:18181/style.css"
finish
filter="tcp port 18181" capture small-table
quiet h2load -n 12 -c 1 -m 3 --header-table-size=0 --encoder-header-table-size=128 -H 'x-one: 1' "$base:18181/style.css"
finish
filter="tcp port 18182" capture refused
quiet h2load -n 12 -c 1 -m 12 "$base:18182/style.css"
finish

# The capture begins and ends while connections are in use.
h2load -D 2 -c 2 -m 2 "$base:18181/style.css" >/dev/null 2>&1 &
load=$!
sleep 0.3
filter="tcp port 18181" capture middle -c 100
wait "$dump" || true
wait "$load"
