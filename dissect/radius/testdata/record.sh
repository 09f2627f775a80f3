#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump,
# freeradius and radclient (freeradius-utils). Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
filter="udp portrange 18120-18129"

ask() { # ask PORT COMMAND ATTRIBUTES
	printf '%s\n' "$3" | timeout 5 radclient -r 1 -t 1 "127.0.0.1:$1" "$2" secret >/dev/null 2>&1 || true
}

cat >"$work/radiusd.conf" <<-END
	prefix = $work
	logdir = $work
	pidfile = $work/pid
	libdir = $(dirname "$(find /usr/lib -name rlm_files.so | head -1)")
	security {
		status_server = yes
	}
	client local {
		ipaddr = 127.0.0.1
		secret = secret
	}
	modules {
		pap {
		}
		chap {
		}
		files {
			filename = $work/users
		}
		always handled {
			rcode = handled
		}
		always ok {
			rcode = ok
		}
		always reject {
			rcode = reject
		}
	}
	server shop {
	$(for l in auth:18120 acct:18121 coa:18122; do printf 'listen {\ntype = %s\nipaddr = 127.0.0.1\nport = %s\n}\n' "${l%:*}" "${l#*:}"; done)
		authorize {
			chap
			files
			if (&User-Name == "challenge") {
				update control {
					&Response-Packet-Type := Access-Challenge
				}
				update reply {
					&Reply-Message := "Which code?"
					&State := 0x01
				}
				handled
			}
			pap
		}
		authenticate {
			Auth-Type PAP {
				pap
			}
			Auth-Type CHAP {
				chap
			}
		}
		accounting {
			ok
		}
		recv-coa {
			if (&User-Name == "nobody") {
				reject
			}
			else {
				ok
			}
		}
		send-coa {
			ok
		}
	}
END
printf '%s\n' 'alice Cleartext-Password := "wonder"' '	Reply-Message := "Welcome",' '	Session-Timeout := 3600' \
	'challenge Cleartext-Password := "x"' 'mallory Auth-Type := Reject' '	Reply-Message := "Account locked"' >"$work/users"
freeradius -f -l "$work/log" -d "$work" -n radiusd -D /usr/share/freeradius &
pids+=($!)
for i in $(seq 50); do grep -q "Ready to process" "$work/log" 2>/dev/null && break; sleep 0.1; done
grep -q "Ready to process" "$work/log" || { cat "$work/log" >&2; exit 1; }

capture authentication
ask 18120 auth 'User-Name = "alice", User-Password = "wonder", NAS-IP-Address = 127.0.0.1, NAS-Port = 7'
ask 18120 auth 'User-Name = "alice", CHAP-Password = "wonder", NAS-Identifier = "shop"'
ask 18120 auth 'User-Name = "alice", User-Password = "wrong"'
ask 18120 auth 'User-Name = "mallory", User-Password = "x"'
ask 18120 auth 'User-Name = "challenge", User-Password = "x"'
ask 18120 status 'Message-Authenticator = 0x00'
finish

capture accounting-coa
for s in Start Interim-Update Stop; do
	ask 18121 acct "User-Name = \"alice\", Acct-Status-Type = $s, Acct-Session-Id = \"17\", NAS-IP-Address = 127.0.0.1"
done
ask 18122 disconnect 'User-Name = "alice", Acct-Session-Id = "17"'
ask 18122 coa 'User-Name = "alice", Session-Timeout = 60'
ask 18122 coa 'User-Name = "nobody"'
finish

capture unanswered
ask 18129 auth 'User-Name = "alice", User-Password = "wonder"'
finish

capture snaplen-cut -s 90
ask 18120 auth 'User-Name = "alice", User-Password = "wonder", NAS-Identifier = "shop.example", Calling-Station-Id = "02-42-0a-00-00-05"'
finish
