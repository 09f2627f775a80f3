package mongodb

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

var le = binary.LittleEndian

// message makes one.
func message(id, to, op int, body string) string {
	b := le.AppendUint32(nil, uint32(headerSize+len(body)))
	b = le.AppendUint32(b, uint32(id))
	b = le.AppendUint32(b, uint32(to))
	return string(le.AppendUint32(b, uint32(op))) + body
}

// doc makes a document of names and values: strings, ints, and documents that are made already.
type doc string

func bson(parts ...any) doc {
	var b []byte
	for i := 0; i+1 < len(parts); i += 2 {
		name := parts[i].(string) + "\x00"
		switch v := parts[i+1].(type) {
		case string:
			b = append(append(b, bsonString), name...)
			b = le.AppendUint32(b, uint32(len(v)+1))
			b = append(append(b, v...), 0)
		case int:
			b = append(append(b, bsonInt32), name...)
			b = le.AppendUint32(b, uint32(v))
		case doc:
			b = append(append(b, bsonDocument), name...)
			b = append(b, v...)
		case []doc:
			b = append(append(b, bsonArray), name...)
			b = append(b, bson("0", v[0])...)
		}
	}
	return doc(le.AppendUint32(nil, uint32(len(b)+5))) + doc(b) + "\x00"
}

func number(n int) string { return string(le.AppendUint32(nil, uint32(n))) }

func msg(id, to, flags int, d doc) string {
	return message(id, to, opMsg, number(flags)+"\x00"+string(d))
}

func packed(id, to, op int, body string, compressor byte, size int) string {
	data := body
	if compressor == 1 {
		data = string(snappy.Encode(nil, []byte(body)))
	}
	return message(id, to, opCompressed, number(op)+number(size)+string([]byte{compressor})+data)
}

func find(id int) string { return msg(id, 0, 0, bson("find", "orders", "$db", "shop")) }
func fine(id int) string { return msg(1000+id, id, 0, bson("ok", 1)) }

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
	return s
}

func TestParser(t *testing.T) {
	long := msg(1, 0, 0, bson("insert", "orders", "$db", "shop", "x", strings.Repeat("x", 40_000)))
	sequence := func() string {
		docs := number(4+10+len(bson("a", 1))) + "documents\x00" + string(bson("a", 1))
		return message(1, 0, opMsg, number(0)+"\x01"+docs+"\x00"+string(bson("insert", "orders", "$db", "shop")))
	}
	inner := number(0) + "\x00" + string(bson("ping", 1, "$db", "admin"))
	old := message(1, 0, opQuery, number(4)+"admin.$cmd\x00"+number(0)+number(-1)+string(bson("isMaster", 1)))
	for _, test := range []struct {
		name  string
		steps []cuttest.Step
		want  []string
	}{
		{"pair", []cuttest.Step{step(0, find(1)), step(1, fine(1))}, []string{"find shop.orders -> OK"}},
		{"by ID", []cuttest.Step{step(0, find(1)+msg(2, 0, 0, bson("ping", 1, "$db", "admin"))), step(1, fine(2)+fine(1))}, []string{"ping admin -> OK", "find shop.orders -> OK"}},
		{"error", []cuttest.Step{step(0, find(1)), step(1, msg(9, 1, 0, bson("ok", 0, "errmsg", "no", "code", 13, "codeName", "Unauthorized")))}, []string{"find shop.orders -> Unauthorized"}},
		{"error without a name", []cuttest.Step{step(0, find(1)), step(1, msg(9, 1, 0, bson("ok", 0, "code", 13)))}, []string{"find shop.orders -> 13"}},
		{"error without anything", []cuttest.Step{step(0, find(1)), step(1, msg(9, 1, 0, bson("ok", 0)))}, []string{"find shop.orders -> error"}},
		{"write error", []cuttest.Step{step(0, find(1)), step(1, msg(9, 1, 0, bson("n", 0, "writeErrors", []doc{bson("code", 11000)}, "ok", 1)))}, []string{"find shop.orders -> 11000"}},
		{"documents before the command", []cuttest.Step{step(0, sequence()), step(1, fine(1))}, []string{"insert shop.orders -> OK"}},
		{"no reply is wanted", []cuttest.Step{step(0, msg(1, 0, flagMore, bson("insert", "log", "$db", "shop")))}, []string{"insert shop.log -> "}},
		{"more replies than one", []cuttest.Step{step(0, find(1)), step(1, msg(50, 1, flagMore, bson("ok", 1))), step(1, msg(51, 50, 0, bson("ok", 1))), step(0, find(2)), step(1, fine(2))},
			[]string{"find shop.orders -> OK", "find shop.orders -> OK"}},
		{"getMore", []cuttest.Step{step(0, msg(1, 0, 0, bson("getMore", 5, "collection", "orders", "$db", "shop")))}, []string{"getMore shop.orders -> "}},
		{"explain", []cuttest.Step{step(0, msg(1, 0, 0, bson("explain", bson("find", "orders"), "$db", "shop")))}, []string{"explain shop.orders -> "}},
		{"of users", []cuttest.Step{step(0, msg(1, 0, 0, bson("createUser", "alice", "pwd", "x", "$db", "shop")))}, []string{"createUser shop -> "}},
		{"snappy", []cuttest.Step{step(0, packed(1, 0, opMsg, inner, 1, len(inner))), step(1, packed(2, 1, opMsg, number(0)+"\x00"+string(bson("ok", 1)), 1, 40))}, []string{"ping admin -> OK"}},
		{"not compressed after all", []cuttest.Step{step(0, packed(1, 0, opMsg, inner, 0, len(inner)))}, []string{"ping admin -> "}},
		{"corrupt", []cuttest.Step{step(0, packed(1, 0, opMsg, "nonsense, really", 2, 100)), step(1, fine(1))}, []string{"OP_MSG -> OK"}},
		{"OP_COMMAND", []cuttest.Step{step(0, message(1, 0, opCommand, "shop\x00find\x00"+string(bson("find", "orders"))+string(bson()))), step(1, message(2, 1, opCommandReply, string(bson("ok", 1))+string(bson())))}, []string{"find shop.orders -> OK"}},
		{"opcode that nobody knows", []cuttest.Step{step(0, message(0, 0, 2269, number(0)+"\x00"+string(bson("insert", "orders"))))}, []string{"2269 -> "}},
		{"hole within", []cuttest.Step{step(0, long[:200]), {Dir: 0, Gap: int64(len(long) - 300)}, step(0, long[len(long)-100:]+find(2)), step(1, fine(1)+fine(2))}, []string{"~insert shop.orders -> OK", "find shop.orders -> OK"}},
		{"hole of unknown size", []cuttest.Step{step(0, long[:200]), {Dir: 0}, step(0, "xxx"+find(2)), step(1, fine(1)+fine(2))}, []string{"~insert shop.orders -> OK", "find shop.orders -> OK"}},
		{"hole within a name", []cuttest.Step{step(0, find(3)), step(1, fine(3)), step(0, old[:16+4+7]), {Dir: 0, Gap: int64(len(old) - 16 - 4 - 7)}, step(1, fine(1))}, []string{"find shop.orders -> OK", "~OP_QUERY admin -> OK"}},
		{"hole behind the command", []cuttest.Step{step(0, find(3)), step(1, fine(3)), step(0, find(1)[:16+5+4+6+2]), {Dir: 0, Gap: int64(len(find(1)) - 16 - 5 - 4 - 6 - 2)}, step(1, fine(1))}, []string{"find shop.orders -> OK", "~find -> OK"}},
		{"reply without a request", []cuttest.Step{step(1, fine(1)), step(0, find(2)), step(1, fine(2))}, []string{"find shop.orders -> OK"}},
		{"not MongoDB", []cuttest.Step{step(0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")}, nil},
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
		{"request", [2]string{find(1)}, dissect.Yes, false},
		{"reply", [2]string{fine(1)}, dissect.Yes, true},
		{"reply of the server", [2]string{"", fine(1)}, dissect.Yes, false},
		{"beginning", [2]string{find(1)[:20]}, dissect.Unsure, false},
		{"opcode that is none", [2]string{message(1, 0, 77, number(0)+"\x00"+string(bson("find", "orders")))}, dissect.No, false},
		{"flags that nobody knows", [2]string{msg(1, 0, 8, bson("find", "orders"))}, dissect.No, false},
		{"query", [2]string{message(1, 0, opQuery, number(4)+"admin.$cmd\x00"+number(0)+number(-1)+string(bson("isMaster", 1)))}, dissect.Yes, false},
		{"HTTP", [2]string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n"}, dissect.No, false},
		{"Kafka", [2]string{"\x00\x00\x00\x1d\x00\x12\x00\x03\x00\x00\x00\x00\x00\x05shop1\x00\x04kgo\x02v\x00"}, dissect.No, false},
		{"MySQL", [2]string{"", "\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00\xff\xff"}, dissect.No, false},
		{"zeroes", [2]string{strings.Repeat("\x00", 40)}, dissect.No, false},
	} {
		p := &dissect.Probe{Data: [2][]byte{[]byte(test.data[0]), []byte(test.data[1])}}
		if got := detect(p); got != test.want || p.Swap != test.swap {
			t.Errorf("%s: %v, swap %v", test.name, got, p.Swap)
		}
	}
}

// TestBSON: every type is stepped over, and a document that is cut anywhere is no trouble.
func TestBSON(t *testing.T) {
	var b []byte
	for kind, size := range map[byte]int{0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0} {
		b = append(append(append(b, kind), "x\x00"...), make([]byte, size)...)
	}
	for _, s := range []string{"\x05x\x00\x03\x00\x00\x00\x00abc", "\x0bx\x00a\x00i\x00", "\x0cx\x00\x02\x00\x00\x00a\x00" + strings.Repeat("o", 12),
		"\x0dx\x00\x02\x00\x00\x00a\x00", "\x0fx\x00\x0f\x00\x00\x00\x02\x00\x00\x00a\x00" + string(bson())} {
		b = append(b, s...)
	}
	b = append(b, "\x02last\x00\x03\x00\x00\x00it\x00\x00"...)
	all := append(le.AppendUint32(nil, uint32(len(b)+4)), b...)
	n, last := 0, element{}
	for d := newDocument(all); ; n++ {
		e, ok := d.next()
		if !ok {
			break
		}
		last = e
	}
	if n != 18 || string(last.text()) != "it" {
		t.Errorf("%d elements, the last %q", n, last.text())
	}
	for cut := range all {
		for d := newDocument(all[:cut]); ; {
			e, ok := d.next()
			if !ok {
				break
			}
			e.text()
			e.number()
		}
	}
}

func TestLimits(t *testing.T) {
	var steps []cuttest.Step
	for n := range frames.MaxPending + 5 {
		steps = append(steps, step(0, find(n+1)))
	}
	if calls := play(t, steps...); len(calls) != frames.MaxPending+5 || calls[0][0] != '~' || calls[5][0] == '~' {
		t.Errorf("%d calls", len(calls))
	}
}

func BenchmarkFind(b *testing.B) {
	req, resp := find(1), fine(1)
	benchmark(b, req, resp)
}

func BenchmarkCompressed(b *testing.B) {
	inner, answer := number(0)+"\x00"+string(bson("find", "orders", "$db", "shop")), number(0)+"\x00"+string(bson("ok", 1))
	benchmark(b, packed(1, 0, opMsg, inner, 1, len(inner)), packed(2, 1, opMsg, answer, 1, len(answer)))
}

func benchmark(b *testing.B, req, resp string) {
	k := &cuttest.Counter{}
	p := newParser(&dissect.Flow{Opening: 1}, k)
	asked, answered := []byte(req), []byte(resp)
	k.Bench(b, p, asked, answered)
}

// TestSizes: a header that says less than there is of it, or more than may be, begins nothing,
// in whatever pieces it comes.
func TestSizes(t *testing.T) {
	for op := range opcodes {
		for _, size := range []uint32{0, 1, headerSize - 1, headerSize, headerSize + 3, headerSize + 4, 1 << 27, 1<<32 - 1} {
			var b []byte
			for _, n := range []uint32{size, 1, 0, uint32(op), 0, 0, 0, 0} {
				b = binary.LittleEndian.AppendUint32(b, n)
			}
			look(b)
			for cut := 1; cut < len(b); cut++ {
				play(t, step(0, string(b[:cut])), step(0, string(b[cut:])), step(1, string(b)))
			}
		}
	}
}
