package http2

import (
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
)

// benchmark plays calls of one connection, over and over: the streams' numbers come again.
func benchmark(b *testing.B, request, response func(s *side, id uint32)) {
	talk := begin()
	k := &cuttest.Counter{}
	p := newParser(&dissect.Flow{}, k)
	for _, st := range talk.steps {
		p.Data(st.Dir, st.Data, dissect.Stamp{})
	}
	talk.steps = nil
	warm := 0
	for i := range uint32(64) {
		if i == 2 {
			warm = len(talk.steps) // the tables hold what is sent always
		}
		request(talk.c(), 2*i+1)
		response(talk.s(), 2*i+1)
	}
	bytes := 0
	for _, st := range talk.steps[:warm] {
		p.Data(st.Dir, st.Data, dissect.Stamp{})
	}
	steps := talk.steps[warm:]
	for _, st := range steps {
		bytes += len(st.Data)
	}
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	k.N = 0
	for i := int64(0); b.Loop(); i++ {
		for _, st := range steps {
			p.Data(st.Dir, st.Data, dissect.Stamp{Time: i})
		}
	}
	b.ReportMetric(float64(k.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkSmallCalls(b *testing.B) {
	benchmark(b, func(s *side, id uint32) {
		s.get(id, "/api/v1/cart/17?currency=EUR", "accept application/json", "accept-encoding gzip").send()
	}, func(s *side, id uint32) {
		s.answer(id, false, 200, "content-type application/json", "content-length 27").data(id, true, `{"items":[],"total":"0.00"}`).send()
	})
}

func BenchmarkGRPC(b *testing.B) {
	benchmark(b, func(s *side, id uint32) {
		s.post(id, "/shop.Cart/Add", "content-type application/grpc", "te trailers", "user-agent grpc-go/1.78.0").
			data(id, true, "\x00\x00\x00\x00\x0a0123456789").send()
	}, func(s *side, id uint32) {
		s.answer(id, false, 200, "content-type application/grpc").data(id, false, "\x00\x00\x00\x00\x0a0123456789").
			headers(id, true, "grpc-status 0", "grpc-message ").send()
	})
}

func BenchmarkBody(b *testing.B) {
	body := rep(16000)
	benchmark(b, func(s *side, id uint32) { s.get(id, "/large").send() }, func(s *side, id uint32) {
		s.answer(id, false, 200).send()
		for range 16 {
			s.data(id, false, body).send()
		}
		s.data(id, true, "").send()
	})
}

func BenchmarkAppendFields(b *testing.B) {
	talk := begin()
	talk.c().get(1, "/api/v1/cart/17?currency=EUR", "accept application/json", "accept-encoding gzip").send()
	talk.s().answer(1, true, 200, "content-type application/json", "content-length 27").send()
	var dst []byte
	k := &sink{Each: func(c *dissect.Call) {
		b.ReportAllocs()
		for b.Loop() {
			dst = c.Message.AppendFields(dst[:0])
		}
		b.ReportMetric(float64(len(dst)), "bytes")
	}}
	if err := run(k, talk.steps, 0); err != nil {
		b.Fatal(err)
	}
}
