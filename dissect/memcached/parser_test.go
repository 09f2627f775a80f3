package memcached

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

var (
	c = cuttest.Client
	s = cuttest.Server
)

func same(call *dissect.Call) (request, response string) {
	return string(call.Message.AppendSummary(nil)), string(call.Message.AppendStatus(nil))
}

// packet is a message of the binary protocol.
func packet(magic, op byte, status uint16, opaque uint32, extras int, key, value string) string {
	b := make([]byte, headerSize+extras)
	b[0], b[1], b[4] = magic, op, byte(extras)
	binary.BigEndian.PutUint16(b[2:], uint16(len(key)))
	binary.BigEndian.PutUint16(b[6:], status)
	binary.BigEndian.PutUint32(b[8:], uint32(extras+len(key)+len(value)))
	binary.BigEndian.PutUint32(b[12:], opaque)
	return string(b) + key + value
}

func ask(op byte, opaque uint32, extras int, key, value string) string {
	return packet(magicAsk, op, 0, opaque, extras, key, value)
}

func answer(op byte, status uint16, opaque uint32, extras int, key, value string) string {
	return packet(magicReply, op, status, opaque, extras, key, value)
}

// framed is a datagram.
func framed(id, part, parts byte, payload string) string {
	return string([]byte{0, id, 0, part, 0, parts, 0, 0}) + payload
}

var long = strings.Repeat("x", 3000)

var streams = []cuttest.Case{
	{Name: "store and fetch", Steps: []cuttest.Step{
		c("set a 0 0 5\r\nhello\r\n"), s("STORED\r\n"), c("get a\r\n"), s("VALUE a 0 5\r\nhello\r\nEND\r\n"), c("gets a b\r\n"), s("VALUE a 0 5 17\r\nhello\r\nVALUE b 1 2 3\r\n\r\n\r\nEND\r\n"),
		c("get z\r\n"), s("END\r\n"), c("gat 10 a\r\n"), s("VALUE a 0 5\r\nhello\r\nEND\r\n"), c("touch a 60\r\n"), s("TOUCHED\r\n"), c("cas a 0 0 1 17\r\nx\r\n"), s("EXISTS\r\n"),
		c("delete a\r\n"), s("DELETED\r\n"), c("delete b 0\r\n"), s("NOT_FOUND\r\n"), c("incr n 3\r\n"), s("14\r\n"), c("decr n 3\r\n"), s("NOT_FOUND\r\n"), c("version\r\n"), s("VERSION 1.6.18\r\n"),
		c("quit\r\n")},
		Want: []string{"set a 0 0 5 -> STORED", "get a -> VALUE", "gets a b -> VALUE", "get z -> END", "gat 10 a -> VALUE", "touch a 60 -> TOUCHED", "cas a 0 0 1 17 -> EXISTS",
			"delete a -> DELETED", "delete b 0 -> NOT_FOUND", "incr n 3 -> 14", "decr n 3 -> NOT_FOUND", "version -> VERSION", "quit"}},
	{Name: "errors", Steps: []cuttest.Step{
		c("get a\r\n"), s("END\r\n"), c("nosuch thing\r\n"), s("ERROR\r\n"), c("get " + strings.Repeat("k", 251) + "\r\n"), s("CLIENT_ERROR bad command line format\r\n"),
		c("set b 0 0 3000\r\n" + long + "\r\n"), s("SERVER_ERROR object too large for cache\r\n")},
		Want: []string{"get a -> END", "!nosuch thing -> ERROR", "!get " + strings.Repeat("k", 196) + "… -> CLIENT_ERROR", "!set b 0 0 3000 -> SERVER_ERROR"}},
	{Name: "a value of another length", NoDamage: true, Steps: []cuttest.Step{
		c("set a 0 0 3\r\nhello\r\n"), s("CLIENT_ERROR bad data chunk\r\nERROR\r\n"), c("get a\r\n"), s("END\r\n")},
		Want: []string{"~!set a 0 0 3 -> CLIENT_ERROR", "~get a"}},
	{Name: "noreply", Steps: []cuttest.Step{
		c("set a 0 0 1 noreply\r\nx\r\nset b 0 0 1\r\ny\r\ndelete a noreply\r\nget b\r\n"), s("STORED\r\nVALUE b 0 1\r\ny\r\nEND\r\n")},
		Want: []string{"set a 0 0 1 noreply", "delete a noreply", "set b 0 0 1 -> STORED", "get b -> VALUE"}},
	{Name: "statistics", Steps: []cuttest.Step{
		c("stats\r\n"), s("STAT pid 7\r\nSTAT uptime 9\r\n"), s("STAT version 1.6.18\r\nEND\r\n"), c("stats reset\r\n"), s("RESET\r\n"), c("flush_all\r\n"), s("OK\r\n"), c("verbosity 1\r\n"), s("OK\r\n"),
		c("lru_crawler metadump all\r\n"), s("key=a exp=-1 la=17 cas=2 fetch=no cls=1 size=63\r\nEND\r\n")},
		Want: []string{"stats -> STAT", "stats reset -> RESET", "flush_all -> OK", "verbosity 1 -> OK", "lru_crawler metadump all -> key=a"}},
	{Name: "meta", Steps: []cuttest.Step{
		c("ms a 5 T60\r\nhello\r\n"), s("HD\r\n"), c("mg a v t\r\n"), s("VA 5 t59\r\nhello\r\n"), c("mg b v\r\n"), s("EN\r\n"), c("md a q\r\nmn\r\n"), s("MN\r\n"), c("ma n N0 J5 v\r\n"), s("VA 1\r\n5\r\n"),
		c("mg x v k q\r\nmg y v k q\r\nmg z v k q\r\nmn\r\n"), s("VA 1 ky\r\n1\r\nMN\r\n"), c("mg x O1 v q\r\nmg x O2 v\r\n"), s("EN O2\r\n"), c("me y\r\n"), s("ME y exp=-1\r\n")},
		Want: []string{"ms a 5 T60 -> HD", "mg a v t -> VA", "mg b v -> EN", "md a q", "mn -> MN", "ma n N0 J5 v -> VA", "mg x v k q", "mg y v k q -> VA", "mg z v k q", "mn -> MN",
			"mg x O1 v q", "mg x O2 v -> EN", "me y -> ME"}},
	{Name: "pipeline", Steps: []cuttest.Step{
		c("set k1 0 0 1\r\na\r\nget k1\r\nget k2\r\nincr k3 1\r\n"), s("STORED\r\nVALUE k1 0 1\r\na\r\nEND\r\nEND\r\n"), s("NOT_FOUND\r\n")},
		Want: []string{"set k1 0 0 1 -> STORED", "get k1 -> VALUE", "get k2 -> END", "incr k3 1 -> NOT_FOUND"}},
	{Name: "a reply that fits only a later command", NoDamage: true, Steps: []cuttest.Step{
		c("get a\r\n"), c("incr n 1\r\n"), s("5\r\n")},
		Want: []string{"get a", "incr n 1 -> 5"}},
	{Name: "a reply before its command", NoDamage: true, Steps: []cuttest.Step{
		c("get a\r\n"), s("END\r\n"), {Dir: 1, Data: []byte("TOUCHED\r\n"), Time: 3e9}, {Data: []byte("touch a 1\r\n"), Time: 3e9 - 5}},
		Want: []string{"get a -> END", "touch a 1 -> TOUCHED"}},
	{Name: "not all of a value", Steps: []cuttest.Step{
		c("set a 0 0 3000\r\n" + long[:100]), cuttest.Missing(0, 2900), c("\r\n"), s("STORED\r\n"), c("get a\r\n"), s("VALUE a 0 3000\r\nxx"), cuttest.Missing(1, 2998), s("\r\nEND\r\n"),
		c("get b\r\n"), s("END\r\n")},
		Want: []string{"~set a 0 0 3000 -> STORED", "~get a -> VALUE", "get b -> END"}},
	{Name: "a hole in the replies", Steps: []cuttest.Step{
		c("get a\r\n"), s("END\r\n"), c("get b\r\n"), s("END\r\n"), c("get c\r\n"), s("END\r\n"), c("get d\r\n"), cuttest.Missing(1, 0), c("get e\r\n"), s("VALUE e 0 1\r\nx\r\nEND\r\n")},
		Want: []string{"get a -> END", "get b -> END", "get c -> END", "~get d", "~get e -> VALUE"}},
	{Name: "a hole in the replies of a pipeline", Steps: []cuttest.Step{
		c("get a\r\nget b\r\n"), cuttest.Missing(1, 0), s("END\r\n"), c("get c\r\n"), s("END\r\n"), c("get d\r\n"), s("END\r\n")},
		Want: []string{"~get a", "~get b", "~get c", "get d -> END"}},
	{Name: "not memcached", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{
		c("\x01\x02\nfoo\n\x01\n"), s("hello\nworld\nagain\n"), c("x\ny\n"), s("z\n")}},
	{Name: "binary", Steps: []cuttest.Step{
		c(ask(0x01, 7, 8, "k1", "hello")), s(answer(0x01, 0, 7, 0, "", "")), c(ask(0x00, 8, 0, "k1", "")), s(answer(0x00, 0, 8, 4, "", "hello")),
		c(ask(0x00, 9, 0, "k2", "")), s(answer(0x00, 1, 9, 0, "", "Not found")),
		c(ask(0x0d, 10, 0, "x", "") + ask(0x0d, 11, 0, "k1", "") + ask(0x0a, 12, 0, "", "")), s(answer(0x0d, 0, 11, 4, "k1", "hello") + answer(0x0a, 0, 12, 0, "", "")),
		c(ask(0x10, 13, 0, "", "")), s(answer(0x10, 0, 13, 0, "pid", "7") + answer(0x10, 0, 13, 0, "", "")), c(ask(0x05, 14, 20, "k1", "")), s(answer(0x05, 6, 14, 0, "", "Non-numeric")),
		c(ask(0x21, 15, 0, "PLAIN", "\x00me\x00secret")), s(answer(0x21, 0, 15, 0, "", "")), c(ask(0x07, 16, 0, "", "")), s(answer(0x07, 0, 16, 0, "", ""))},
		Want: []string{"set k1 -> OK", "get k1 -> OK", "get k2 -> NOT_FOUND", "get key quietly x", "get key quietly k1 -> OK", "no-op -> OK", "statistics -> OK", "!increment k1 -> NON_NUMERIC",
			"sasl authenticate -> OK", "quit -> OK"}},
	{Name: "binary without opaque values", Steps: []cuttest.Step{
		c(ask(0x01, 0, 8, "k1", "a") + ask(0x11, 0, 8, "k2", "b") + ask(0x00, 0, 0, "k1", "")), s(answer(0x01, 0, 0, 0, "", "") + answer(0x00, 0, 0, 4, "", "a"))},
		Want: []string{"set k1 -> OK", "set quietly k2", "get k1 -> OK"}},
}

func TestStreams(t *testing.T) { cuttest.Cases(t, protocol, flow.TCP, same, streams) }

var datagramCases = []cuttest.Case{
	{Name: "text", Steps: []cuttest.Step{
		c(framed(1, 0, 1, "set a 0 0 1\r\nx\r\n")), s(framed(1, 0, 1, "STORED\r\n")), c(framed(2, 0, 1, "get a\r\n")), c(framed(3, 0, 1, "get b\r\n")), s(framed(3, 0, 1, "END\r\n")),
		s(framed(2, 0, 2, "VALUE a 0 1\r\nx\r\n")), s(framed(2, 1, 2, "END\r\n")), c(framed(4, 0, 1, "get c\r\n"))},
		Want: []string{"set a 0 0 1 -> STORED", "get b -> END", "get a -> VALUE", "get c"}},
	{Name: "several", Steps: []cuttest.Step{
		c(framed(1, 0, 1, "set a 0 0 1 noreply\r\nx\r\nset b 0 0 1 noreply\r\ny\r\n")), c(framed(2, 0, 1, "get a\r\n")), c(framed(2, 0, 1, "get a\r\n")), s(framed(2, 0, 1, "END\r\n"))},
		Want: []string{"set a 0 0 1 noreply", "set b 0 0 1 noreply", "get a", "get a -> END"}},
	{Name: "a part is missing", Steps: []cuttest.Step{
		c(framed(1, 0, 1, "get a\r\n")), s(framed(1, 0, 3, "VALUE a 0 2000\r\nx")), s(framed(1, 2, 3, "x\r\nEND\r\n"))},
		Want: []string{"~get a -> VALUE"}},
	{Name: "binary", Steps: []cuttest.Step{
		c(framed(1, 0, 1, ask(0x00, 8, 0, "k1", ""))), s(framed(1, 0, 1, answer(0x00, 0, 8, 4, "", "hello")))},
		Want: []string{"get k1 -> OK"}},
	{Name: "not memcached", GivenUp: true, Steps: []cuttest.Step{c("a"), c("b"), s("c"), c("d")}},
}

func TestDatagrams(t *testing.T) { cuttest.Cases(t, protocol, flow.UDP, same, datagramCases) }

func TestRecordedCut(t *testing.T) { cuttest.Cut(t, "testdata/[mpt]*.pcap", protocol, same) }

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, "testdata/*.pcap", protocol) }

func FuzzDatagrams(f *testing.F) {
	var seeds [][]cuttest.Step
	for _, c := range datagramCases {
		seeds = append(seeds, c.Steps)
	}
	cuttest.FuzzDatagrams(f, protocol, seeds...)
}

// TestDatagramLimits: what waits is bounded, and that is told.
func TestDatagramLimits(t *testing.T) {
	var incomplete []bool
	k := &marks{each: func(c *dissect.Call) { incomplete = append(incomplete, c.Incomplete) }}
	p := newDatagrams(k)
	for n := range maxAsked + 5 {
		p.Data(0, append([]byte{byte(n >> 8), byte(n)}, "\x00\x00\x00\x01\x00\x00get k\r\n"...), dissect.Stamp{Time: 1})
	}
	p.Close(dissect.Stamp{Time: 2})
	if n := len(incomplete); n != maxAsked+5 || slices.Contains(incomplete[:5], false) || slices.Contains(incomplete[5:], true) {
		t.Errorf("%d calls", n)
	}
}

// marks is a sink.
type marks struct{ each func(*dissect.Call) }

func (k *marks) Call(c *dissect.Call)  { k.each(c) }
func (k *marks) Bodies() (int, bool)   { return 0, false }
func (k *marks) Switch(string, []byte) {}
