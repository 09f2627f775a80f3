#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump, openssl,
# MariaDB and a driver that prepares at the server (Debian: mariadb-server, mariadb-client,
# libdbd-mariadb-perl). Then: go test . -update, and read what changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
port=13306
filter="tcp port $port"

ask() { timeout 10 mariadb --no-defaults -h 127.0.0.1 -P "$port" -u shop -psecret --skip-ssl --force shop "$@" >/dev/null 2>&1 || true; }

# perl: runs a script with $d, a connection that prepares at the server.
script() { # script [attribute...]
	{
		echo "use DBI; my \$d = DBI->connect('DBI:MariaDB:database=shop;host=127.0.0.1;port=$port;$*', 'shop', 'secret', {RaiseError => 0, PrintError => 0, mariadb_server_prepare => 1}) or die;"
		cat
	} >"$work/script.pl"
	timeout 10 perl "$work/script.pl" >/dev/null
}

chmod 755 "$work"
mkdir "$work/data"
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost -keyout "$work/key" -out "$work/crt" 2>/dev/null
chown -R mysql "$work"
mariadb-install-db --no-defaults --user=mysql --datadir="$work/data" --auth-root-authentication-method=normal --skip-test-db >/dev/null 2>&1
mariadbd --no-defaults --user=mysql --datadir="$work/data" --socket="$work/socket" --bind-address=127.0.0.1 --port="$port" \
	--ssl-cert="$work/crt" --ssl-key="$work/key" --local-infile=1 --log-bin=log --server-id=1 --plugin-load-add=auth_ed25519 \
	--innodb-buffer-pool-size=32M >"$work/log" 2>&1 &
pids+=($!)
root() { mariadb --no-defaults -u root -S "$work/socket" "$@"; }
until root -e 'select 1' >/dev/null 2>&1; do sleep 0.1; done
root <<'SQL'
create database shop;
create user shop@'%' identified by 'secret';
create user modern@'%' identified via ed25519 using password('secret');
grant all on *.* to shop@'%';
create table shop.item (id int primary key, name varchar(40));
insert into shop.item values (1, 'one'), (2, 'two'), (3, null);
SQL
root shop --delimiter='//' -e 'create procedure two() begin select 1; select * from item; end//'

capture simple
ask <<'SQL'
select 1;
select * from item;
insert into item values (4, 'four'), (5, 'five');
select * from missing;
insert into item values (1, 'again');
selec;
use mysql;
use shop;
update item set name = 'vier' where id = 4;
call two();
select name,
	id from item where id > 100;
SQL
finish

capture login
ask -e 'select 1'
timeout 5 mariadb --no-defaults -h 127.0.0.1 -P "$port" -u shop -pwrong --skip-ssl -e 'select 1' >/dev/null 2>&1 || true
timeout 5 mariadb --no-defaults -h 127.0.0.1 -P "$port" -u modern -psecret --skip-ssl -e 'select 1' >/dev/null 2>&1 || true
timeout 5 mariadb --no-defaults -h 127.0.0.1 -P "$port" -u shop -psecret --skip-ssl nowhere >/dev/null 2>&1 </dev/null || true
timeout 5 mariadb-admin --no-defaults -h 127.0.0.1 -P "$port" -u shop -psecret --skip-ssl ping status processlist >/dev/null
finish

capture tls
timeout 5 mariadb --no-defaults -h 127.0.0.1 -P "$port" -u shop -psecret --ssl -e 'select 1' >/dev/null 2>&1
finish

capture prepared
script <<'PERL'
my $s = $d->prepare('select name from item where id = ?');
for my $id (1, 2, 3, 100) { $s->execute($id); $s->fetchall_arrayref; }
my $i = $d->prepare('insert into item values (?, ?)');
$i->execute(10, 'ten');
$i->execute(10, 'again');
$d->prepare('selec ?');
$d->do('delete from item where id = ?', undef, 10);
$d->disconnect;
PERL
finish

capture several
script mariadb_multi_statements=1 <<'PERL'
my $s = $d->prepare('select 1; insert into item values (11, "eleven"); select * from item', {mariadb_server_prepare => 0});
$s->execute;
do { $s->fetchall_arrayref } while ($s->more_results);
$d->do('select 1; selec; select 2', {mariadb_server_prepare => 0});
$d->ping;
PERL
finish

capture compressed
ask --compress <<'SQL'
select 1;
select repeat('x', 3000), id from item;
insert into item values (20, 'a name that is long enough to be compressed');
selec;
SQL
script mariadb_compression=1 <<'PERL'
my $s = $d->prepare('select repeat("y", 20000), name from item where id = ?');
$s->execute(1);
$s->fetchall_arrayref;
PERL
finish

capture infile
printf '30\tthirty\n31\tthirty one\n' >"$work/rows"
chmod 644 "$work/rows"
ask --local-infile=1 -e "load data local infile '$work/rows' into table item; load data local infile '$work/rows' into table missing"
finish

capture large
ask -e "select repeat('z', 20000), id from item where id < 3"
finish

capture snaplen-cut -s 220
ask <<'SQL'
select repeat('x', 2000) from item;
select 1, 'a query that is longer than what is kept of a packet, so that its end is missing, and that is marked; a query that is longer than what is kept of a packet';
select 2;
SQL
finish

capture binlog
timeout 2 mariadb-binlog --no-defaults --skip-ssl -h 127.0.0.1 -P "$port" -u shop -psecret --read-from-remote-server log.000001 >/dev/null 2>&1 || true
finish

capture killed
(ask -e 'select sleep(5)') &
sleep 0.6
root -e "select concat('kill ', id) from information_schema.processlist where info like 'select sleep%'" -N | root
wait $! || true
finish

# The capture begins and ends while connections are in use.
cat >"$work/load.pl" <<PERL
use DBI;
my \$d = DBI->connect('DBI:MariaDB:database=shop;host=127.0.0.1;port=$port', 'shop', 'secret', {mariadb_server_prepare => \$ARGV[0]}) or die;
my \$s = \$d->prepare('select name from item where id = ?');
my \$end = time + 6;
while (time < \$end) { \$s->execute(1 + rand 3); \$s->fetchall_arrayref; }
PERL
for prepare in 0 1; do
	timeout 20 perl "$work/load.pl" "$prepare" &
	load=$!
	sleep 1
	capture "middle-$prepare" -c 60
	wait "$dump" || true
	kill "$load" 2>/dev/null || true
	wait "$load" || true
done
