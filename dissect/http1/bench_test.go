package http1

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect/cuttest"
)

var (
	smallRequest = []byte("GET /api/v1/cart/17?currency=EUR HTTP/1.1\r\nHost: cart.shop.svc.cluster.local:8080\r\n" +
		"User-Agent: Go-http-client/1.1\r\nAccept: application/json\r\nX-Request-Id: 7d5e9f6a-1c1f-4f0e-9f46-1f0c9c2a8d11\r\nAccept-Encoding: gzip\r\n\r\n")
	smallResponse = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 23 Nov 2026 04:47:00 GMT\r\nContent-Length: 27\r\n\r\n" +
		`{"items":[],"total":"0.00"}`)
)

func BenchmarkSmallCalls(b *testing.B) {
	k := &cuttest.Counter{}
	p := newParser(k)
	k.Bench(b, p, smallRequest, smallResponse)
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
	k := &cuttest.Counter{}
	p := newParser(k)
	data := []byte(msg)
	k.Bench(b, p, smallRequest, data)
}

func BenchmarkAppendFields(b *testing.B) {
	cuttest.BenchFields(b, Protocol(), smallRequest, smallResponse)
}
