#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump and
# sip-tester. Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
port=25060
caller=25070
filter="port $port"

# converse CALLS CALLER CALLEE [option...]: lets two sides of sipp speak.
converse() {
	local calls=$1 from=$2 to=$3
	shift 3
	(cd "$work" && exec timeout 20 sipp $to -i 127.0.0.1 -p "$port" -m "$calls" -nostdin "$@" >/dev/null 2>&1) &
	local callee=$!
	pids+=("$callee")
	sleep 0.4
	(cd "$work" && timeout 20 sipp $from -i 127.0.0.1 -p "$caller" -m "$calls" -r 5 -d 200 -nostdin "$@" "127.0.0.1:$port" >/dev/null 2>&1) || true
	wait "$callee" || true
}

cat >"$work/register.xml" <<'XML'
<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="register">
<send><![CDATA[
REGISTER sip:[remote_ip] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:alice@[remote_ip]>;tag=[call_number]
To: <sip:alice@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 REGISTER
Contact: <sip:alice@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="401"/>
<send><![CDATA[
REGISTER sip:[remote_ip] SIP/2.0
v: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
f: <sip:alice@[remote_ip]>;tag=[call_number]
t: <sip:alice@[remote_ip]>
i: [call_id]
CSeq: 2 REGISTER
Authorization: Digest username="alice", realm="example", nonce="1", uri="sip:[remote_ip]", response="0123456789abcdef0123456789abcdef"
m: <sip:alice@[local_ip]:[local_port]>
l: 0

]]></send>
<recv response="200"/>
<send><![CDATA[
OPTIONS sip:bob@[remote_ip] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:alice@[remote_ip]>;tag=[call_number]
To: <sip:bob@[remote_ip]>
Call-ID: [call_id]
CSeq: 3 OPTIONS
Content-Length: 0

]]></send>
<recv response="404"/>
</scenario>
XML
cat >"$work/registrar.xml" <<'XML'
<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="registrar">
<recv request="REGISTER"/>
<send><![CDATA[
SIP/2.0 401 Unauthorized
[last_Via:]
[last_From:]
[last_To:];tag=r
[last_Call-ID:]
[last_CSeq:]
WWW-Authenticate: Digest realm="example", nonce="1"
Content-Length: 0

]]></send>
<recv request="REGISTER"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=r
[last_Call-ID:]
[last_CSeq:]
Expires: 60
Content-Length: 0

]]></send>
<recv request="OPTIONS"/>
<send><![CDATA[
SIP/2.0 404 Not Found
[last_Via:]
[last_From:]
[last_To:];tag=r
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
XML

capture calls-udp
converse 3 "-sn uac" "-sn uas"
finish

capture calls-tcp
converse 3 "-sn uac" "-sn uas" -t t1
finish

capture register-udp
converse 2 "-sf register.xml" "-sf registrar.xml"
finish

capture register-tcp
converse 2 "-sf register.xml" "-sf registrar.xml" -t t1
finish

capture unanswered
(cd "$work" && timeout 4 sipp -sn uac -i 127.0.0.1 -p "$caller" -m 1 -nostdin "127.0.0.1:$port" >/dev/null 2>&1) || true
finish

capture snaplen-cut-udp -s 300
converse 1 "-sn uac" "-sn uas"
finish

capture snaplen-cut-tcp -s 300
converse 1 "-sn uac" "-sn uas" -t t1
finish
