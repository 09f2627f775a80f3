package tls

import (
	"errors"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

func TestHandshakes(t *testing.T) {
	type steps = []cuttest.Step
	pieces := func(s string) (out string) {
		for i := 0; i < len(s); i += 7 {
			out += rec(kindHandshake, s[i:min(len(s), i+7)])
		}
		return out
	}
	v2 := "\x01\x03\x01" + nums(6, 0, 16) + "\x00\x00\x2f\x00\x00\x35" + strings.Repeat("c", 16)
	cuttest.Cases(t, Protocol(), flow.TCP, same, []cuttest.Case{
		{Name: "tls-1.3", Steps: steps{client(rec(22, hello("a.example"))), server(rec(22, answer13) + change + data), client(change + data)},
			Want: []string{"ClientHello a.example -> TLS 1.3"}},
		{Name: "tls-1.2", Steps: steps{client(rec(22, hello("a.example"))), server(rec(22, answer12) + rec(22, shake(typeCertificate, block(3, ""))) + rec(22, done12)),
			client(rec(22, exchange) + change + finished), server(change + finished), client(data), server(data)},
			Want: []string{"ClientHello a.example -> TLS 1.2"}},
		{Name: "messages-in-one-record", Steps: steps{client(rec(22, hello("a.example"))), server(rec(22, answer12+shake(typeCertificate, block(3, block(3, "no certificate")))+done12)),
			client(rec(22, exchange) + change + finished), server(change + finished)},
			Want: []string{"ClientHello a.example -> TLS 1.2"}},
		{Name: "message-in-many-records", Steps: steps{client(pieces(hello("a.example"))), server(pieces(answer12 + done12)), client(pieces(exchange) + change + finished), server(change + finished)},
			Want: []string{"ClientHello a.example -> TLS 1.2"}},
		{Name: "hello-retry", Steps: steps{client(rec(22, hello("a.example"))), server(rec(22, again13) + change), client(change + rec(22, hello("a.example"))),
			server(rec(22, answer13) + data), client(data)},
			Want: []string{"ClientHello a.example -> HelloRetryRequest", "ClientHello a.example -> TLS 1.3"}},
		{Name: "early-data-refused", Steps: steps{
			client(rec(22, asksFor(0x0303, nums(0x1301), sni("a.example")+ext(extEarlyData, ""))) + change + data + data), server(rec(22, again13) + change),
			client(rec(22, hello("a.example"))), server(rec(22, answer13) + data), client(data)},
			Want: []string{"ClientHello a.example -> HelloRetryRequest", "ClientHello a.example -> TLS 1.3"}},
		{Name: "refused", Steps: steps{client(rec(22, hello("a.example"))), server(alertOf(2, 40))},
			Want: []string{"!ClientHello a.example -> handshake_failure"}},
		{Name: "refused-by-the-client", Steps: steps{client(rec(22, hello("a.example"))), server(rec(22, answer12+done12)), client(alertOf(2, 48))},
			Want: []string{"!ClientHello a.example -> unknown_ca"}},
		{Name: "refused-without-level", Steps: steps{client(rec(22, hello("a.example"))), server(rec(22, answer13)), client(alertOf(1, 47))},
			Want: []string{"!ClientHello a.example -> illegal_parameter"}},
		{Name: "warning", Steps: steps{client(rec(22, hello("a.example"))), server(alertOf(1, 112) + rec(22, answer12+done12)), client(rec(22, exchange) + change + finished), server(change + finished)},
			Want: []string{"ClientHello a.example -> TLS 1.2"}},
		{Name: "alert-without-a-name", Steps: steps{client(rec(22, hello("a.example"))), server(alertOf(2, 200))},
			Want: []string{"!ClientHello a.example -> alert_200"}},
		{Name: "no-answer", Steps: steps{client(rec(22, hello("a.example")))}, Want: []string{"ClientHello a.example"}},
		{Name: "no-name", Steps: steps{client(rec(22, asksFor(0x0301, nums(0x2f), "")))}, Want: []string{"ClientHello"}},
		{Name: "ssl-2-hello", Steps: steps{client("\x80" + string(rune(len(v2))) + v2), server(rec(22, answer12+done12)), client(rec(22, exchange) + change + finished), server(change + finished)},
			Want: []string{"ClientHello -> TLS 1.2"}},
		{Name: "hellos-in-a-row", Steps: steps{client(rec(22, hello("a.example")+hello("b.example"))), client(rec(22, hello("c.example")))},
			Want: []string{"ClientHello a.example", "ClientHello b.example", "ClientHello c.example"}},
		{Name: "asked-by-the-server", Steps: steps{server(rec(22, hello("a.example"))), client(rec(22, answer13) + data), server(data)},
			Want: []string{"<ClientHello a.example -> TLS 1.3"}},
		{Name: "answer-before-the-question", Steps: steps{server(rec(22, answer13) + data), client(rec(22, hello("a.example"))), client(data)},
			Want: []string{"ClientHello a.example -> TLS 1.3"}},
		{Name: "answer-alone", Steps: steps{server(rec(22, answer13) + data), client(data)}},
		{Name: "data-alone", Steps: steps{client(data), server(data + data)}},
		{Name: "draft", Steps: steps{client(rec(22, hello("a.example"))), server(rec(22, shake(typeServerHello, nums(0x7f12)+random+nums(0x1301)+block(2, ""))) + data), client(data)},
			Want: []string{"ClientHello a.example -> TLS 1.3 draft 18"}},
		{Name: "lost-answer", Steps: steps{client(rec(22, hello("a.example"))), cuttest.Missing(1, 90), server(data), client(data)},
			Want: []string{"~ClientHello a.example"}},
		{Name: "lost-end-of-hello", Steps: steps{client(rec(22, hello("a.example"))[:75]), cuttest.Missing(0, 0), server(rec(22, answer13) + data), client(data)},
			Want: []string{"~ClientHello a.example -> TLS 1.3"}},
		{Name: "lost-name", Steps: steps{client(rec(22, hello("a.example"))[:60]), cuttest.Missing(0, 0), server(rec(22, answer13) + data)},
			Want: []string{"~ClientHello -> TLS 1.3"}},
		{Name: "lost-suites", Steps: steps{client(rec(22, hello("a.example"))[:45]), cuttest.Missing(0, 0), server(rec(22, answer13) + data)},
			Want: []string{"~ClientHello -> TLS 1.3"}},
		{Name: "lost-random", Steps: steps{client(rec(22, hello("a.example"))[:15]), cuttest.Missing(0, 0), server(rec(22, answer13) + data)},
			Want: []string{"~ClientHello -> TLS 1.3"}},
		{Name: "lost-version", Steps: steps{client(rec(22, hello("a.example"))[:10]), cuttest.Missing(0, 0), server(rec(22, answer13) + data)}},
		{Name: "ends-early", Steps: steps{client(rec(22, hello("a.example"))), server(rec(22, answer12))}, Want: []string{"~ClientHello a.example -> TLS 1.2"}},
	})
}

// TestNotMine: what only looked like TLS is given up, also when another protocol announced it.
func TestNotMine(t *testing.T) {
	bad := hello("a.example")
	bad = bad[:39] + "\x00\x03" + bad[41:] // half a cipher suite
	for name, b := range map[string]string{
		"text":            "220 mail.example ESMTP\r\n",
		"version":         "\x16\x07\x01" + block(2, hello("a.example")),
		"length":          "\x16\x03\x01\xff\xff" + hello("a.example"),
		"first message":   rec(kindHandshake, shake(typeCertificate, block(3, ""))),
		"broken hello":    rec(kindHandshake, bad),
		"huge hello":      rec(kindHandshake, "\x01\xff\xff\xff"+hello("a.example")),
		"ssl-2 not hello": "\x80\x2e\x04\x03\x01",
	} {
		told, err := cuttest.Play(t, Protocol(), []cuttest.Step{{Data: []byte(b), Time: 1}}, 0, nil)
		if !errors.Is(err, dissect.ErrNotMine) || len(told) > 0 {
			t.Errorf("%s: %v, %v", name, err, told)
		}
	}
}

// TestBounded: what is not needed of large messages is not held, and nothing at all once the
// handshake is over.
func TestBounded(t *testing.T) {
	k := &cuttest.Counter{}
	p := newParser(k)
	feed := func(d flow.Dir, s string) {
		if err := p.Data(d, []byte(s), dissect.Stamp{Time: 1}); err != nil {
			t.Fatal(err)
		}
	}
	feed(0, rec(22, hello("a.example")))
	feed(1, rec(22, answer12))
	for kind, limit := range map[byte]int{typeCertificate: maxCertificate, 12: helloHeader} {
		feed(1, rec(22, string([]byte{kind, 0x10, 0, 0})))
		for range 1 << 20 / (1 << 14) {
			feed(1, rec(22, strings.Repeat("x", 1<<14)))
			if n := len(p.half[1].msg); n > limit {
				t.Fatalf("%d bytes of message %d are held", n, kind)
			}
		}
	}
	feed(1, rec(22, done12))
	feed(0, rec(22, exchange)+change+finished)
	feed(1, change+finished)
	if k.N != 1 || p.hs != nil || p.half[0].msg != nil || p.half[1].msg != nil {
		t.Errorf("%d calls, %+v", k.N, p)
	}
	for range 100 {
		feed(0, data)
	}
}

func TestDetect(t *testing.T) {
	if p := (&dissect.Probe{Transport: flow.UDP, Data: [2][]byte{[]byte(rec(22, hello("a.example")))}}); detect(p) != dissect.No {
		t.Error("a datagram is claimed")
	}
	h, s := rec(22, hello("a.example")), rec(22, answer13)
	long := "\x17\x03\x03\x40\x00" + strings.Repeat("x", 2000)
	for _, c := range []struct {
		name  string
		sides [2]string
		start bool
		want  dissect.Verdict
		swap  bool
	}{
		{"hello", [2]string{h, ""}, true, dissect.Yes, false},
		{"hello of the other side", [2]string{"", h}, true, dissect.Yes, true},
		{"both", [2]string{h, s}, true, dissect.Yes, false},
		{"both swapped", [2]string{s, h}, false, dissect.Yes, true},
		{"answer", [2]string{"", s}, true, dissect.Yes, false},
		{"first byte", [2]string{h[:1], ""}, true, dissect.Unsure, false},
		{"header", [2]string{h[:5], ""}, true, dissect.Unsure, false},
		{"ten bytes", [2]string{h[:10], ""}, true, dissect.Unsure, false},
		{"eleven bytes", [2]string{h[:11], ""}, true, dissect.Yes, false},
		{"one byte of hello in a record", [2]string{rec(22, h[5:6]), ""}, true, dissect.Yes, false},
		{"data at the start", [2]string{data, ""}, true, dissect.No, false},
		{"data", [2]string{data + data, ""}, false, dissect.Yes, false},
		{"long data", [2]string{"", long}, false, dissect.Yes, false},
		{"data and something else", [2]string{data + "HTTP/1.1", ""}, false, dissect.No, false},
		{"data against text", [2]string{data, "hello"}, false, dissect.No, false},
		{"short data", [2]string{rec(23, "x"), ""}, false, dissect.No, false},
		{"encrypted alert", [2]string{"", rec(21, strings.Repeat("x", 26))}, false, dissect.Yes, false},
		{"text", [2]string{"GET / HTTP/1.1\r\n", ""}, true, dissect.No, false},
		{"answered by text", [2]string{h, "HTTP/1.1 400 Bad Request\r\n"}, true, dissect.No, false},
		{"ssl 2", [2]string{"\x80\x1f\x01\x03\x01" + nums(6, 0, 16) + strings.Repeat("x", 22), ""}, true, dissect.Yes, false},
		{"not ssl 2", [2]string{"\x80\x1f\x01\x03\x01" + nums(7, 0, 16) + strings.Repeat("x", 22), ""}, true, dissect.No, false},
		{"long message of dns", [2]string{"\x16\x03\x01\x00\x00\x01\x00\x00\x00\x00", ""}, true, dissect.No, false},
	} {
		p := probe(c.start, c.sides)
		if got := detect(p); got != c.want || p.Swap != c.swap {
			t.Errorf("%s: %d, swap %v", c.name, got, p.Swap)
		}
	}
}

// TestCut damages what was recorded.
func TestCut(t *testing.T) { cuttest.Cut(t, "testdata/*.pcap", Protocol(), same) }

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, "testdata/*.pcap", Protocol()) }

func BenchmarkHandshake(b *testing.B) {
	ask, reply, last := []byte(rec(22, hello("a.example"))), []byte(rec(22, answer13)+data), []byte(change+data)
	k := &cuttest.Counter{}
	b.ReportAllocs()
	for b.Loop() {
		p := newParser(k)
		p.Data(0, ask, dissect.Stamp{Time: 1})
		p.Data(1, reply, dissect.Stamp{Time: 2})
		p.Data(0, last, dissect.Stamp{Time: 3})
		p.Close(dissect.Stamp{Time: 4})
	}
	b.ReportMetric(float64(k.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkEncrypted(b *testing.B) {
	p := newParser(&cuttest.Counter{})
	p.Data(0, []byte(data), dissect.Stamp{Time: 1})
	p.Data(1, []byte(data), dissect.Stamp{Time: 1})
	segment := []byte(strings.Repeat(data, 13))
	b.SetBytes(int64(len(segment)))
	b.ReportAllocs()
	for b.Loop() {
		p.Data(0, segment, dissect.Stamp{Time: 2})
	}
}

func BenchmarkFields(b *testing.B) {
	hs := &Handshake{carrier: 't'}
	hs.Ask([]byte(hello("a.example")), 1, 2, 100)
	hs.Answer([]byte(answer13), 3, 4, 100)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = hs.AppendFields(dst[:0])
	}
}
