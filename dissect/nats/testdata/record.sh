#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump,
# nats-server, openssl and python3. Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
port=24222
tls=24223
route=26222

serve() { # serve NAME PORT [option...]
	local name=$1 port=$2
	shift 2
	nats-server -a 127.0.0.1 -p "$port" -n "$name" "$@" >"$work/$name.log" 2>&1 &
	pids+=($!)
	until_ready "$port"
}

serve one "$port" -js -sd "$work/js"
filter="tcp port $port" capture client
talk <<'CMD'
CONNECT {"verbose":true,"pedantic":true,"name":"cart","lang":"bash","version":"1","headers":true,"no_responders":true}
PING
SUB orders.* 1
sub orders.* workers 2
PUB orders.new 5\r\nhello
PUB orders.new _INBOX.7 0\r\n
HPUB orders.new 29 34\r\nNATS/1.0\r\nNats-Msg-Id: 17\r\n\r\nhello
UNSUB 2 10
UNSUB 1
SUB _INBOX.9 9
PUB nobody.there _INBOX.9 2\r\nhi
PONG
CMD
finish
filter="tcp port $port" capture errors
talk <<'CMD'
CONNECT {"verbose":false,"pedantic":true,"name":"bad","pass":"secret"}
PUB wild.* 1\r\nx
SUB .bad 1
NOSUCH
CMD
finish
filter="tcp port $port" capture jetstream
talk <<'CMD'
CONNECT {"verbose":false,"name":"stream","headers":true,"no_responders":true}
SUB _INBOX.1.* 1
PUB $JS.API.STREAM.CREATE.ORDERS _INBOX.1.1 60\r\n{"name":"ORDERS","subjects":["orders.*"],"storage":"memory"}
PUB $JS.API.STREAM.CREATE.ORDERS _INBOX.1.1 60\r\n{"name":"ORDERS","subjects":["orders.*"],"storage":"memory"}
CMD
talk <<'CMD'
CONNECT {"verbose":false,"name":"stream","headers":true,"no_responders":true}
SUB _INBOX.1.* 1
PUB orders.new _INBOX.1.2 5\r\nhello
PUB $JS.API.CONSUMER.CREATE.ORDERS _INBOX.1.3 78\r\n{"stream_name":"ORDERS","config":{"ack_policy":"explicit","durable_name":"d"}}
CMD
talk <<'CMD'
CONNECT {"verbose":false,"name":"stream","headers":true,"no_responders":true}
SUB _INBOX.1.* 1
PUB $JS.API.STREAM.INFO.ORDERS _INBOX.1.4 0\r\n
PUB $JS.API.STREAM.MSG.GET.ORDERS _INBOX.1.5 9\r\n{"seq":1}
CMD
finish
filter="tcp port $port" capture pipeline
{
	printf 'CONNECT {"verbose":false,"name":"many"}\\r\\nSUB a 1\\r\\n'
	for i in {1..40}; do printf 'PUB a 3\\r\\n%03d\\r\\n' "$i"; done
	printf 'PUB a 20000\\r\\n%020000d\\r\\nPING\n' 7
} | talk
finish
filter="tcp port $port" capture snaplen-cut -s 200
{
	printf 'CONNECT {"verbose":false,"name":"many"}\nSUB a 1\n'
	printf 'PUB a 20000\\r\\n%020000d\n' 7
	printf 'PUB a 3\\r\\nabc\nPING\n'
} | talk
finish

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost -keyout "$work/key" -out "$work/crt" 2>/dev/null
serve secure "$tls" --tls --tlscert "$work/crt" --tlskey "$work/key"
filter="tcp port $tls" capture tls
/usr/bin/python3 - "$tls" <<'PY'
import socket, ssl, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.recv(4096)
c = ssl.create_default_context()
c.check_hostname = False
c.verify_mode = ssl.CERT_NONE
t = c.wrap_socket(s, server_hostname="nats.local")
t.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
t.recv(100)
t.close()
PY
finish

port=24225
serve three "$port" --cluster "nats://127.0.0.1:$route" --cluster_name c
filter="tcp port $route" capture route
serve two 24224 --cluster nats://127.0.0.1:26223 --cluster_name c --routes "nats://127.0.0.1:$route"
until grep -q "Route connection created" "$work/two.log"; do sleep 0.05; done
exec 4<>/dev/tcp/127.0.0.1/24224
printf 'CONNECT {"verbose":false}\r\nSUB far 1\r\nSUB far q 2\r\nPING\r\n' >&4
sleep 0.3
talk <<'CMD'
CONNECT {"verbose":false,"headers":true}
PUB far 5\r\nhello
PUB far back 5\r\nhello
PING
CMD
exec 4>&-
finish
