#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump,
# openssl, vsftpd, lftp and python3. Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
port=20021
filter="tcp port $port"

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
until_ready "$port"
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
