#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump, and
# redis-server with its tools. Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
port=16379
replica=16380
filter="tcp port $port"

cli() { timeout 5 redis-cli -p "$port" "$@" >/dev/null; }

# talk: sends each line of the input as a command, and waits a moment for its answer.
talk() {
	exec 3<>"/dev/tcp/127.0.0.1/$port"
	local words w
	while read -r line; do
		eval "words=($line)"
		printf '*%d\r\n' "${#words[@]}" >"$work/command"
		for w in "${words[@]}"; do printf '$%d\r\n%s\r\n' "${#w}" "$w" >>"$work/command"; done
		cat "$work/command" >&3
		timeout 0.1 cat <&3 >/dev/null || true
	done
	exec 3>&-
}

# say TEXT: sends bytes as they are, and waits until the server says no more.
say() {
	exec 3<>"/dev/tcp/127.0.0.1/$port"
	printf "$1" >&3
	timeout 0.5 cat <&3 >/dev/null || true
	exec 3>&-
}

serve() { # serve PORT [option...]
	local port=$1
	shift
	redis-server --bind 127.0.0.1 --port "$port" --dir "$work" --save '' "$@" >"$work/server.$port" &
	pids+=($!)
	until redis-cli -p "$port" PING 2>/dev/null | grep -q PONG; do sleep 0.05; done
}

serve "$port" --dbfilename one.rdb --repl-diskless-sync no --enable-debug-command local

capture commands
talk <<'CMD'
SET session:1 "a value"
GET session:1
GET missing
DEL session:1
RPUSH list a b c
LRANGE list 0 -1
INCR list
NOSUCH x
ZADD z 1.5 m 2 n
ZRANGE z 0 -1 WITHSCORES
XADD stream "*" field value
XREAD COUNT 1 STREAMS stream 0
EVAL "return {1,{2,'x'},redis.error_reply('E no')}" 1 thekey
MULTI
INCR counter
INCR list
EXEC
OBJECT ENCODING list
CMD
finish

capture resp3
talk <<'CMD'
HELLO 3
HSET h a 1 b 2
HGETALL h
SADD s x y
SMEMBERS s
ZSCORE z m
GET missing
DEBUG PROTOCOL attrib
DEBUG PROTOCOL double
DEBUG PROTOCOL verbatim
DEBUG PROTOCOL bignum
DEBUG PROTOCOL true
DEBUG PROTOCOL push
NOSUCH
CMD
finish

capture inline
say 'PING\r\nset "a b" '"'c d'"'\r\nGET "a b"\nnosuch thing\r\nQUIT\r\n'
finish

capture pipeline
say '*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$4\r\nLLEN\r\n$1\r\nk\r\n'
timeout 5 redis-benchmark -p "$port" -n 60 -c 2 -P 10 -t set,get -q >/dev/null
finish

capture replies-off
say '*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\nPING\r\nCLIENT REPLY ON\r\nPING\r\nCLIENT REPLY SKIP\r\nPING\r\nGET k\r\n'
finish

capture pubsub
(timeout 1 redis-cli -p "$port" SUBSCRIBE news sport >/dev/null || true) &
(timeout 1 redis-cli -3 -p "$port" PSUBSCRIBE 'n*' >/dev/null || true) &
sleep 0.3
cli PUBLISH news "first item"
cli PUBLISH sport "2:1"
sleep 1
finish
say '*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n'

capture tracking
say '*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nw\r\n'
finish

capture monitor
(timeout 1 redis-cli -p "$port" MONITOR >/dev/null || true) &
sleep 0.3
cli SET watched 1
sleep 1
finish

capture auth
cli ACL SETUSER reader on '>secret' '+get' '~*'
cli --user reader --pass secret --no-auth-warning GET k
cli --user reader --pass secret --no-auth-warning SET k v
cli --user reader --pass wrong --no-auth-warning GET k
cli -3 --user reader --pass secret --no-auth-warning GET k
finish

capture large
head -c 30000 /dev/zero | tr '\0' x | timeout 5 redis-cli -p "$port" -x SET large >/dev/null
cli GET large
finish

capture snaplen-cut -s 300
cli GET large
cli GET k
cli KEYS '*'
cli GET k
finish

capture replication
serve "$replica" --dbfilename two.rdb --replicaof "127.0.0.1 $port" --repl-ping-replica-period 1
until redis-cli -p "$replica" INFO replication | grep -q 'master_link_status:up'; do sleep 0.1; done
cli SET after sync
sleep 1.2
finish

# The capture begins and ends while connections are in use.
timeout 20 redis-benchmark -p "$port" -n 200000 -c 3 -t set,get -q >/dev/null &
load=$!
sleep 0.3
capture middle -c 80
wait "$dump" || true
kill "$load" 2>/dev/null || true
wait "$load" || true
