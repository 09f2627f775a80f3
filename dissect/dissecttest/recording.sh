# recording.sh: what the scripts that record captures have in common. Not run by itself: a script
# sources it first, starts what is to talk, and calls capture and finish around each conversation.
set -eu
cd "$(dirname "$0")"
here=$PWD
work=$(mktemp -d) # files of the script, removed at its end
pids=()           # processes that it started, ended at its end
signal=TERM       # by that one
spaces=()         # network namespaces that it made, removed at its end

# Where and what capture records.
inside=()    # the command to run tcpdump with: ip netns exec …
interface=lo # there
filter=      # what tcpdump is to keep
into=$here   # the folder
name=        # of the last capture

cleanup() {
	for p in "${pids[@]}"; do kill -"$signal" "$p" 2>/dev/null || true; done
	for p in "${pids[@]}"; do timeout 10 tail --pid="$p" -f /dev/null || true; done # they may write yet
	for n in "${spaces[@]}"; do ip netns del "$n" 2>/dev/null || true; done
	rm -rf "$work"
}
trap cleanup EXIT

space() { # space NAME: makes a network namespace
	ip netns add "$1"
	spaces+=("$1")
	ip -n "$1" link set lo up
}

capture() { # capture NAME [tcpdump option or filter...]
	name=$1
	shift
	rm -f "$work/tcpdump"
	"${inside[@]}" tcpdump -Z root -i "$interface" -w "$into/$name.pcap" --immediate-mode -B 16384 -s 0 "$@" $filter 2>"$work/tcpdump" &
	dump=$!
	pids+=("$dump")
	until grep -qs "listening on" "$work/tcpdump"; do
		kill -0 "$dump" 2>/dev/null || { cat "$work/tcpdump" >&2; exit 1; }
		sleep 0.02
	done
}

finish() {
	sleep 0.5 # the last packets
	kill -INT "$dump" 2>/dev/null || true
	wait "$dump" || true
}

until_ready() { # until_ready PORT
	for _ in $(seq 200); do
		(: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
		sleep 0.05
	done
	echo "nothing listens on port $1" >&2
	exit 1
}

# talk: sends each line of the input, with its escapes, to $port, and waits a moment for a
# greeting and for the answers.
talk() {
	exec 3<>"/dev/tcp/127.0.0.1/$port"
	timeout 0.2 cat <&3 >/dev/null || true
	while read -r line; do
		printf "$line\r\n" >&3
		timeout 0.1 cat <&3 >/dev/null || true
	done
	exec 3>&-
}
