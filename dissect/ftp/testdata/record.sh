#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump,
# openssl, vsftpd, lftp and python3. Then: go test . -update, and read what changed.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
pids=()
cleanup() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
	rm -rf "$work"
}
trap cleanup EXIT
port=20021

capture() { # capture NAME [tcpdump option...]
	local name=$1
	shift
	rm -f "$work/tcpdump"
	tcpdump -Z root -i lo -w "$name.pcap" --immediate-mode -B 16384 -s 0 "$@" tcp port "$port" 2>"$work/tcpdump" &
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

# talk: sends each line of the input, with its escapes, and waits a moment for the answer.
talk() {
	exec 3<>"/dev/tcp/127.0.0.1/$port"
	timeout 0.2 cat <&3 >/dev/null || true
	while read -r line; do
		printf "$line\r\n" >&3
		timeout 0.1 cat <&3 >/dev/null || true
	done
	exec 3>&-
}

openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout "$work/key" -out "$work/crt" 2>/dev/null
chmod 755 "$work"
mkdir -p "$work/root/in" "$work/empty"
chmod 777 "$work/root/in"
echo hello >"$work/root/hello.txt"
head -c 50000 /dev/zero >"$work/root/zeros"
cat >"$work/conf" <<CONF
listen=YES
listen_address=127.0.0.1
listen_port=$port
background=NO
anonymous_enable=YES
anon_root=$work/root
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
write_enable=YES
local_enable=NO
secure_chroot_dir=$work/empty
ssl_enable=YES
allow_anon_ssl=YES
force_local_data_ssl=NO
force_local_logins_ssl=NO
force_anon_logins_ssl=NO
require_ssl_reuse=NO
rsa_cert_file=$work/crt
rsa_private_key_file=$work/key
CONF
vsftpd "$work/conf" &
pids+=($!)
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.05; done
sleep 0.3

files() { # files PASSIVE(True/False)
	/usr/bin/python3 - "$port" "$1" <<'PY'
import ftplib, io, sys
f = ftplib.FTP()
f.connect("127.0.0.1", int(sys.argv[1]))
f.login("anonymous", "me@example.com")
f.set_pasv(sys.argv[2] == "True")
f.dir(lambda line: None)
f.retrbinary("RETR hello.txt", lambda b: None)
f.cwd("in")
f.storbinary("STOR new.txt", io.BytesIO(b"new"))
f.rename("new.txt", "old.txt")
for what in (lambda: f.size("missing"), lambda: f.retrbinary("RETR missing", lambda b: None)):
    try: what()
    except ftplib.error_perm: pass
f.delete("old.txt")
f.quit()
PY
}

capture passive
files True
finish

capture active
files False
finish

capture commands
talk <<'CMD'
USER anonymous
pass secret
SYST
FEAT
STAT
HELP
NOSUCH thing
TYPE I
REST 10
PWD
MKD in/a
RMD in/a
\xff\xf4\xff\xf2ABOR
SITE HELP
NOOP\r\nPWD
QUIT
CMD
finish

capture refused
talk <<'CMD'
LIST
USER root
USER anonymous
PASS x
STOR forbidden
CWD missing
QUIT
CMD
finish

capture tls
timeout 10 lftp -e "set ssl:verify-certificate no; set ftp:ssl-force yes; ls; bye" -u anonymous,x "ftp://127.0.0.1:$port" >/dev/null || true
finish

capture snaplen-cut -s 100
files True
finish
