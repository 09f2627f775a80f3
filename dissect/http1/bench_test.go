package http1

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
)

type counter struct{ n int }

func (c *counter) Call(*dissect.Call)    { c.n++ }
func (c *counter) Bodies() (int, bool)   { return 0, false }
func (c *counter) Switch(string, []byte) {}

var (
	smallRequest = []byte("GET /api/v1/cart/17?currency=EUR HTTP/1.1\r\nHost: cart.shop.svc.cluster.local:8080\r\n" +
		"User-Agent: Go-http-client/1.1\r\nAccept: application/json\r\nX-Request-Id: 7d5e9f6a-1c1f-4f0e-9f46-1f0c9c2a8d11\r\nAccept-Encoding: gzip\r\n\r\n")
	smallResponse = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 23 Nov 2026 04:47:00 GMT\r\nContent-Length: 27\r\n\r\n" +
		`{"items":[],"total":"0.00"}`)
)

func BenchmarkSmallCalls(b *testing.B) {
	k := &counter{}
	p := newParser(k)
	b.ReportAllocs()
	b.SetBytes(int64(len(smallRequest) + len(smallResponse)))
	for i := 0; b.Loop(); i++ {
		p.Data(0, smallRequest, dissect.Stamp{Time: int64(i)})
		p.Data(1, smallResponse, dissect.Stamp{Time: int64(i)})
	}
	b.ReportMetric(float64(k.n)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkLengthBody(b *testing.B) { benchmarkBody(b, false) }

func BenchmarkChunkedBody(b *testing.B) { benchmarkBody(b, true) }

// benchmarkBody sends 1 MB in segments.
func benchmarkBody(b *testing.B, chunked bool) {
	body := strings.Repeat(strings.Repeat("x", 8192), 128)
	msg := "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + body
	if chunked {
		msg = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("2000\r\n"+body[:8192]+"\r\n", 128) + "0\r\n\r\n"
	}
	k := &counter{}
	p := newParser(k)
	data := []byte(msg)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		p.Data(0, smallRequest, dissect.Stamp{})
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1448)
			p.Data(1, rest[:n], dissect.Stamp{})
			rest = rest[n:]
		}
	}
}

func BenchmarkAppendFields(b *testing.B) {
	var dst []byte
	p := newParser(&sink{each: func(c *dissect.Call) {
		b.ReportAllocs()
		for b.Loop() {
			dst = c.Message.AppendFields(dst[:0])
		}
		b.ReportMetric(float64(len(dst)), "bytes")
	}})
	p.Data(0, smallRequest, dissect.Stamp{})
	p.Data(1, smallResponse, dissect.Stamp{})
}
