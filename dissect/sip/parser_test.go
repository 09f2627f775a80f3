package sip

import (
	"fmt"
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
	e := call.Message.(*exchange)
	return string(e.cseq()), string(e.AppendStatus(nil)) // which a response alone has too
}

// request is a message with a body, if that is not empty.
func request(method, uri, branch string, cseq int, body string) string {
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP a:5060;branch=%s;rport\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: 17@a\r\nCSeq: %d %s\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		method, uri, branch, cseq, method, len(body), body)
}

func response(status, branch string, cseq int, method, body string) string {
	return fmt.Sprintf("SIP/2.0 %s\r\nv: SIP/2.0/UDP a:5060;branch=%s;received=1.2.3.4, SIP/2.0/UDP z\r\nf: <sip:a@x>;tag=1\r\nt: <sip:b@x>;tag=2\r\ni: 17@a\r\nCSeq: %d %s\r\nl: %d\r\n\r\n%s",
		status, branch, cseq, method, len(body), body)
}

var long = strings.Repeat("a=x\r\n", 400)

var (
	calling = []cuttest.Step{
		c(request("INVITE", "sip:b@x", "z1", 1, "v=0\r\n")), s(response("100 Trying", "z1", 1, "INVITE", "")), s(response("180 Ringing", "z1", 1, "INVITE", "")), s(response("200 OK", "z1", 1, "INVITE", "v=0\r\n")),
		c(request("ACK", "sip:b@x", "z2", 1, "")), s(request("BYE", "sip:a@x", "y1", 1, "")), c(response("200 OK", "y1", 1, "BYE", "")),
		c(request("OPTIONS", "tel:+49", "z3", 2, "")), s(response("404 Not Found", "z3", 2, "OPTIONS", "")), c(request("MESSAGE", "sip:b@x", "z4", 3, ""))}
	called = []string{"<INVITE -> 100", "<INVITE -> 180", "INVITE sip:b@x -> 200", "ACK sip:b@x", "<BYE sip:a@x -> 200", "!OPTIONS tel:+49 -> 404", "MESSAGE sip:b@x"}
)

var streams = []cuttest.Case{
	{Name: "a call", Steps: calling, Want: called},
	{Name: "pipeline", Steps: []cuttest.Step{
		c("\r\n\r\n" + request("MESSAGE", "sip:b@x", "z1", 1, long) + request("MESSAGE", "sip:b@x", "z2", 2, "")), s(response("202 Accepted", "z2", 2, "MESSAGE", "") + "\r\n" + response("200 OK", "z1", 1, "MESSAGE", ""))},
		Want: []string{"MESSAGE sip:b@x -> 202", "MESSAGE sip:b@x -> 200"}},
	{Name: "a hole in a body", Steps: []cuttest.Step{
		c(request("MESSAGE", "sip:b@x", "z1", 1, long)[:400]), cuttest.Missing(0, int64(len(request("MESSAGE", "sip:b@x", "z1", 1, long))-400)), s(response("200 OK", "z1", 1, "MESSAGE", "")),
		c(request("OPTIONS", "sip:b@x", "z2", 2, ""))},
		Want: []string{"~MESSAGE sip:b@x -> 200", "OPTIONS sip:b@x"}},
	{Name: "a hole in a head", Steps: []cuttest.Step{
		c("INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/U"), cuttest.Missing(0, 0), c("INVITE: no\r\n" + request("OPTIONS", "sip:b@x", "z2", 2, ""))},
		Want: []string{"~INVITE sip:b@x", "OPTIONS sip:b@x"}},
	{Name: "start lines cut at their end", Steps: []cuttest.Step{
		c("INVITE sip:b@x SIP/2.0"), cuttest.Missing(0, 300), s("SIP/2.0 180 Ringing"), cuttest.Missing(1, 200), c("ACK sip:b@x SIP/2.0"), cuttest.Missing(0, 0), c("BYE sip:b@x SIP/2"), cuttest.Missing(0, 90)},
		Want: []string{"<~ -> 180", "~ACK sip:b@x", "~INVITE sip:b@x"}},
	{Name: "not SIP", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{c("foo\n"), c("INVITE sip:b@x HTTP/1.1\r\n"), c("bar\n"), c("bar\n")}},
}

func TestStreams(t *testing.T) { cuttest.Cases(t, protocol, flow.TCP, same, streams) }

var datagrams = []cuttest.Case{
	{Name: "a call", Steps: calling, Want: called},
	{Name: "sent again", Steps: []cuttest.Step{
		c("\r\n\r\n"), c(request("INVITE", "sip:b@x", "z1", 1, "")), c(request("INVITE", "sip:b@x", "z1", 1, "")), s(response("486 Busy Here", "z1", 1, "INVITE", "")), s(response("486 Busy Here", "z1", 1, "INVITE", "")),
		c(request("ACK", "sip:b@x", "z1", 1, ""))},
		Want: []string{"INVITE sip:b@x", "!INVITE sip:b@x -> 486", "<!INVITE -> 486", "ACK sip:b@x"}},
	{Name: "cancelled", Steps: []cuttest.Step{
		c(request("INVITE", "sip:b@x", "z1", 1, "")), c(request("CANCEL", "sip:b@x", "z1", 1, "")), s(response("200 OK", "z1", 1, "CANCEL", "")), s(response("487 Request Terminated", "z1", 1, "INVITE", ""))},
		Want: []string{"CANCEL sip:b@x -> 200", "!INVITE sip:b@x -> 487"}},
	{Name: "cut", Steps: []cuttest.Step{
		c(request("MESSAGE", "sip:b@x", "z1", 1, long)[:250]), s(response("200 OK", "z1", 1, "MESSAGE", "")[:100])},
		Want: []string{"<~OK -> 200", "~MESSAGE sip:b@x"}},
	{Name: "after a long time", Steps: []cuttest.Step{
		c(request("OPTIONS", "sip:b@x", "z1", 1, "")), {Data: []byte(request("INVITE", "sip:b@x", "z2", 2, "")), Time: 40e9}, {Dir: 1, Data: []byte(response("200 OK", "z2", 2, "INVITE", "")), Time: 200e9}},
		Want: []string{"OPTIONS sip:b@x", "INVITE sip:b@x -> 200"}},
	{Name: "not SIP", GivenUp: true, Steps: []cuttest.Step{c("hello"), c("again"), s("world"), c("INVITE x")}},
}

func TestDatagrams(t *testing.T) { cuttest.Cases(t, protocol, flow.UDP, same, datagrams) }

func TestRecordedCut(t *testing.T) { cuttest.Cut(t, "testdata/*-tcp.pcap", protocol, same) }

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, "testdata/*-tcp.pcap", protocol) }

func FuzzDatagrams(f *testing.F) {
	var seeds [][]cuttest.Step
	for _, c := range datagrams {
		seeds = append(seeds, c.Steps)
	}
	cuttest.FuzzDatagrams(f, protocol, seeds...)
}

func TestFields(t *testing.T) {
	told, err := cuttest.Play(t, protocol, []cuttest.Step{{Time: 1, Data: []byte(request("MESSAGE", "sip:b@x", "z1", 1, "hello"))}, {Dir: 1, Time: 2, Data: []byte(response("200 OK", "z1", 1, "MESSAGE", ""))}}, 3, nil)
	want := `{"sip_method":"MESSAGE","sip_uri":"sip:b@x","sip_status":200,"sip_reason":"OK","sip_call_id":"17@a","sip_cseq":"1 MESSAGE","sip_from":"<sip:a@x>;tag=1","sip_to":"<sip:b@x>"} MESSAGE sip:b@x 200 body 5 true "hel"`
	if err != nil || len(told) != 1 || !strings.HasSuffix(told[0].Line, want) {
		t.Errorf("%+v, %v\nwant %s", told, err, want)
	}
}

func TestLimits(t *testing.T) {
	k := &cuttest.Counter{}
	p := newParser(&dissect.Flow{Transport: flow.UDP}, k)
	for i := range 3 * maxPending {
		p.Data(0, []byte(request("OPTIONS", "sip:b@x", fmt.Sprint("z", i), i, "")), dissect.Stamp{Time: 1})
	}
	if n := p.invites.Len() + p.others.Len(); n > maxPending || p.kept > maxKept || k.N+n != 3*maxPending {
		t.Errorf("%d requests of %d bytes wait, %d calls", n, p.kept, k.N)
	}
}

func TestDetect(t *testing.T) {
	const yes, no, unsure = dissect.Yes, dissect.No, dissect.Unsure
	invite, ok := request("INVITE", "sip:b@x", "z1", 1, ""), response("200 OK", "z1", 1, "INVITE", "")
	for _, tt := range []struct {
		name           string
		client, server string
		transport      flow.Proto
		middle         bool
		want           dissect.Verdict
		swap           bool
	}{
		{"INVITE", invite, "", flow.TCP, false, yes, false},
		{"INVITE over UDP", invite, "", flow.UDP, false, yes, false},
		{"INVITE of the second side", "", invite, flow.TCP, false, yes, true},
		{"response", ok, "", flow.UDP, false, yes, true},
		{"own method", strings.Replace(invite, "INVITE", "FROB", 1), "", flow.UDP, false, yes, false},
		{"half a start line", "INVITE sip:b", "", flow.TCP, false, unsure, false},
		{"half a start line over UDP", "INVITE sip:b", "", flow.UDP, false, no, false},
		{"a start line without its end", "INVITE sip:b SIP/2.0", "", flow.TCP, false, yes, false},
		{"a start line without its end, of the second side", "", "INVITE sip:b SIP/2.0", flow.UDP, false, yes, true},
		{"a start line without its end, of another method", "DESCRIBE sip:b SIP/2.0", "", flow.UDP, false, no, false},
		{"half a method", "INV", "", flow.TCP, false, unsure, false},
		{"half a response", "SIP/2.0 20", "", flow.TCP, false, yes, true},
		{"the rest of a message first", "a=x\r\n" + invite, "", flow.TCP, true, yes, false},
		{"keep-alive first", "\r\n\r\n" + invite, "", flow.TCP, false, yes, false},
		{"HTTP", "OPTIONS / HTTP/1.1\r\n", "", flow.TCP, false, no, false},
		{"HTTP answers", "HTTP/1.1 200 OK\r\n", "", flow.TCP, false, no, false},
		{"RTSP", "OPTIONS rtsp://x RTSP/1.0\r\n", "", flow.TCP, false, no, false},
		{"nothing", "", "", flow.TCP, false, no, false},
	} {
		p := &dissect.Probe{Transport: tt.transport, Data: [2][]byte{[]byte(tt.client), []byte(tt.server)}, FromStart: [2]bool{!tt.middle, !tt.middle}}
		if got := detect(p); got != tt.want || got == yes && p.Swap != tt.swap {
			t.Errorf("%s: %d, swap %v", tt.name, got, p.Swap)
		}
	}
}
