#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump,
# openssl, swaks and python3-aiosmtpd. Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
port=20025
lmtp=20024
filter="tcp port $port or tcp port $lmtp"

send() { timeout 10 swaks --silent 3 --server 127.0.0.1 --port "$port" --from a@example.com --to b@example.com "$@" >/dev/null || true; }

openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout "$work/key" -out "$work/crt" 2>/dev/null
cat >"$work/server.py" <<'PY'
import asyncio, ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from aiosmtpd.lmtp import LMTP
class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"): return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"
    async def handle_DATA(self, server, session, envelope):
        if b"virus" in envelope.content: return "554 5.7.1 Refused"
        return "250 2.0.0 Ok: queued as 17"
class LmtpHandler(Handler): # a reply for each recipient
    async def handle_DATA(self, server, session, envelope):
        return "\r\n".join(f"250 2.0.0 <{r}> delivered" for r in envelope.rcpt_tos)
def auth(server, session, envelope, mechanism, data):
    return AuthResult(success=data.password == b"secret", handled=False)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(sys.argv[3] + "/crt", sys.argv[3] + "/key")
Controller(Handler(), "127.0.0.1", int(sys.argv[1]), tls_context=tls, authenticator=auth, auth_require_tls=False).start()
class L(Controller):
    def factory(self): return LMTP(self.handler)
L(LmtpHandler(), "127.0.0.1", int(sys.argv[2])).start()
open(sys.argv[3] + "/up", "w").close()
asyncio.new_event_loop().run_forever()
PY
/usr/bin/python3 "$work/server.py" "$port" "$lmtp" "$work" &
pids+=($!)
until [ -e "$work/up" ]; do sleep 0.05; done

capture mail
send --header "Subject: first" --body "QUIT\nMAIL FROM:<no@command>\n.hidden dot\n..two dots\nbye"
send --to nobody@example.com
send --to b@example.com,nobody@example.com,c@example.com --body "a virus"
finish

capture commands
talk <<'CMD'
HELO me
noop
VRFY b@example.com
HELP
NOSUCH thing
RCPT TO:<b@example.com>
mail FROM:<a@example.com> SIZE=20
RSET
EXPN list
DATA
QUIT
CMD
finish

capture pipelining
talk <<'CMD'
EHLO me
MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<nobody@example.com>\r\nDATA
Subject: x\r\n\r\nQUIT\r\n..dot\r\n.\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<c@example.com>\r\nDATA
.\r\nQUIT
CMD
finish

capture auth
send --auth PLAIN --auth-user me --auth-password secret --auth-hide-password --quit-after AUTH
send --auth LOGIN --auth-user me --auth-password secret --quit-after AUTH
send --auth LOGIN --auth-user me --auth-password wrong --quit-after AUTH
finish

capture starttls
/usr/bin/python3 - "$port" <<'PY'
import smtplib, ssl, sys
c = ssl.create_default_context()
c.check_hostname = False
c.verify_mode = ssl.CERT_NONE
s = smtplib.SMTP("localhost", int(sys.argv[1]))
s.starttls(context=c)
s.sendmail("a@example.com", "b@example.com", "Subject: x\n\nhidden")
s.quit()
PY
finish

head -c 15000 /dev/urandom | base64 >"$work/large"
capture large
send --body "@$work/large"
finish

capture snaplen-cut -s 200
send --body "@$work/large"
finish

capture lmtp
port=$lmtp
talk <<'CMD'
LHLO me
MAIL FROM:<a@example.com>
RCPT TO:<b@example.com>
RCPT TO:<c@example.com>
DATA
Subject: x\r\n\r\nhi\r\n.
QUIT
CMD
finish
