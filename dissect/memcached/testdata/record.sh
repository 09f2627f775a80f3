#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump,
# memcached and python3-pymemcache; the binary protocol is spoken by libmemcached-tools. Then:
# go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
port=21211
filter="port $port"

memcached -u nobody -l 127.0.0.1 -p "$port" -U "$port" -m 64 -I 1m &
pids+=($!)
until_ready "$port"

capture text
talk <<'CMD'
set session:1 0 60 7\r\na value
get session:1
gets session:1 missing
get missing
add session:1 0 0 1\r\nx
append session:1 0 0 5\r\n more
prepend session:1 0 0 2\r\n>>
cas session:1 0 0 1 1\r\ny
set counter 0 0 2\r\n10
incr counter 5
decr counter 100
incr missing 1
touch session:1 100
gat 100 session:1 counter
delete session:1
delete session:1
stats settings
stats reset
version
verbosity 0
flush_all
quit
CMD
finish

capture errors
talk <<'CMD'
get a
nosuch command
get
get aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
set a 0 0 3\r\ntoo long
get a
set n 0 0 1\r\nx
incr n 1
set big 0 0 2000000
CMD
finish

capture meta
talk <<'CMD'
ms a 5 T60 F7 c\r\nhello
mg a v t f s k O77
mg a
mg missing v
ma counter N0 J5 v
ma counter D3 v
mg a v k q\r\nmg missing v k q\r\nmg counter v k q\r\nmn
ms b 1 q\r\nx\r\nmd a q\r\nmd missing q\r\nmn
me b
md b
mn
lru_crawler metadump all
CMD
finish

capture pipeline
talk <<'CMD'
set a 0 0 1 noreply\r\nx\r\nset b 0 0 1\r\ny\r\nget a b\r\nget missing\r\ndelete a noreply\r\nget a\r\nincr b 1\r\nversion
CMD
/usr/bin/python3 - "$port" <<'PY'
import sys
from pymemcache.client.base import Client
c = Client(("127.0.0.1", int(sys.argv[1])), default_noreply=False)
c.set_many({f"key:{i}": "v" * i for i in range(20)})
c.get_many([f"key:{i}" for i in range(25)])
c.delete_many(["key:1", "key:2"])
c.close()
PY
finish

head -c 20000 /dev/zero | tr '\0' x >"$work/large"
capture binary
memccp --binary --servers="127.0.0.1:$port" --set "$work/large"
memccat --binary --servers="127.0.0.1:$port" large missing >/dev/null || true
memctouch --binary --servers="127.0.0.1:$port" --expire=60 large
memcrm --binary --servers="127.0.0.1:$port" large missing || true
memcstat --binary --servers="127.0.0.1:$port" >/dev/null
memcflush --binary --servers="127.0.0.1:$port"
finish

capture snaplen-cut -s 200
memccp --servers="127.0.0.1:$port" --set "$work/large"
memccat --servers="127.0.0.1:$port" large >/dev/null
talk <<'CMD'
set a 0 0 3\r\nabc
get large
get a
CMD
finish

capture udp
/usr/bin/python3 - "$port" <<'PY'
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.3)
s.connect(("127.0.0.1", int(sys.argv[1])))
def ask(id, what):
    s.send(struct.pack(">4H", id, 0, 1, 0) + what)
    try:
        while True: s.recv(2000)
    except TimeoutError: pass
ask(1, b"set a 0 0 1\r\nx\r\n")
ask(2, b"get a\r\n")
ask(3, b"get large\r\n")
ask(4, b"nosuch\r\n")
ask(5, b"set b 0 0 1 noreply\r\nx\r\nset c 0 0 1 noreply\r\ny\r\n")
ask(6, b"\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09" + b"\x00" * 8 + b"a")
PY
finish
