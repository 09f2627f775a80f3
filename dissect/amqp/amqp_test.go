package amqp

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

// raw makes a frame.
func raw(kind byte, channel int, payload string) string {
	b := binary.BigEndian.AppendUint16([]byte{kind}, uint16(channel))
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	return string(b) + payload + "\xce"
}

// call makes a method with its arguments: int is a short, int64 a longlong, string a short string.
func call(channel int, name string, args ...any) string {
	for i := range methods {
		m := &methods[i]
		if m.name != name {
			continue
		}
		b := binary.BigEndian.AppendUint16(nil, m.class)
		b = binary.BigEndian.AppendUint16(b, m.id)
		for _, a := range args {
			switch v := a.(type) {
			case int:
				b = binary.BigEndian.AppendUint16(b, uint16(v))
			case int64:
				b = binary.BigEndian.AppendUint64(b, uint64(v))
			case byte:
				b = append(b, v)
			case string:
				b = append(append(b, byte(len(v))), v...)
			}
		}
		return raw(frameMethod, channel, string(b))
	}
	panic(name)
}

func publish(channel int, key string) string {
	return call(channel, "basic.publish", 0, "shop", key, byte(0))
}

func head(channel, size int, kind string) string {
	b := binary.BigEndian.AppendUint16(nil, classBasic)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(size))
	if kind == "" {
		return raw(frameHeader, channel, string(b)+"\x00\x00")
	}
	return raw(frameHeader, channel, string(b)+"\x80\x00"+string([]byte{byte(len(kind))})+kind)
}

func body(channel int, s string) string { return raw(frameBody, channel, s) }

func step(d flow.Dir, s string) cuttest.Step {
	if s == "" {
		return cuttest.Step{Dir: d}
	}
	return cuttest.Step{Dir: d, Data: []byte(s)}
}

func play(t testing.TB, steps ...cuttest.Step) []string {
	return cuttest.Calls(t, Protocol(), 100, tell, steps...)
}

// tell is a call in short: what was said, what came of it and the bodies, with marks.
func tell(c *dissect.Call) string {
	s := string(c.Message.AppendStatus(append(c.Message.AppendSummary(nil), ' ')))
	for part := range 2 {
		if b := c.Message.Body(part); b != nil {
			s += fmt.Sprintf("%s:%s", b.Type, b.Data)
		}
	}
	if s = strings.TrimSpace(s); c.Error {
		s = "!" + s
	}
	if c.Incomplete {
		s = "~" + s
	}
	if c.Reverse {
		s = "<" + s
	}
	return s
}

const hello = "AMQP\x00\x00\x09\x01"

func TestParser(t *testing.T) {
	whole := publish(1, "a") + head(1, 6, "text/plain") + body(1, "abc") + body(1, "def")
	for _, test := range []struct {
		name  string
		steps []cuttest.Step
		want  []string
	}{
		{"content", []cuttest.Step{step(0, whole)}, []string{"basic.publish shop/a text/plain:abcdef"}},
		{"no body", []cuttest.Step{step(0, publish(1, "a")+head(1, 0, ""))}, []string{"basic.publish shop/a"}},
		{"channels in between", []cuttest.Step{step(0, publish(1, "a")+publish(2, "b")+head(2, 2, "")+head(1, 2, "")+body(1, "x")+body(2, "yy")+body(1, "x"))},
			[]string{"basic.publish shop/b :yy", "basic.publish shop/a :xx"}},
		{"content of both sides", []cuttest.Step{step(0, publish(1, "a")), step(1, call(1, "basic.deliver", "tag", int64(1), byte(0), "shop", "z")+head(1, 1, "")+body(1, "z")), step(0, head(1, 0, ""))},
			[]string{"<basic.deliver shop/z :z", "basic.publish shop/a"}},
		{"content that does not come", []cuttest.Step{step(0, publish(1, "a")+call(1, "tx.commit"))}, []string{"~basic.publish shop/a", "tx.commit"}},
		{"more body than announced", []cuttest.Step{step(0, publish(1, "a")+head(1, 1, "")+body(1, "xyz"))}, []string{"~basic.publish shop/a :"}},
		{"end within", []cuttest.Step{step(0, publish(1, "a")+head(1, 9, "")+body(1, "xyz"))}, []string{"~basic.publish shop/a :xyz"}},
		{"hole within", []cuttest.Step{step(0, whole[:len(whole)-3]), {Dir: 0, Gap: 2}, step(0, "\xce"+call(1, "tx.commit"))},
			[]string{"~basic.publish shop/a text/plain:abcd", "tx.commit"}},
		{"hole of unknown size", []cuttest.Step{step(0, whole[:len(whole)-3]), step(0, ""), step(0, "ef\xce"+call(1, "tx.commit"))},
			[]string{"~basic.publish shop/a text/plain:abcd", "tx.commit"}},
		{"errors", []cuttest.Step{step(1, call(1, "channel.close", 404, "NOT_FOUND", 0, 0)), step(0, call(0, "connection.close", 200, "bye", 0, 0)), step(1, call(1, "basic.nack", int64(1), byte(0)))},
			[]string{"<!channel.close NOT_FOUND 404", "connection.close bye 200", "<!basic.nack"}},
		{"heartbeats", []cuttest.Step{step(0, raw(8, 0, "")+call(1, "tx.select")), step(1, raw(8, 0, ""))}, []string{"tx.select"}},
		{"version refused", []cuttest.Step{step(0, hello), step(1, "AMQP\x00\x00\x09\x00")}, []string{"<!protocol-header 0-0-9-0"}},
		{"handshake", []cuttest.Step{step(0, hello), step(1, call(0, "connection.start", byte(0), byte(9)))}, []string{"<connection.start"}},
		{"method that nobody knows", []cuttest.Step{step(0, call(1, "tx.select")+raw(1, 1, "\x00\x63\x00\x01")+call(1, "tx.commit"))}, []string{"tx.select", "tx.commit"}},
		{"no end mark", []cuttest.Step{step(0, call(1, "tx.select")+strings.TrimSuffix(call(1, "tx.commit"), "\xce")+"\x00"+call(1, "tx.rollback"))}, []string{"tx.select", "tx.rollback"}},
	} {
		if got := play(t, test.steps...); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestDetect(t *testing.T) {
	for _, test := range []struct {
		name string
		data [2]string
		want dissect.Verdict
		swap bool
	}{
		{"header", [2]string{hello}, dissect.Yes, false},
		{"beginning of one", [2]string{hello[:5]}, dissect.Unsure, false},
		{"1.0", [2]string{"AMQP\x03\x01\x00\x00", "AMQP\x03\x01\x00\x00"}, dissect.No, false},
		{"1.0, and nobody answered yet", [2]string{"AMQP\x00\x01\x00\x00"}, dissect.Unsure, false},
		{"1.0 refused", [2]string{"AMQP\x00\x01\x00\x00", hello}, dissect.Yes, false},
		{"publish", [2]string{publish(1, "a")}, dissect.Yes, false},
		{"deliver", [2]string{call(1, "basic.deliver", "t", int64(1), byte(0), "e", "k")}, dissect.Yes, true},
		{"ack of the second side", [2]string{"", call(1, "basic.ack", int64(1), byte(0))}, dissect.Yes, false},
		{"heartbeat", [2]string{raw(8, 0, "")}, dissect.Yes, false},
		{"method that is cut", [2]string{publish(1, "a")[:15]}, dissect.Unsure, false},
		{"method without end mark", [2]string{strings.TrimSuffix(publish(1, "a"), "\xce") + "x"}, dissect.No, false},
		{"connection on a channel", [2]string{call(3, "connection.open", "/")}, dissect.No, false},
		{"ping of MySQL, answered", [2]string{"\x01\x00\x00\x00\x0e", "\x07\x00\x00\x01\x00\x00\x00"}, dissect.No, false},
		{"HTTP", [2]string{"GET / HTTP/1.1\r\n\r\n"}, dissect.No, false},
		{"MySQL", [2]string{"", "\x4a\x00\x00\x00\x0a"}, dissect.No, false},
		{"zeroes", [2]string{strings.Repeat("\x00", 30)}, dissect.No, false},
	} {
		p := &dissect.Probe{Data: [2][]byte{[]byte(test.data[0]), []byte(test.data[1])}}
		if got := detect(p); got != test.want || p.Swap != test.swap {
			t.Errorf("%s: %v, swap %v", test.name, got, p.Swap)
		}
	}
}

// TestLimits: contents on the way are bounded.
func TestLimits(t *testing.T) {
	var steps []cuttest.Step
	for n := range maxOpen + 5 {
		steps = append(steps, step(0, publish(n+1, "a")))
	}
	if calls := play(t, steps...); len(calls) != maxOpen+5 || calls[0] != "~basic.publish shop/a" {
		t.Errorf("%d calls, first %q", len(calls), calls[0])
	}
}

func BenchmarkPublish(b *testing.B) {
	k := &cuttest.Counter{}
	p := newParser(&dissect.Flow{Opening: 1}, k)
	data := []byte(publish(1, "order.created") + head(1, 1000, "text/plain") + body(1, strings.Repeat("x", 1000)))
	k.Bench(b, p, data)
}
