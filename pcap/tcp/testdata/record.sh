#!/bin/sh
# Records losses.pcap and full-windows.pcap anew: as root, with ip, nft, tcpdump and python3. What
# is lost is chosen at random, so the numbers of TestRecorded change with them.
set -eu
cd "$(dirname "$0")"
a=tcp-record-a b=tcp-record-b
trap 'ip netns del $a 2>/dev/null; ip netns del $b 2>/dev/null' EXIT
ip netns add $a && ip netns add $b
ip link add v0 netns $a type veth peer name v1 netns $b
ip -n $a addr add 10.99.0.1/24 dev v0 && ip -n $a link set v0 up
ip -n $b addr add 10.99.0.2/24 dev v1 && ip -n $b link set v1 up

# record FILE SECONDS SIZES: a server that reads each connection after SECONDS, with a small
# buffer if that is not 0, and a client that sends so many bytes on each, then tries port 81.
record() {
	ip netns exec $b tcpdump -U -i v1 -s 80 -w "$1" tcp & dump=$!
	ip netns exec $b python3 - "$2" "$3" <<'PY' & serve=$!
import socket, sys, time
late, sizes = float(sys.argv[1]), sys.argv[2].split()
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if late: s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
s.bind(("10.99.0.2", 8080)); s.listen(5)
for n, _ in enumerate(sizes):
    c, _ = s.accept()
    if n: time.sleep(late)
    while c.recv(4096): pass
    c.sendall(b"done"); c.close()
PY
	sleep 1
	ip netns exec $a python3 - "$3" <<'PY'
import socket, sys
for size in map(int, sys.argv[1].split()):
    c = socket.create_connection(("10.99.0.2", 8080))
    c.sendall(b"x" * size); c.shutdown(socket.SHUT_WR); c.recv(100); c.close()
try: socket.create_connection(("10.99.0.2", 81))
except ConnectionRefusedError: pass
PY
	wait $serve
	sleep 1
	kill $dump && wait $dump || true
}

record full-windows.pcap 1.5 "150000 60000"
lose() { ip netns exec "$1" nft "add table ip t; add chain ip t c { type filter hook $2 priority 0; }; add rule ip t c ip protocol tcp numgen random mod 100 < $3 drop"; }
lose $b input 5
lose $a output 4
record losses.pcap 0 "120000 90000 60000"
