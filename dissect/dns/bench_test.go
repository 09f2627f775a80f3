package dns

import (
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

func pair(t testing.TB, id uint16) (query, response []byte) {
	q := new(mdns.Msg)
	q.SetQuestion("catalog.shop.svc.cluster.local.", mdns.TypeA)
	q.Id = id
	r := new(mdns.Msg)
	r.SetReply(q)
	rr, err := mdns.NewRR("catalog.shop.svc.cluster.local. 30 IN A 10.96.14.7")
	if err != nil {
		t.Fatal(err)
	}
	r.Answer = append(r.Answer, rr)
	query, _ = q.Pack()
	response, _ = r.Pack()
	return query, response
}

func BenchmarkMessages(b *testing.B) {
	query, response := pair(b, 7)
	k := &cuttest.Counter{}
	p := newParser(newFlow(flow.UDP), k)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Data(0, query, dissect.Stamp{Time: int64(i)})
		p.Data(1, response, dissect.Stamp{Time: int64(i)})
	}
	b.ReportMetric(2*float64(k.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkManyPending has 1,000 queries on their way.
func BenchmarkManyPending(b *testing.B) {
	var queries, responses [1000][]byte
	for i := range queries {
		queries[i], responses[i] = pair(b, uint16(i*61))
	}
	k := &cuttest.Counter{}
	p := newParser(newFlow(flow.UDP), k)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Data(0, queries[i%1000], dissect.Stamp{Time: int64(i)})
		if i >= 900 {
			p.Data(1, responses[(i-900)%1000], dissect.Stamp{Time: int64(i)})
		}
	}
	b.ReportMetric(2*float64(k.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkOneQueryFlows is what most clients do: a new port for each query.
func BenchmarkOneQueryFlows(b *testing.B) {
	query, response := pair(b, 7)
	k := &cuttest.Counter{}
	f := newFlow(flow.UDP)
	b.ReportAllocs()
	for b.Loop() {
		p := newParser(f, k)
		p.Data(0, query, dissect.Stamp{})
		p.Data(1, response, dissect.Stamp{})
		p.Close(dissect.Stamp{})
	}
	b.ReportMetric(2*float64(k.N)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkDetect(b *testing.B) {
	query, _ := pair(b, 7)
	p := dissect.Probe{Transport: flow.UDP, Data: [2][]byte{query}}
	b.ReportAllocs()
	for b.Loop() {
		if detect(&p) != dissect.Yes {
			b.Fatal("not claimed")
		}
	}
}

func BenchmarkAppendFields(b *testing.B) {
	query, response := pair(b, 7)
	var dst []byte
	p := newParser(newFlow(flow.UDP), &sink{each: func(c *dissect.Call) {
		b.ReportAllocs()
		for b.Loop() {
			dst = c.Message.AppendFields(dst[:0])
		}
	}})
	p.Data(0, query, dissect.Stamp{})
	p.Data(1, response, dissect.Stamp{})
}

func BenchmarkAnswersOfOther(b *testing.B) {
	other := make([]byte, 1200)
	other[0], other[2] = 0xc3, 0x80
	b.ReportAllocs()
	for b.Loop() {
		if len(Answers(nil, other)) != 0 {
			b.Fatal("answers in a QUIC packet")
		}
	}
}
