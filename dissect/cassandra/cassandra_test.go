package cassandra

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/pcap/flow"
)

var be = binary.BigEndian

// envelope makes a message; the version's high bit says whose it is.
func envelope(version, flags byte, stream int, op byte, body string) string {
	b := be.AppendUint16([]byte{version, flags}, uint16(stream))
	b = be.AppendUint32(append(b, op), uint32(len(body)))
	return string(b) + body
}

func short(s string) string { return string(be.AppendUint16(nil, uint16(len(s)))) + s }
func long(s string) string  { return string(be.AppendUint32(nil, uint32(len(s)))) + s }
func num(n int) string      { return string(be.AppendUint32(nil, uint32(n))) }

func query(stream int, q string) string {
	return envelope(4, 0, stream, opQuery, long(q)+"\x00\x06\x00")
}
func prepare(stream int, q string) string { return envelope(4, 0, stream, opPrepare, long(q)) }
func execute(stream int, id string) string {
	return envelope(4, 0, stream, opExecute, short(id)+"\x00\x01\x00")
}
func void(stream int) string { return envelope(0x84, 0, stream, opResult, num(resultVoid)) }
func prepared(stream int, id string) string {
	return envelope(0x84, 0, stream, opResult, num(resultPrepared)+short(id))
}
func failed(stream, code int, text string) string {
	return envelope(0x84, 0, stream, opError, num(code)+short(text))
}

// frame makes a segment without compression.
func frame(payload string, whole bool) string {
	bits := len(payload)
	if whole {
		bits |= 1 << lengthBits
	}
	b := []byte{byte(bits), byte(bits >> 8), byte(bits >> 16)}
	crc := crc24(b)
	return string(append(b, byte(crc), byte(crc>>8), byte(crc>>16))) + payload + "sums"
}

// packedFrame makes one with compression, of which all is a literal.
func packedFrame(payload string) string {
	literal := "\xf0" + string([]byte{byte(len(payload) - 15)}) + payload
	bits := uint64(len(literal)) | uint64(len(payload))<<lengthBits | 1<<(2*lengthBits)
	var b []byte
	for i := range 5 {
		b = append(b, byte(bits>>(8*i)))
	}
	crc := crc24(b)
	return string(append(b, byte(crc), byte(crc>>8), byte(crc>>16))) + literal + "sums"
}

func v5(stream int, q string) string {
	return envelope(5, 0, stream, opQuery, long(q)+"\x00\x01\x00\x00\x00\x00")
}
func void5(stream int) string { return envelope(0x85, 0, stream, opResult, num(resultVoid)) }

func step(d flow.Dir, s string) cuttest.Step { return cuttest.Step{Dir: d, Data: []byte(s)} }

func play(t testing.TB, steps ...cuttest.Step) []string {
	return cuttest.Calls(t, Protocol(), 1<<20, tell, steps...)
}

// tell is a call in short: what was asked and what came of it, with marks.
func tell(c *dissect.Call) string {
	e := c.Message.(*exchange)
	s := fmt.Sprintf("%s -> %s", e.AppendSummary(nil), e.AppendStatus(nil))
	if c.Incomplete {
		s = "~" + s
	}
	if c.Reverse {
		s = "<" + s
	}
	return s
}

func TestParser(t *testing.T) {
	const q = "SELECT * FROM shop.orders"
	startup := "\x00\x02" + short("CQL_VERSION") + short("3.0.0") + short("COMPRESSION")
	big := query(1, "INSERT INTO a (b) VALUES ('"+strings.Repeat("x", 40_000)+"')")
	begin5 := []cuttest.Step{step(0, envelope(5, 0, 0, opStartup, "\x00\x01"+short("CQL_VERSION")+short("3.0.0"))), step(1, envelope(0x85, 0, 0, opReady, ""))}
	after5 := func(steps ...cuttest.Step) []cuttest.Step { return append(slices.Clone(begin5), steps...) }
	large := v5(1, q+strings.Repeat(" ", 1000))
	for _, test := range []struct {
		name  string
		steps []cuttest.Step
		want  []string
	}{
		{"pair", []cuttest.Step{step(0, query(1, q)), step(1, void(1))}, []string{"QUERY " + q + " -> Void"}},
		{"by stream", []cuttest.Step{step(0, query(1, "USE a")+query(2, "USE b")), step(1, void(2)+failed(1, 0x2200, "no"))}, []string{"QUERY USE b -> Void", "QUERY USE a -> INVALID"}},
		{"error that nobody knows", []cuttest.Step{step(0, query(1, q)), step(1, failed(1, 0x7777, "?"))}, []string{"QUERY " + q + " -> 30583"}},
		{"prepared", []cuttest.Step{step(0, prepare(1, q)), step(1, prepared(1, "id")), step(0, execute(2, "id")), step(1, void(2))},
			[]string{"PREPARE " + q + " -> Prepared", "EXECUTE " + q + " -> Void"}},
		{"prepared elsewhere", []cuttest.Step{step(0, execute(2, "id")), step(1, failed(2, 0x2500, "no"))}, []string{"EXECUTE 6964 -> UNPREPARED"}},
		{"batch", []cuttest.Step{step(0, prepare(1, q)), step(1, prepared(1, "id")),
			step(0, envelope(4, 0, 2, opBatch, "\x00\x00\x03"+"\x01"+short("id")+"\x00\x01"+long("v")+"\x00"+long("DELETE")+"\x00\x00"+"\x01"+short("??")+"\x00\x00"+"\x00\x06"))},
			[]string{"PREPARE " + q + " -> Prepared", "BATCH " + q + "; DELETE; prepared 3f3f -> "}},
		{"payload, tracing and warnings", []cuttest.Step{step(0, envelope(4, flagPayload|flagTracing, 1, opQuery, "\x00\x01"+short("k")+long("v")+long(q))),
			step(1, envelope(0x84, flagTracing|flagWarning|flagPayload, 1, opResult, strings.Repeat("u", 16)+"\x00\x01"+short("beware")+"\x00\x01"+short("k")+long("v")+num(resultRows)))},
			[]string{"QUERY " + q + " -> Rows"}},
		{"event", []cuttest.Step{step(0, query(1, q)), step(1, envelope(0x84, 0, eventID, opEvent, short("STATUS_CHANGE")+short("UP"))+void(1))},
			[]string{"<EVENT STATUS_CHANGE -> ", "QUERY " + q + " -> Void"}},
		{"snappy", []cuttest.Step{step(0, envelope(4, 0, 0, opStartup, startup+short("snappy"))), step(1, envelope(0x84, 0, 0, opReady, "")),
			step(0, envelope(4, 1, 1, opQuery, string(snappy.Encode(nil, []byte(long(q)+"\x00\x06\x00")))))}, []string{"STARTUP -> READY", "QUERY " + q + " -> "}},
		{"snappy, and nobody said so", []cuttest.Step{step(0, envelope(4, 1, 1, opQuery, string(snappy.Encode(nil, []byte(long(q)+"\x00\x06\x00")))))}, []string{"QUERY " + q + " -> "}},
		{"LZ4, and nobody said so", []cuttest.Step{step(0, envelope(4, 1, 1, opQuery, num(12)+"\xc0"+long("USE shop")))}, []string{"QUERY USE shop -> "}},
		{"segments", after5(step(0, frame(v5(1, "USE a")+v5(2, "USE b"), true)), step(1, frame(void5(1)+void5(2), true))), []string{"STARTUP -> READY", "QUERY USE a -> Void", "QUERY USE b -> Void"}},
		{"message of two segments", after5(step(0, frame(large[:500], false)+frame(large[500:], false)), step(1, frame(void5(1), true))), []string{"STARTUP -> READY", "QUERY " + q + strings.Repeat(" ", 175) + "… -> Void"}},
		{"segment lost", after5(step(0, frame(large[:500], false)), cuttest.Step{Dir: 0}, step(0, frame(v5(2, "USE b"), true)), step(1, frame(void5(2), true))),
			[]string{"STARTUP -> READY", "QUERY USE b -> Void", "~QUERY " + q + strings.Repeat(" ", 175) + "… -> "}},
		{"hole in a segment", after5(step(0, frame(v5(1, "USE a"), true)[:25]), cuttest.Step{Dir: 0, Gap: 4}, step(0, frame(v5(1, "USE a"), true)[29:]+frame(v5(2, "USE b"), true)), step(1, frame(void5(1)+void5(2), true))),
			[]string{"STARTUP -> READY", "~QUERY USE a -> Void", "QUERY USE b -> Void"}},
		{"compressed segments from the middle", []cuttest.Step{step(0, packedFrame(v5(1, "USE a"))), step(1, packedFrame(void5(1)))}, []string{"QUERY USE a -> Void"}},
		{"version refused", []cuttest.Step{begin5[0], step(1, failed(0, 0x000A, "unsupported")), step(0, query(1, "USE a")), step(1, void(1))}, []string{"STARTUP -> PROTOCOL_ERROR", "QUERY USE a -> Void"}},
		{"hole within", []cuttest.Step{step(0, big[:60]), {Dir: 0, Gap: int64(len(big) - 100)}, step(0, big[len(big)-40:]+query(2, "USE b")), step(1, void(1)+void(2))},
			[]string{"~QUERY INSERT INTO a (b) VALUES ('" + strings.Repeat("x", 20) + " -> Void", "QUERY USE b -> Void"}},
		{"hole of unknown size", []cuttest.Step{step(0, query(1, "USE a")), {Dir: 0}, step(0, "xxx"+query(2, "USE b")), step(1, void(2))}, []string{"QUERY USE b -> Void", "QUERY USE a -> "}},
		{"response without a request", []cuttest.Step{step(1, void(1)), step(0, query(2, "USE b")), step(1, void(2))}, []string{"QUERY USE b -> Void"}},
		{"not Cassandra", []cuttest.Step{step(0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")}, nil},
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
		{"query", [2]string{query(1, "USE a")}, dissect.Yes, false},
		{"result", [2]string{void(1)}, dissect.Yes, true},
		{"options", [2]string{envelope(5, 0, 0, opOptions, "")}, dissect.Yes, false},
		{"segment", [2]string{frame(v5(1, "USE a"), true)}, dissect.Yes, false},
		{"segment of the server", [2]string{packedFrame(void5(1) + void5(2))}, dissect.Yes, true},
		{"beginning", [2]string{query(1, "USE a")[:5]}, dissect.Unsure, false},
		{"header", [2]string{query(1, "USE a")[:9]}, dissect.Unsure, false},
		{"startup", [2]string{envelope(4, 0, 0, opStartup, "\x00\x01\x00\x0bCQL_VERSION\x00\x053.0.0")}, dissect.Yes, false},
		{"startup without an option", [2]string{envelope(4, 0, 0, opStartup, "\x00\x01\x00\x0bcql_version\x00\x053.0.0")}, dissect.No, false},
		{"SOCKS", [2]string{"\x05\x01\x00\x05\x01\x00\x03\x0bexample.com\x00\x50", "\x05\x00\x05\x00\x00\x01\x0a\x00\x00\x01\x00\x50"}, dissect.No, false},
		{"statement that is none", [2]string{envelope(4, 0, 1, opQuery, long("\x01\x02\x03\x04"))}, dissect.No, false},
		{"response of a client", [2]string{envelope(4, 0, 1, opResult, num(1))}, dissect.No, false},
		{"HTTP", [2]string{"GET / HTTP/1.1\r\n\r\n"}, dissect.No, false},
		{"MySQL", [2]string{"\x05\x00\x00\x00\x03BEGIN"}, dissect.No, false},
		{"TLS", [2]string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"}, dissect.No, false},
		{"zeroes", [2]string{strings.Repeat("\x00", 40)}, dissect.No, false},
	} {
		p := &dissect.Probe{Data: [2][]byte{[]byte(test.data[0]), []byte(test.data[1])}}
		if got := detect(p); got != test.want || p.Swap != test.swap {
			t.Errorf("%s: %v, swap %v", test.name, got, p.Swap)
		}
	}
}

// TestLimits: what waits and what was prepared is bounded.
func TestLimits(t *testing.T) {
	var steps []cuttest.Step
	for n := range frames.MaxPending + 5 {
		steps = append(steps, step(0, query(n, "USE a")))
	}
	if calls := play(t, steps...); len(calls) != frames.MaxPending+5 {
		t.Errorf("%d calls", len(calls))
	}
	p := newParser(&dissect.Flow{}, nil)
	for n := range maxPrepared + 10 {
		p.learn(fmt.Append(nil, n), []byte(strings.Repeat("x", 2000)))
	}
	if len(p.prepared) > maxPrepared || p.texts > maxTexts {
		t.Errorf("%d statements of %d bytes", len(p.prepared), p.texts)
	}
}

func BenchmarkQuery(b *testing.B) {
	k := &cuttest.Counter{}
	p := newParser(&dissect.Flow{Opening: 1}, k)
	req, resp := []byte(query(1, "SELECT * FROM shop.orders WHERE id = 17")), []byte(void(1))
	k.Bench(b, p, req, resp)
}
