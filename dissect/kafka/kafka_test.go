package kafka

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/frames"
)

// TestLayouts walks messages of every API, in its newest version and the last one before it
// became flexible, with all fields set: strings are "s", error codes 7. A layout must lead to
// the end of the message.
func TestLayouts(t *testing.T) {
	f, err := os.Open("testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		var key, version int
		var part string
		if _, err := fmt.Sscan(lines.Text(), &key, &version, &part); err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(lines.Text(), part+" ")
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		a := &apis[key]
		list, letters := layouts[key].request, a.request
		if part == "response" {
			list, letters = layouts[key].response, a.response
		}
		v := visitor{topics: &topics{names: names{}}}
		w := walker{b: b, version: int16(version), flexible: int16(version) >= a.flexible}
		w.walk(list, &v)
		if w.bad || w.short || !w.rest && len(w.b) > 0 {
			t.Errorf("%s %d %s: bad %v, short %v, %d bytes left", a.name, version, part, w.bad, w.short, len(w.b))
		}
		if strings.Contains(letters, "E") && v.code != 7 && v.coded {
			t.Errorf("%s %d %s: error %d", a.name, version, part, v.code)
		}
		if (strings.Contains(letters, "T]") || strings.Contains(letters, "[T ")) && v.topics.n == 0 && key != 38 {
			t.Errorf("%s %d %s: no topic", a.name, version, part)
		}
	}
	if n < 170 {
		t.Errorf("only %d messages", n)
	}
}

// frame makes a message.
func frame(parts ...any) []byte {
	b := make([]byte, 4)
	for _, p := range parts {
		switch v := p.(type) {
		case string:
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(v))), v...)
		case []byte:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
		case int16:
			b = binary.BigEndian.AppendUint16(b, uint16(v))
		case int32:
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		}
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func h(n int) int16 { return int16(n) }
func i(n int) int32 { return int32(n) }

// produce is version 2, with one record set.
func produce(id, acks int, topic string, set []byte) []byte {
	return frame(h(0), h(2), i(id), "c", h(acks), i(1000), i(1), topic, i(1), i(0), set)
}

func produced(id, code int, topic string) []byte {
	return frame(i(id), i(1), topic, i(1), i(0), h(code), int64(0), int64(-1), i(0))
}

func heartbeat(id int) []byte      { return frame(h(12), h(0), i(id), "c", "g", i(1), "m") }
func beaten(id, code int) []byte   { return frame(i(id), h(code)) }
func handshake(id, v int) []byte   { return frame(h(17), h(v), i(id), "c", "PLAIN") }
func ask(b []byte) cuttest.Step    { return cuttest.Step{Dir: 0, Data: b} }
func answer(b []byte) cuttest.Step { return cuttest.Step{Dir: 1, Data: b} }
func hole(d int, n int) cuttest.Step {
	return cuttest.Step{Dir: [...]cuttest.Step{{Dir: 0}, {Dir: 1}}[d].Dir, Gap: int64(n)}
}

func play(t testing.TB, steps ...cuttest.Step) []string {
	return cuttest.Calls(t, Protocol(), 0, tell, steps...)
}

// tell is a call in short: what was asked and what came of it, with marks.
func tell(c *dissect.Call) string {
	e := c.Message.(*exchange)
	s := fmt.Sprintf("%d %s -> %s", e.correlation, e.AppendSummary(nil), e.AppendStatus(nil))
	if c.Incomplete {
		s = "~" + s
	}
	return s
}

func TestParser(t *testing.T) {
	long := bytes.Repeat([]byte{0}, 40_000)
	big := produce(9, 1, "orders", long)
	for _, test := range []struct {
		name  string
		steps []cuttest.Step
		want  []string
	}{
		{"pair", []cuttest.Step{ask(produce(1, 1, "orders", nil)), answer(produced(1, 0, "orders"))}, []string{"1 PRODUCE orders -> OK"}},
		{"error", []cuttest.Step{ask(produce(1, -1, "orders", nil)), answer(produced(1, 6, "orders"))}, []string{"1 PRODUCE orders -> NOT_LEADER_FOR_PARTITION"}},
		{"unknown error", []cuttest.Step{ask(heartbeat(1)), answer(beaten(1, 999))}, []string{"1 HEARTBEAT -> ERROR_999"}},
		{"acks=0 is not answered", []cuttest.Step{ask(produce(1, 0, "a", nil)), ask(heartbeat(2)), answer(beaten(2, 0))}, []string{"1 PRODUCE a -> ", "2 HEARTBEAT -> OK"}},
		{"pipelined", []cuttest.Step{ask(slices.Concat(heartbeat(1), heartbeat(2))), answer(slices.Concat(beaten(1, 0), beaten(2, 27)))}, []string{"1 HEARTBEAT -> OK", "2 HEARTBEAT -> REBALANCE_IN_PROGRESS"}},
		{"no answer", []cuttest.Step{ask(heartbeat(1))}, []string{"1 HEARTBEAT -> "}},
		{"answer lost", []cuttest.Step{ask(heartbeat(1)), ask(heartbeat(300)), hole(1, 0), answer(beaten(300, 0))}, []string{"~1 HEARTBEAT -> ", "300 HEARTBEAT -> OK"}},
		{"answer without a question", []cuttest.Step{answer(beaten(1, 0)), ask(heartbeat(2)), answer(beaten(2, 0))}, []string{"2 HEARTBEAT -> OK"}},
		{"hole within records", []cuttest.Step{ask(big[:100]), hole(0, len(big)-200), ask(big[len(big)-100:]), answer(produced(9, 0, "orders"))}, []string{"~9 PRODUCE orders -> OK"}},
		{"hole of unknown size", []cuttest.Step{ask(big[:100]), hole(0, 0), ask(heartbeat(10)), answer(produced(9, 0, "orders")), answer(beaten(10, 0))}, []string{"~9 PRODUCE orders -> OK", "10 HEARTBEAT -> OK"}},
		{"the same ID again", []cuttest.Step{ask(heartbeat(1)), ask(heartbeat(1)), answer(beaten(1, 0))}, []string{"1 HEARTBEAT -> ", "1 HEARTBEAT -> OK"}},
		{"SASL tokens", []cuttest.Step{ask(handshake(1, 0)), answer(frame(i(1), h(0), i(1), "PLAIN")),
			ask([]byte("\x00\x00\x00\x08\x00alice\x00x")), answer([]byte{0, 0, 0, 0}), ask(heartbeat(2)), answer(beaten(2, 0))},
			[]string{"1 SASL_HANDSHAKE -> OK", "2 HEARTBEAT -> OK"}},
		{"version that the broker does not have", []cuttest.Step{ask(append(frame(h(18), h(5), i(1), "c")[:0:0], flexible()...)), answer(frame(i(1), h(35), i(0)))}, []string{"1 API_VERSIONS -> UNSUPPORTED_VERSION"}},
		{"not Kafka", []cuttest.Step{ask([]byte("GET / HTTP/1.1\r\n\r\n"))}, nil},
	} {
		if got := play(t, test.steps...); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// flexible asks for API versions, with empty tagged fields.
func flexible() []byte {
	b := append(frame(h(18), h(5), i(1), "c"), 0, 2, 'n', 2, 'v', 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// TestResponseFirst: packets of the two sides may be captured the other way round.
func TestResponseFirst(t *testing.T) {
	steps := []cuttest.Step{ask(heartbeat(1)), answer(beaten(1, 0)), answer(beaten(2, 0)), ask(heartbeat(2))}
	for n, at := range []int64{1e6, 2e6, 4e6, 3e6} {
		steps[n].Time = at
	}
	told, err := cuttest.Play(t, Protocol(), steps, 0, nil)
	if err != nil || len(told) != 2 || !strings.HasSuffix(told[1].Line, "HEARTBEAT OK") {
		t.Errorf("%v, %v", told, err)
	}
}

func TestDetect(t *testing.T) {
	for _, test := range []struct {
		name string
		data [2]string
		want dissect.Verdict
		swap bool
	}{
		{"request", [2]string{string(heartbeat(1))}, dissect.Yes, false},
		{"from the other side", [2]string{"", string(heartbeat(1))}, dissect.Yes, true},
		{"flexible", [2]string{string(flexible())}, dissect.Yes, false},
		{"beginning", [2]string{string(heartbeat(1)[:9])}, dissect.Unsure, false},
		{"length", [2]string{"\x00\x00"}, dissect.Unsure, false},
		{"body cut", [2]string{string(produce(1, 1, "orders", make([]byte, 5000))[:300])}, dissect.Yes, false},
		{"little of a body", [2]string{string(produce(1, 1, "orders", make([]byte, 5000))[:30])}, dissect.Yes, false},
		{"ZooKeeper", [2]string{"\x00\x00\x00\x2d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x75\x30"}, dissect.Unsure, false},
		{"ZooKeeper, more of it", [2]string{"\x00\x00\x00\x2d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x75\x30\x00\x00\x00\x00\x00\x00\x00\x00"}, dissect.No, false},
		{"body that does not fit", [2]string{string(heartbeat(1)[:15]) + "\x7f\xff" + string(heartbeat(1)[17:])}, dissect.No, false},
		{"large, nothing of a body", [2]string{"\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01\xfe\x00\x10" + "3.52337566624721"}, dissect.Unsure, false},
		{"cut, of an API without a layout", [2]string{"\x00\x02\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x03" + "pen, as usual pen, as usual"}, dissect.Unsure, false},
		{"name that is none", [2]string{"\x00\x01\x05\x00\x00\x00\x00\x03\x00\x00@\x01\x00\x00\x00\x0c\x00\x04\x00\x06SCHEMA\x00\x06string"}, dissect.No, false},
		{"name that is longer than the message", [2]string{"\x00\x00\x00\x40\x00\x0c\x00\x00\x00\x00\x00\x01\x00\x02id\x01\x00group"}, dissect.No, false},
		{"response", [2]string{"", string(beaten(1, 0))}, dissect.No, false},
		{"HTTP", [2]string{"GET / HTTP/1.1\r\n\r\n"}, dissect.No, false},
		{"TLS", [2]string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"}, dissect.No, false},
		{"PostgreSQL", [2]string{"\x00\x00\x00\x29\x00\x03\x00\x00user\x00alice\x00database\x00shop\x00\x00"}, dissect.No, false},
		{"PostgreSQL, SSL", [2]string{"\x00\x00\x00\x08\x04\xd2\x16\x2f"}, dissect.No, false},
		{"MySQL", [2]string{"", "\x4a\x00\x00\x00\x0a8.0.36\x00"}, dissect.No, false},
		{"MongoDB", [2]string{"\x35\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00"}, dissect.No, false},
		{"SMB", [2]string{"\x00\x00\x00\x55\xffSMBr\x00\x00\x00\x00"}, dissect.No, false},
		{"zeroes", [2]string{strings.Repeat("\x00", 64)}, dissect.No, false},
	} {
		p := &dissect.Probe{Data: [2][]byte{[]byte(test.data[0]), []byte(test.data[1])}}
		if got := detect(p); got != test.want || p.Swap != test.swap {
			t.Errorf("%s: %v, swap %v", test.name, got, p.Swap)
		}
	}
}

// TestMessageSets: the forms that records had before batches, one within the other.
func TestMessageSets(t *testing.T) {
	message := func(magic, codec byte, value []byte) []byte {
		b := []byte{0, 0, 0, 0, magic, codec}
		if magic == 1 {
			b = append(b, make([]byte, 8)...)
		}
		b = binary.BigEndian.AppendUint32(b, 0xffffffff)
		b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
		b = append(b, value...)
		set := binary.BigEndian.AppendUint32(make([]byte, 8), uint32(len(b)))
		return append(set, b...)
	}
	inner := slices.Concat(message(1, 0, []byte("one")), message(1, 0, []byte("two")))
	// Snappy: the length, and all of it as one literal.
	snappy := append([]byte{byte(len(inner)), 60 << 2, byte(len(inner) - 1)}, inner...)
	java := append(append([]byte(nil), xerial...), 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, byte(len(snappy)))
	for _, test := range []struct {
		name string
		set  []byte
		want string
	}{
		{"version 0", slices.Concat(message(0, 0, []byte("a")), message(0, 0, []byte("b"))), "a\nb"},
		{"version 1", message(1, 0, []byte("a")), "a"},
		{"snappy", message(1, 2, snappy), "one\ntwo"},
		{"snappy of Java", message(1, 2, append(java, snappy...)), "one\ntwo"},
		{"cut", message(1, 0, []byte("abcdef"))[:36], "ab"},
		{"nothing", nil, ""},
	} {
		r := reader{limit: 1000}
		if r.batches(test.set); string(r.out) != test.want || r.err != nil {
			t.Errorf("%s: %q, %v", test.name, r.out, r.err)
		}
	}
	for n := range inner {
		r := reader{limit: 1000}
		r.batches(inner[:n]) // must not panic
	}
	r := reader{limit: 4}
	if r.batches(message(1, 2, snappy)); string(r.out) != "one\n" {
		t.Errorf("limit: %q", r.out)
	}
}

// TestLimits: what waits is bounded, and that is told.
func TestLimits(t *testing.T) {
	var steps []cuttest.Step
	for n := range frames.MaxPending + 5 {
		steps = append(steps, ask(heartbeat(n)))
	}
	calls := play(t, steps...)
	if len(calls) != frames.MaxPending+5 || calls[0] != "~0 HEARTBEAT -> " {
		t.Errorf("%d calls, first %q", len(calls), calls[0])
	}
}

func BenchmarkProduce(b *testing.B) {
	k := &cuttest.Counter{}
	p := newParser(&dissect.Flow{Opening: 1}, k)
	req, resp := produce(1, 1, "orders", bytes.Repeat([]byte("x"), 1000)), produced(1, 0, "orders")
	k.Bench(b, p, req, resp)
}
