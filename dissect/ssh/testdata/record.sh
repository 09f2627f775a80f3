#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump and
# openssh-server. Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"

ssh-keygen -q -t ed25519 -N '' -f "$work/host"
mkdir -p /run/sshd
/usr/sbin/sshd -D -e -f /dev/null -p 18422 -o ListenAddress=127.0.0.1 -o PidFile=none -h "$work/host" 2>/dev/null &
pids+=($!)
until_ready 18422

capture sshd tcp port 18422
options=(-p 18422 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o ConnectTimeout=3)
ssh -F /dev/null "${options[@]}" nobody@127.0.0.1 true 2>/dev/null || true
ssh-keyscan -p 18422 -T 2 -t ed25519 127.0.0.1 >/dev/null 2>&1
# Somebody who only looks whether the port is open, and one who speaks something else.
exec 3<>/dev/tcp/127.0.0.1/18422
timeout 0.3 head -n 1 <&3 >/dev/null || true
exec 3>&-
exec 3<>/dev/tcp/127.0.0.1/18422
printf 'hello\r\n' >&3
timeout 0.5 cat <&3 >/dev/null || true
exec 3>&-
finish
