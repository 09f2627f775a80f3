package diameter

import (
	"encoding/binary"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/dissect/dns"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/dissect/http1"
	"github.com/sshark/sshark/pcap/flow"
)

var update = flag.Bool("update", false, "write the golden files")

const recorded = "testdata/*.pcap"

// TestRecorded reads captures; testdata/README.md says how they were made.
func TestRecorded(t *testing.T) {
	dissecttest.Golden(t, *update, recorded, http1.Protocol(), Protocol(), dns.Protocol())
}

func same(c *dissect.Call) (request, response string) {
	e := c.Message.(*exchange)
	if e.said {
		response = fmt.Sprint(e.code, c.Error, c.ResponseSize)
	}
	return fmt.Sprintf("%v %s %d %d", c.Reverse, e.AppendSummary(nil), e.application, c.RequestSize), response
}

func TestCut(t *testing.T) {
	cuttest.Cut(t, "testdata/[!s]*.pcap", Protocol(), same)
	cuttest.CutDatagrams(t, "testdata/sctp*.pcap", Protocol(), same)
}

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, "testdata/[!s]*.pcap", Protocol()) }

func FuzzSCTP(f *testing.F) { cuttest.FuzzFlows(f, "testdata/sctp*.pcap", Protocol()) }

// avp is one AVP, padded.
func avp(code uint32, value string) string {
	b := binary.BigEndian.AppendUint32(nil, code)
	b = binary.BigEndian.AppendUint32(b, 0x40<<24|uint32(avpSize+len(value)))
	b = append(b, value...)
	return string(append(b, make([]byte, -len(b)&3)...))
}

func u32(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

// msg is a message.
func msg(flags byte, command, hop uint32, avps ...string) string {
	body := strings.Join(avps, "")
	return u32(1<<24|uint32(headerSize+len(body))) + u32(uint32(flags)<<24|command) + u32(4) + u32(hop) + u32(77) + body
}

var (
	c       = cuttest.Client
	s       = cuttest.Server
	session = avp(avpSession, "gw;1")
	host    = avp(avpOriginHost, "gw.example")
	done    = avp(avpResult, u32(2001))
	no      = avp(avpResult, u32(5030))
)

func ask(command, hop uint32, avps ...string) string {
	return msg(0xc0, command, hop, append(avps, host)...)
}

func TestConversations(t *testing.T) {
	conversations := []cuttest.Case{
		{Name: "a connection", Steps: []cuttest.Step{c(ask(257, 1)), s(msg(0, 257, 1, done)), c(ask(280, 2)), s(msg(0, 280, 2, done)), s(ask(280, 2)), c(msg(0, 280, 2, done)), c(ask(282, 3)), s(msg(0, 282, 3, done))},
			Want: []string{"Capabilities-Exchange gw.example -> SUCCESS", "Device-Watchdog gw.example -> SUCCESS", "<Device-Watchdog gw.example -> SUCCESS", "Disconnect-Peer gw.example -> SUCCESS"}},
		{Name: "answers in another order", Steps: []cuttest.Step{c(ask(272, 1, session)), c(ask(272, 2, session)), c(ask(272, 3, avp(avpSession, "gw;3"))), s(msg(0x40, 272, 3, done)), s(msg(0x40, 272, 1, session, no, avp(avpErrorMessage, "who?")))},
			Want: []string{"Credit-Control gw;3 -> SUCCESS", "!Credit-Control gw;1 -> USER_UNKNOWN", "Credit-Control gw;1"}},
		{Name: "results", Steps: []cuttest.Step{
			c(ask(318, 1, session)), s(msg(0x40, 318, 1, avp(avpExperimental, avp(266, u32(10415))+avp(avpExperimentCode, u32(5001))))),
			c(ask(318, 2, session)), s(msg(0x40, 318, 2, avp(avpExperimental, avp(avpExperimentCode, u32(2001))))),
			c(ask(272, 3, session)), s(msg(0x60, 272, 3, avp(avpResult, u32(3002)))),
			c(ask(272, 4, session)), s(msg(0x40, 272, 4, session, avp(avpResult, u32(1999)))),
			c(ask(272, 5, session)), s(msg(0x40, 272, 5, session))},
			Want: []string{"!Authentication-Information gw;1 -> 5001", "Authentication-Information gw;1 -> 2001", "!Credit-Control gw;1 -> UNABLE_TO_DELIVER", "Credit-Control gw;1 -> 1999", "Credit-Control gw;1"}},
		{Name: "asked again", Steps: []cuttest.Step{c(ask(272, 1, session)), c(ask(272, 1, session)), s(msg(0x40, 272, 1, done))},
			Want: []string{"Credit-Control gw;1", "Credit-Control gw;1 -> SUCCESS"}},
		{Name: "an answer to something else", Steps: []cuttest.Step{s(msg(0x40, 272, 9, done)), c(ask(272, 1, session)), s(msg(0x40, 271, 1, done))}, Want: []string{"Credit-Control gw;1"}},
		{Name: "command without a name", Steps: []cuttest.Step{c(ask(9999, 1, session)), s(msg(0x40, 9999, 1, session, done))}, Want: []string{"9999 gw;1 -> SUCCESS"}},
	}
	cuttest.Cases(t, Protocol(), flow.TCP, same, append(conversations,
		cuttest.Case{Name: "bytes missing in an answer", Steps: []cuttest.Step{c(ask(272, 1, session)), s(msg(0x40, 272, 1, session, done)[:30]), cuttest.Missing(1, 14), c(ask(272, 2, session)), s(msg(0x40, 272, 2, done))},
			Want: []string{"~Credit-Control gw;1", "Credit-Control gw;1 -> SUCCESS"}},
		cuttest.Case{Name: "an answer missing", Steps: []cuttest.Step{c(ask(272, 1, session)), cuttest.Missing(1, 0), c(ask(272, 2, session)), s(msg(0x40, 272, 2, done))},
			Want: []string{"Credit-Control gw;1 -> SUCCESS", "Credit-Control gw;1"}},
		cuttest.Case{Name: "something else", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{c("hello"), s("world")}},
	))
	cuttest.Cases(t, Protocol(), flow.SCTP, same, append(conversations,
		cuttest.Case{Name: "cut", Steps: []cuttest.Step{c(ask(272, 1, session)[:40]), s(msg(0x40, 272, 1, done)[:30])}, Want: []string{"~Credit-Control gw;1"}},
		cuttest.Case{Name: "something else", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{c("hello"), s("world")}},
	))
}

func TestDetect(t *testing.T) {
	const yes, no, unsure = dissect.Yes, dissect.No, dissect.Unsure
	request, answer := ask(272, 1, session), msg(0x40, 272, 1, session, done)
	for _, tt := range []struct {
		name   string
		data   [2]string
		opened bool
		want   dissect.Verdict
		swap   bool
	}{
		{"request", [2]string{request}, true, yes, false},
		{"answer", [2]string{answer}, false, yes, true},
		{"answer of the other side", [2]string{"", answer}, false, yes, false},
		{"request of the other side", [2]string{"", request}, false, yes, true},
		{"request of the other side that was opened to", [2]string{"", request}, true, yes, false},
		{"watchdog of the other side", [2]string{"", ask(280, 1)}, false, yes, false},
		{"command without a name", [2]string{ask(9999, 1, session)}, true, yes, false},
		{"command without a name, and an AVP that says nothing", [2]string{ask(9999, 1, avp(1, "x"))}, true, no, false},
		{"one byte", [2]string{request[:1]}, true, unsure, false},
		{"beginning", [2]string{request[:27]}, true, unsure, false},
		{"another version", [2]string{"\x02" + request[1:]}, true, no, false},
		{"odd length", [2]string{request[:3] + "\x31"}, true, no, false},
		{"reserved flag", [2]string{request[:4] + "\x81"}, true, no, false},
		{"no AVPs", [2]string{msg(0x80, 272, 1)}, true, no, false},
		{"AVP that is too long", [2]string{request[:headerSize+5] + "\xff\xff\xff"}, true, no, false},
		{"HTTP", [2]string{"GET / HTTP/1.1\r\n\r\n"}, true, no, false},
		{"SQL Server", [2]string{"\x01\x09\x00\xb4\x00\x00\x01\x00\x16\x00\x00\x00\x12\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"}, true, no, false},
		{"nothing", [2]string{}, true, no, false},
	} {
		p := dissect.Probe{Transport: flow.TCP, Opened: tt.opened, Data: [2][]byte{[]byte(tt.data[0]), []byte(tt.data[1])}, FromStart: [2]bool{tt.opened, tt.opened}}
		if got := detect(&p); got != tt.want || p.Swap != tt.swap {
			t.Errorf("%s: got %v, swap %v; want %v, %v", tt.name, got, p.Swap, tt.want, tt.swap)
		}
	}
}

func BenchmarkCalls(b *testing.B) {
	k := &cuttest.Counter{}
	p := protocol.New(&dissect.Flow{Transport: flow.TCP}, k)
	request, answer := []byte(ask(272, 1, session)), []byte(msg(0x40, 272, 1, session, done))
	k.Bench(b, p, request, answer)
}

// TestLimits: what waits is bounded, and that is told.
func TestLimits(t *testing.T) {
	var steps []cuttest.Step
	for n := range uint32(frames.MaxPending + 5) {
		steps = append(steps, cuttest.Step{Data: []byte(ask(280, n+1)), Time: int64(n + 1)})
	}
	told, err := cuttest.Play(t, Protocol(), steps, 0, nil)
	if err != nil || len(told) != frames.MaxPending+5 || !told[0].Incomplete || told[5].Incomplete {
		t.Errorf("%d calls, %v", len(told), err)
	}
}
