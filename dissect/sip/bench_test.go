package sip

import (
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

func benchmark(b *testing.B, transport flow.Proto) {
	k := &cuttest.Counter{}
	p := newParser(&dissect.Flow{Transport: transport}, k)
	ask, answer := []byte(request("INVITE", "sip:b@x", "z1", 1, long[:200])), []byte(response("200 OK", "z1", 1, "INVITE", long[:200]))
	k.Bench(b, p, ask, answer)
}

func BenchmarkDatagrams(b *testing.B) { benchmark(b, flow.UDP) }

func BenchmarkStreams(b *testing.B) { benchmark(b, flow.TCP) }
