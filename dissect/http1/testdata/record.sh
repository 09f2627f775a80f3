#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump, nginx,
# python3, curl, wrk and go. Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
export no_proxy='*' NO_PROXY='*'

quiet() { "$@" >/dev/null; }

# say PORT TEXT: sends bytes as they are, and waits until the server closes or says no more.
say() {
	exec 3<>"/dev/tcp/127.0.0.1/$1"
	printf "$2" >&3
	timeout 0.5 cat <&3 >/dev/null || true
	exec 3>&-
}

go build -o "$work/server" ./server
"$work/server" 127.0.0.1:18081 &
pids+=($!)
mkdir -p "$work/www" "$work/logs"
seq 1 400 >"$work/www/numbers.txt"
cat >"$work/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/logs/error.log;
events {}
http {
	access_log off; gzip on; gzip_types text/plain; gzip_min_length 100; default_type text/plain;
	client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
	server { listen 127.0.0.1:18080; root $work/www; location /teapot { return 418 "short and stout\n"; } }
}
CONF
chmod -R a+rX "$work"
nginx -p "$work" -c "$work/nginx.conf" -e "$work/logs/error.log" &
pids+=($!)
(cd "$work/www" && exec python3 -m http.server --bind 127.0.0.1 18082 >/dev/null 2>&1) &
pids+=($!)
for port in 18080 18081 18082; do until_ready "$port"; done
base=http://127.0.0.1
filter="tcp port 18080" capture nginx-curl
quiet curl -s --compressed "$base:18080/numbers.txt" "$base:18080/missing?x=1&y=%20" "$base:18080/teapot"
quiet curl -s -I "$base:18080/numbers.txt"
quiet curl -s -r 10-19 "$base:18080/numbers.txt"
quiet curl -s -X DELETE "$base:18080/numbers.txt"
quiet curl -s -z "2037-01-01" "$base:18080/numbers.txt"
finish
filter="tcp port 18081" capture codings
quiet curl -s "$base:18081/"{plain,chunked,gzip,deflate,br,zstd,empty,cookies,hints}
quiet curl -s --cookie 'a=1; b=2' "$base:18081/cookies"
finish
filter="tcp port 18081" capture uploads
quiet curl -s -d 'name=Jack&work=all' "$base:18081/echo"
head -c 3000 /dev/zero | tr '\0' x | quiet curl -s -H 'Expect: 100-continue' --data-binary @- "$base:18081/echo"
head -c 3000 /dev/zero | tr '\0' y | quiet curl -s -H 'Transfer-Encoding: chunked' -H 'Expect:' --data-binary @- "$base:18081/echo"
head -c 3000 /dev/zero | tr '\0' z | quiet curl -s -H 'Expect: 100-continue' --data-binary @- "$base:18081/refuse"
finish
filter="tcp port 18082" capture python-1.0
quiet curl -s "$base:18082/numbers.txt" "$base:18082/missing"
quiet curl -s -0 "$base:18082/"
finish
filter="tcp port 18081" capture until-close-bare-lf
say 18081 'GET /until-close HTTP/1.0\n\n'
finish
filter="tcp port 18080" capture pipelining
say 18080 'GET /numbers.txt HTTP/1.1\r\nHost: a\r\n\r\nHEAD /numbers.txt HTTP/1.1\r\nHost: b\r\n\r\nGET /missing HTTP/1.1\r\nHost: c\r\n\r\nGET /teapot HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n'
finish
filter="tcp port 18081" capture upgrade
say 18081 'GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\nhello'
finish
filter="tcp port 18080" capture cruft
say 18080 'GET /teapot HTTP/1.1\r\nHost: a\r\n\r\nthis is no request\r\n\r\n'
finish
filter="tcp port 18081" capture snaplen-cut -s 128
quiet curl -s "$base:18081/plain" "$base:18081/chunked" "$base:18081/empty" "$base:18081/cookies"
finish

# The capture begins and ends while connections are in use.
wrk -t 1 -c 3 -d 1s "$base:18081/plain" >/dev/null &
load=$!
filter="tcp port 18081" capture middle -c 60
wait "$dump" || true
wait "$load"
