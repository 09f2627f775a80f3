#!/bin/bash
# record.sh: records the captures of this folder anew, on loopback. Needs root, tcpdump,
# mosquitto with its clients, and python3-paho-mqtt. Then: go test . -update, and read what
# changed.
. "$(dirname "$0")/../../dissecttest/recording.sh"
port=21883
closed=21884
filter="tcp port $port or tcp port $closed"

pub() { timeout 5 mosquitto_pub -h 127.0.0.1 -p "$port" "$@" || true; }
sub() { # sub OPTION...: runs for two seconds
	timeout 4 mosquitto_sub -h 127.0.0.1 -p "$port" -W 2 "$@" >/dev/null 2>&1 &
	pids+=($!)
	sleep 0.3
}

mosquitto_passwd -c -b "$work/passwords" sensors secret 2>/dev/null
chmod 644 "$work/passwords"
chmod 755 "$work"
cat >"$work/conf" <<CONF
user root
per_listener_settings true
max_topic_alias 10
listener $port 127.0.0.1
allow_anonymous true
listener $closed 127.0.0.1
allow_anonymous false
password_file $work/passwords
CONF
mosquitto -c "$work/conf" >"$work/log" 2>&1 &
pids+=($!)
until_ready "$closed"

capture v311
sub -V 311 -i sub1 -t 'shop/#' -t 'other/+' -q 2
pub -V 311 -i pub0 -t shop/orders -m hello
pub -V 311 -i pub1 -t shop/orders -m hello -q 1
pub -V 311 -i pub2 -t shop/orders -m hello -q 2 -r
pub -V 31 -i old -t other/x -m '{"a":1}'
pub -V 311 -i will -t other/y -n --will-topic gone --will-payload bye -u me
wait "${pids[-1]}" || true
finish

capture v5
sub -V 5 -i sub5 -t 'shop/#' -q 1 -U none
pub -V 5 -i pub5 -t shop/orders -m '{"id":17}' -q 1 -D publish content-type application/json -D publish user-property a b
pub -V 5 -i pub6 -t shop/orders -m hello -q 2 -D connect session-expiry-interval 10 --will-topic gone --will-payload bye
/usr/bin/python3 - "$port" <<'PY'
import sys, time
import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes
c = mqtt.Client(client_id="alias", protocol=mqtt.MQTTv5)
c.connect("127.0.0.1", int(sys.argv[1]))
c.loop_start()
time.sleep(0.3)
p = Properties(PacketTypes.PUBLISH)
p.TopicAlias = 1
c.publish("shop/aliased", "one", properties=p)
c.publish("", "two", properties=p)
time.sleep(0.2)
c.unsubscribe(["a", "b"])
time.sleep(0.2)
c.disconnect()
c.loop_stop()
PY
wait "${pids[-1]}" || true
finish

capture refused
pub -p "$closed" -V 311 -i nobody -t a -m x 2>/dev/null
pub -p "$closed" -V 5 -i nobody -t a -m x 2>/dev/null
pub -p "$closed" -V 311 -i known -u sensors -P wrong -t a -m x 2>/dev/null
pub -p "$closed" -V 5 -i known -u sensors -P secret -t a -m x
finish

capture ping
(timeout 9 mosquitto_sub -h 127.0.0.1 -p "$port" -i idle -k 5 -t quiet -W 8 >/dev/null 2>&1 || true)
finish

head -c 20000 /dev/zero | tr '\0' x >"$work/large"
capture large
pub -V 5 -i big -t shop/large -f "$work/large" -q 1
finish

capture snaplen-cut -s 200
pub -V 311 -i big -t shop/large -f "$work/large" -q 1
pub -V 311 -i small -t shop/small -m x
finish

# The capture begins while the connection is in use.
(for i in {1..60}; do echo "line $i"; sleep 0.02; done) | timeout 8 mosquitto_pub -h 127.0.0.1 -p "$port" -i lines -q 1 -t shop/lines -l &
load=$!
sleep 0.4
capture middle -c 60
wait "$dump" || true
wait "$load" || true
