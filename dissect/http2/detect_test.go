package http2

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/http1"
)

func TestDetect(t *testing.T) {
	talk := begin()
	hello, settings := talk.said(0), talk.said(1)
	talk = newTalk()
	talk.c().get(1, "/a").send()
	talk.s().answer(1, false, 200).data(1, true, rep(3000)).send()
	talk.s().data(1, false, rep(100)).data(1, false, rep(100)).data(1, false, rep(100)).send()
	talk.s().framer.WritePing(true, [8]byte{})
	talk.s().framer.WriteWindowUpdate(0, 1)
	talk.s().send()
	talk.c().headers(1, true, "x-end here").send()
	talk.s().settings(http2.Setting{ID: 99, Val: 1}).send()
	request, response, bodies, control, end, odd := talk.said(0), talk.said(1), talk.said(2), talk.said(3), talk.said(4), talk.said(5)
	start, middle := [2]bool{true, true}, [2]bool{}
	for _, tt := range []struct {
		name          string
		client, other string
		from          [2]bool
		want          dissect.Verdict
		swap          bool
	}{
		{"preface", hello, "", start, dissect.Yes, false},
		{"preface, without SYN", hello, "", middle, dissect.Yes, false},
		{"preface of the other side", "", hello, middle, dissect.Yes, true},
		{"half a preface", hello[:20], "", start, dissect.Unsure, false},
		{"a letter", "P", "", start, dissect.Unsure, false},
		{"nearly a preface", "PRI * HTTP/2.0\r\n\r\nXX", "", start, dissect.No, false},
		{"HTTP/1", "GET / HTTP/1.1\r\n\r\n", "", start, dissect.No, false},
		{"server first", "", settings, start, dissect.Yes, false},
		{"server first, no more yet", "", settings[:15], start, dissect.Unsure, false},
		{"a client without preface", request, "", start, dissect.No, false},
		{"request", request, "", middle, dissect.Yes, false},
		{"request, other side", "", request, middle, dissect.Yes, true},
		{"response", "", response, middle, dissect.Yes, false},
		{"response of the first side", response, "", middle, dissect.Yes, true},
		{"bodies", "", bodies, middle, dissect.Yes, false},
		{"control frames", "", control, middle, dissect.Yes, false},
		{"in the middle of a body", rep(500) + request, "", middle, dissect.Yes, false},
		{"half a request", request[:20], "", middle, dissect.Unsure, false},
		{"trailers alone", end, "", middle, dissect.Unsure, false},
		{"a setting that nobody knows", "", odd, middle, dissect.No, false},
		{"nothing but a body", rep(2048), "", middle, dissect.No, false},
		{"zeros", string(make([]byte, 2048)), "", middle, dissect.No, false},
		{"PostgreSQL", "\x00\x00\x00\x08\x04\xd2\x16\x2f", "", start, dissect.No, false},
		{"PostgreSQL startup", "\x00\x00\x00\x29\x00\x03\x00\x00user\x00", "", middle, dissect.No, false},
		{"Kafka", "\x00\x00\x00\x2b\x00\x03\x00\x09\x00\x00\x00\x01\x00\x07client1", "", middle, dissect.No, false},
		{"DNS", "\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01", "", middle, dissect.No, false},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "", middle, dissect.No, false},
	} {
		p := &dissect.Probe{Data: [2][]byte{[]byte(tt.client), []byte(tt.other)}, FromStart: tt.from, Opened: tt.from[0]}
		if got := detect(p); got != tt.want || got == dissect.Yes && p.Swap != tt.swap {
			t.Errorf("%s: %d, swap %v; want %d, %v", tt.name, got, p.Swap, tt.want, tt.swap)
		}
		if tt.want == dissect.Yes && http1.Protocol().Detect(p) == dissect.Yes {
			t.Errorf("%s: HTTP/1 wants it too", tt.name)
		}
	}
}

// TestDetectPrefixes: no beginning of what is HTTP/2 is refused.
func TestDetectPrefixes(t *testing.T) {
	hello := begin().steps[0].Data
	for i := 1; i <= len(hello); i++ {
		p := &dissect.Probe{Data: [2][]byte{[]byte(hello[:i]), nil}, FromStart: [2]bool{true, true}, Opened: true}
		if detect(p) == dissect.No {
			t.Errorf("%q is refused", hello[:i])
		}
	}
	talk := newTalk()
	talk.c().get(1, "/a").send()
	for i, b := 5, talk.said(0); i <= len(b); i++ {
		if detect(&dissect.Probe{Data: [2][]byte{[]byte(b[:i]), nil}}) == dissect.No {
			t.Errorf("%q is refused", b[:i])
		}
	}
}
