#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump, openssl,
# and PostgreSQL with its contrib modules (Debian: postgresql). Then: go test . -update, and
# read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
export PATH=$bin:$PATH PGHOST=127.0.0.1 PGPORT=15432 PGUSER=shop PGDATABASE=shop PGPASSWORD=secret PGSSLMODE=disable PGGSSENCMODE=disable PGCONNECT_TIMEOUT=5
port=$PGPORT
filter="tcp port $port"
signal=INT # ends PostgreSQL without waiting for its clients

ask() { timeout 10 psql -X -q "$@" >/dev/null 2>&1 || true; }
bench() { timeout 10 pgbench -n "$@" >/dev/null 2>&1 || true; }

chmod 755 "$work"
mkdir "$work/data"
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost -keyout "$work/key" -out "$work/crt" 2>/dev/null
chmod 600 "$work/key"
chown -R postgres "$work"
cd "$work"
setpriv --reuid=postgres --regid=postgres --clear-groups "$bin/initdb" -D "$work/data" -A trust >/dev/null
cat >>"$work/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$work'
fsync = off
wal_level = logical
max_wal_senders = 2
ssl = on
ssl_key_file = '$work/key'
ssl_cert_file = '$work/crt'
CONF
cat >"$work/data/pg_hba.conf" <<CONF
local all all trust
hostnossl all scram 127.0.0.1/32 scram-sha-256
hostnossl all old 127.0.0.1/32 md5
host all,replication all 127.0.0.1/32 trust
CONF
setpriv --reuid=postgres --regid=postgres --clear-groups "$bin/postgres" -D "$work/data" >"$work/log" 2>&1 &
pids+=($!)
until PGUSER=postgres PGDATABASE=postgres psql -X -c 'select 1' >/dev/null 2>&1; do sleep 0.1; done
PGUSER=postgres PGDATABASE=postgres psql -X -q <<'SQL'
create role shop superuser login;
create role scram login password 'secret';
set password_encryption = md5;
create role old login password 'secret';
create database shop owner shop;
SQL
psql -X -q -c 'create table item (id int primary key, name text)'
bench -i -s 1 -I dtp

capture simple
ask <<'SQL'
select 1;
insert into item select n, 'item ' || n from generate_series(1, 20) n;
select * from item where id < 4;
select 1 \; select 2 \; commit;
drop table if exists missing;
select * from missing;
insert into item values (1, 'again');
begin;
selec;
select 1;
rollback;
do $$ begin raise warning 'look out'; end $$;

select name,
	id from item limit 1;
SQL
finish

capture auth
PGUSER=scram ask -c 'select 1'
PGUSER=old ask -c 'select 1'
PGUSER=old PGPASSWORD=wrong ask -c 'select 1'
PGDATABASE=nowhere ask -c 'select 1'
finish

capture tls
PGSSLMODE=prefer PGGSSENCMODE=prefer ask -c 'select 1'
finish

capture copy
ask <<'SQL'
copy item from stdin;
100	hundred
101	hundred and one
\.
copy (select * from item where id >= 100) to stdout;
copy item from stdin;
x	bad
\.
SQL
finish

cat >"$work/script" <<'SQL'
\set n random(1, 3)
select name from item where id = :n;
update item set name = 'changed' where id = 100 + :n;
SQL
cat >"$work/pipeline" <<'SQL'
\startpipeline
select 1;
select name from item where id = 2;
update item set name = 'piped' where id = 3;
\endpipeline
SQL
cat >"$work/broken" <<'SQL'
\startpipeline
select 1;
select 1/0;
select 2;
\endpipeline
SQL

capture extended
bench -M extended -t 3 -f "$work/script"
finish

capture prepared
bench -M prepared -t 5 -f "$work/script"
finish

capture pipeline
bench -M extended -t 3 -f "$work/pipeline"
bench -M prepared -t 3 -f "$work/pipeline"
bench -M extended -t 1 -f "$work/broken"
finish

capture notify
(printf 'listen news;\n'; sleep 1; printf 'select 1;\n') | ask &
sleep 0.5
ask -c "notify news, 'first item'"
sleep 0.7
finish

capture cancel
psql -X -q -c 'select pg_sleep(5)' >/dev/null 2>&1 &
slow=$!
sleep 0.7
kill -INT "$slow"
wait "$slow" || true
(psql -X -q -c 'select pg_sleep(5)' >/dev/null 2>&1 || true) &
sleep 0.5
psql -X -q -c "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep%'" >/dev/null
finish

capture fastpath
printf 'large object\n' >"$work/lo"
ask -c "\\lo_import $work/lo"
finish

capture large
ask -c "select repeat('x', 20000), null, 7 from generate_series(1, 2)"
finish

capture snaplen-cut -s 200
ask <<'SQL'
select repeat('x', 2000);
select 1, 'a query that is longer than what is kept of a packet, so that its end is missing, and that is marked';
select 2;
SQL
finish

capture replication
timeout 2 pg_recvlogical -d shop --slot s --create-slot -P test_decoding >/dev/null 2>&1 || true
timeout 2 pg_recvlogical -d shop --slot s --start -f - >/dev/null 2>&1 &
follow=$!
sleep 0.5
ask -c "update item set name = 'seen' where id = 1"
wait "$follow" || true
finish

# The capture begins and ends while connections are in use.
printf '\\set n random(1, 3)\nselect name from item where id = :n;\n' >"$work/read"
for mode in simple prepared; do
	timeout 20 pgbench -n -M "$mode" -c 2 -T 4 -f "$work/read" >/dev/null 2>&1 &
	load=$!
	sleep 1
	capture "middle-$mode" -c 60
	wait "$dump" || true
	kill "$load" 2>/dev/null || true
	wait "$load" || true
done
