package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// connections of the HTTP files, all kept alive from the first call to the last.
const connections = 300

// What is looked for in the large store: one flow with this port and this many calls, and the
// connections of one client.
const (
	needlePort  = 7777
	needleCalls = 10
	needleHost  = 7
)

func random() *rand.Rand { return rand.New(rand.NewPCG(7, 77)) }

func endpoint(net, host, port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(net), byte(host >> 8), byte(host)}), uint16(port))
}

// httpCall makes the two messages of a call like those of an API behind a browser.
func httpCall(r *rand.Rand, i, maxBody int) (request, response []byte) {
	var req, resp strings.Builder
	method, body := "GET", ""
	if i%10 == 3 {
		method = "POST"
		body = fmt.Sprintf(`{"product":%d,"count":%d,"note":%q}`, r.IntN(1000), r.IntN(9), strings.Repeat("n", r.IntN(200)))
	}
	fmt.Fprintf(&req, "%s /api/v1/products/%d?page=%d&sort=price HTTP/1.1\r\nHost: catalog.shop.internal:8080\r\n", method, r.IntN(100_000), r.IntN(50))
	req.WriteString("User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: application/json, text/plain, */*\r\nAccept-Encoding: gzip, deflate, br\r\n")
	fmt.Fprintf(&req, "X-Request-Id: %016x%016x\r\nCookie: session=%016x; theme=dark\r\n", r.Uint64(), r.Uint64(), r.Uint64())
	if body != "" {
		fmt.Fprintf(&req, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	req.WriteString("\r\n" + body)

	status := "200 OK"
	switch {
	case i%25 == 7:
		status = "404 Not Found"
	case i%50 == 11:
		status = "503 Service Unavailable"
	}
	size := 120 + r.IntN(maxBody)
	item := `{"id":4711,"name":"red lamp","price":19.99,"stock":12,"tags":["lamp","red"]},`
	answer := "[" + strings.Repeat(item, size/len(item)+1) + "null]"
	fmt.Fprintf(&resp, "HTTP/1.1 %s\r\nDate: Fri, 02 Jan 2026 15:04:05 GMT\r\nServer: shop\r\nContent-Type: application/json\r\nCache-Control: max-age=5\r\nX-Request-Id: %016x\r\n", status, r.Uint64())
	if i%10 == 5 {
		resp.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for len(answer) > 0 {
			n := min(1024, len(answer))
			fmt.Fprintf(&resp, "%x\r\n%s\r\n", n, answer[:n])
			answer = answer[n:]
		}
		resp.WriteString("0\r\n\r\n")
	} else {
		fmt.Fprintf(&resp, "Content-Length: %d\r\n\r\n%s", len(answer), answer)
	}
	return []byte(req.String()), []byte(resp.String())
}

// writeHTTP writes calls round robin over the connections. The file of fewer calls is the
// beginning of that of more, but for the closing of the connections.
func writeHTTP(f *frames, calls, maxBody int) error {
	r := random()
	conns := make([]*conn, 0, connections)
	for i := range connections {
		conns = append(conns, f.dial(endpoint(1, i+2, 40_000+i), endpoint(2, i%16+2, 8080)))
	}
	for i := range calls {
		request, response := httpCall(r, i, maxBody)
		c := conns[i%connections]
		c.send(0, request)
		c.send(1, response)
	}
	for _, c := range conns {
		c.close()
	}
	return f.close()
}

// haystackPacket is about how many bytes a packet of the haystack has in the file.
const haystackPacket = 870

// A connection of the haystack ends after so many calls.
const haystackCalls = 20

// writeHaystack writes HTTP with large bodies until the file has the size, of many connections
// one after the other, and one other flow in the middle of it.
func writeHaystack(f *frames, size int64) error {
	r := random()
	conns := make([]*conn, connections)
	calls := make([]int, connections)
	found := false
	for i := 0; f.bytes < size && f.err == nil; i++ {
		if !found && f.bytes >= size/2 {
			found = true
			c := f.dial(endpoint(3, 2, 50_000), endpoint(4, 2, needlePort))
			for j := range needleCalls {
				request, response := httpCall(r, j, 2000)
				c.send(0, request)
				c.send(1, response)
			}
			c.close()
		}
		n := i % connections
		if calls[n]%haystackCalls == 0 {
			if conns[n] != nil {
				conns[n].close()
			}
			conns[n] = f.dial(endpoint(1, n+2, 10_000+(calls[n]/haystackCalls+n)%50_000), endpoint(2, n%16+2, 8080))
		}
		calls[n]++
		request, response := httpCall(r, i, 24_000)
		conns[n].send(0, request)
		conns[n].send(1, response)
	}
	return f.close()
}

// writeDNS writes questions and answers, one in twenty of which is that there is no such name.
func writeDNS(f *frames, calls int) error {
	r := random()
	for i := range calls {
		q := new(dns.Msg).SetQuestion(fmt.Sprintf("service-%d.shop.svc.cluster.local.", r.IntN(2000)), dns.TypeA)
		q.Id = uint16(i) // the addresses below differ before it comes again
		if i%2 == 1 {
			q.Question[0].Qtype = dns.TypeAAAA
		}
		a := new(dns.Msg).SetReply(q)
		hdr := dns.RR_Header{Name: q.Question[0].Name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET, Ttl: 30}
		switch {
		case i%20 == 13:
			a.Rcode = dns.RcodeNameError
		case i%2 == 1:
			a.Answer = append(a.Answer, &dns.AAAA{Hdr: hdr, AAAA: netip.MustParseAddr("fd77::20").AsSlice()})
		default:
			a.Answer = append(a.Answer, &dns.A{Hdr: hdr, A: []byte{10, 77, 0, byte(r.IntN(250))}})
		}
		question, err := q.Pack()
		if err != nil {
			return err
		}
		answer, err := a.Pack()
		if err != nil {
			return err
		}
		client, server := endpoint(1, i%500+2, 30_000+i/500%20_000), endpoint(2, 53, 53)
		f.udp(client, server, question)
		f.udp(server, client, answer)
	}
	return f.close()
}

// generate makes a file.
func generate(path string, step time.Duration, write func(*frames) error) (*frames, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	f := newFrames(file, step)
	if err := errors.Join(write(f), file.Close()); err != nil {
		return nil, fmt.Errorf("generate %s: %w", path, err)
	}
	return f, nil
}
