#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump, openssl,
# slapd and ldap-utils. Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
port=13890
url=ldap://127.0.0.1:$port
admin=(-x -D cn=admin,dc=shop,dc=example -w secret)
filter="tcp port $port"

run() { timeout 5 "$@" >/dev/null 2>&1 || true; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=127.0.0.1" \
	-addext "subjectAltName=IP:127.0.0.1" -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
mkdir "$work/db"
cat >"$work/conf" <<-END
	include /etc/ldap/schema/core.schema
	include /etc/ldap/schema/cosine.schema
	include /etc/ldap/schema/inetorgperson.schema
	pidfile $work/pid
	modulepath /usr/lib/ldap
	moduleload back_mdb
	TLSCertificateFile $work/cert.pem
	TLSCertificateKeyFile $work/key.pem
	sizelimit 20
	database mdb
	suffix dc=shop,dc=example
	rootdn cn=admin,dc=shop,dc=example
	rootpw secret
	directory $work/db
END
slapd -d 0 -f "$work/conf" -h "$url/" >"$work/log" 2>&1 &
pids+=($!)
until_ready "$port"
{
	printf 'dn: dc=shop,dc=example\nobjectClass: dcObject\nobjectClass: organization\ndc: shop\no: Shop\n\n'
	printf 'dn: ou=people,dc=shop,dc=example\nobjectClass: organizationalUnit\nou: people\n\n'
	for i in $(seq 25); do
		printf 'dn: uid=user%d,ou=people,dc=shop,dc=example\nobjectClass: inetOrgPerson\nuid: user%d\ncn: User %d\nsn: %d\ndescription: %0200d\nuserPassword: pw%d\n\n' "$i" "$i" "$i" "$i" "$i" "$i"
	done
} >"$work/ldif"

capture add-search
timeout 20 ldapadd -H $url "${admin[@]}" -f <(head -22 "$work/ldif") >/dev/null 2>&1 || true
run ldapsearch -H $url -x -b dc=shop,dc=example '(&(objectClass=inetOrgPerson)(|(uid=user1)(cn=*er*2)(!(sn>=9))))' cn
run ldapsearch -H $url -x -b '' -s base '+'
run ldapsearch -H $url -x -b ou=people,dc=shop,dc=example -s one '(cn:caseExactMatch:=User 1)' dn
run ldapcompare -H $url -x uid=user1,ou=people,dc=shop,dc=example 'cn:User 1'
run ldapmodify -H $url "${admin[@]}" <<<$'dn: uid=user1,ou=people,dc=shop,dc=example\nchangetype: modify\nreplace: cn\ncn: First\n'
run ldapmodrdn -H $url "${admin[@]}" -r uid=user1,ou=people,dc=shop,dc=example uid=first
run ldappasswd -H $url "${admin[@]}" -s new uid=first,ou=people,dc=shop,dc=example
run ldapwhoami -H $url "${admin[@]}"
run ldapdelete -H $url "${admin[@]}" uid=first,ou=people,dc=shop,dc=example
finish

capture errors
run ldapwhoami -H $url -x -D cn=admin,dc=shop,dc=example -w wrong
run ldapsearch -H $url -x -b dc=nowhere '(uid=x)'
run ldapadd -H $url -x <<<$'dn: uid=x,dc=shop,dc=example\nobjectClass: account\nuid: x\n'
run ldapadd -H $url "${admin[@]}" <<<$'dn: dc=shop,dc=example\nobjectClass: dcObject\nobjectClass: organization\ndc: shop\no: Shop\n'
run ldapexop -H $url -x 1.2.3.4
run ldapwhoami -H $url -Y DIGEST-MD5 -U alice -w x
finish

timeout 20 ldapadd -c -H $url "${admin[@]}" -f "$work/ldif" >/dev/null 2>&1 || true
capture entries
run ldapsearch -H $url -x -b dc=shop,dc=example '(objectClass=*)'
run ldapsearch -H $url -x -b dc=shop,dc=example -E pr=10/noprompt '(uid=*)' uid
finish

capture starttls
LDAPTLS_CACERT=$work/cert.pem run ldapwhoami -H $url -ZZ "${admin[@]}"
finish

capture middle-snaplen-cut -s 200
run ldapsearch -H $url -x -b dc=shop,dc=example '(uid=user3)'
run ldapsearch -H $url -x -b dc=shop,dc=example '(uid=user4)'
finish
