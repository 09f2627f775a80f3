package memcached

import (
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

func TestDetect(t *testing.T) {
	const yes, no, unsure = dissect.Yes, dissect.No, dissect.Unsure
	for _, tt := range []struct {
		name           string
		client, server string
		middle         bool
		want           dissect.Verdict
		swap           bool
	}{
		{"set", "set k 0 0 1\r\nx\r\n", "", false, yes, false},
		{"set of another length", "set k 0 0 1\r\nxyz\r\n", "", false, no, false},
		{"get, could be Redis", "get k\r\n", "", false, unsure, false},
		{"get, answered", "get k\r\n", "END\r\n", false, yes, false},
		{"get, answered by Redis", "get k\r\n", "$-1\r\n", false, no, false},
		{"get with a value", "get k\r\n", "VALUE k 0 1\r\nx\r\nEND\r\n", false, yes, false},
		{"several keys", "get a b\r\n", "", false, yes, false},
		{"meta", "mg key\r\n", "", false, unsure, false},
		{"meta, answered", "mg key v\r\n", "EN\r\n", false, yes, false},
		{"version", "version\r\n", "VERSION 1.6\r\n", false, yes, false},
		{"stats", "stats\r\n", "STAT pid 1\r\n", false, yes, false},
		{"value first", "VALUE k 0 1\r\nx\r\nEND\r\n", "", true, yes, true},
		{"stored", "", "STORED\r\n", true, yes, false},
		{"behind the end of a value", "xxxx\r\nset k 0 0 1\r\nx\r\n", "", true, yes, false},
		{"deleted", "delete k\r\n", "DELETED\r\n", true, yes, false},
		{"deleted, could be a job", "delete 17\r\n", "DELETED\r\n", true, unsure, false},
		{"deleted, then more", "delete 17\r\nget k\r\n", "DELETED\r\nEND\r\n", false, yes, false},
		{"deleted, the end of it alone", "", "DELETED\r\n", true, unsure, false},
		{"jobs", "delete 17\r\nreserve\r\n", "DELETED\r\nRESERVED 18 1\r\nx\r\n", false, no, false},
		{"a job touched", "touch 17\r\n", "TOUCHED\r\n", true, no, false},
		{"half a command", "set k 0", "", false, unsure, false},
		{"half a word", "se", "", false, unsure, false},
		{"upper case", "GET k\r\n", "", false, no, false},
		{"HTTP", "GET / HTTP/1.1\r\n", "", false, no, false},
		{"bare line feed", "set k 0 0 1\nx\n", "", false, no, false},
		{"OK from POP3", "+OK\r\n", "", false, no, false},
		{"nothing", "", "", false, no, false},
		{"binary", ask(0, 1, 0, "k", ""), "", false, yes, false},
		{"binary from the second side", answer(0, 0, 1, 4, "", "x"), ask(0, 1, 0, "k", ""), true, yes, true},
		{"part of a binary header", ask(0, 1, 0, "k", "")[:10], "", false, unsure, false},
		{"not quite binary", "\x80\x00\xff\xff" + ask(0, 1, 0, "k", "")[4:], "", false, no, false},
		{"TLS of old", "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80\x03\x00\x80\x07\x00\xc0\x06\x00\x40\x02\x00\x80\x04\x00\x80", "", false, no, false},
	} {
		p := &dissect.Probe{Transport: flow.TCP, Data: [2][]byte{[]byte(tt.client), []byte(tt.server)}, FromStart: [2]bool{!tt.middle, !tt.middle}}
		if got := detect(p); got != tt.want || got == yes && p.Swap != tt.swap {
			t.Errorf("%s: %d, swap %v", tt.name, got, p.Swap)
		}
	}
	for _, tt := range []struct {
		payload string
		want    dissect.Verdict
	}{
		{framed(1, 0, 1, "get k\r\n"), yes}, {framed(1, 0, 1, ask(0, 1, 0, "k", "")), yes}, {framed(1, 0, 2, "VALUE k 0 1\r\nx\r\n"), yes},
		{framed(1, 0, 1, "get k\r\n")[:6] + "\xf4\x00get k\r\n", no}, {framed(1, 0, 1, "")[:6] + "\xf4\x00set k 0 0 1 noreply\r\nx\r\n", yes},
		{framed(1, 1, 2, "END\r\n"), no}, {framed(1, 3, 2, "END\r\n"), no}, {"get k\r\n", no}, {framed(1, 0, 1, "hello\r\n"), no}, {"", no},
	} {
		if got := detect(&dissect.Probe{Transport: flow.UDP, Data: [2][]byte{[]byte(tt.payload), nil}}); got != tt.want {
			t.Errorf("%q: %d", tt.payload, got)
		}
	}
}
