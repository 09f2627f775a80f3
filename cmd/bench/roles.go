package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/sync/errgroup"
)

// roles are what this program does when it starts itself again inside a namespace. The first
// argument is the role.
var roles = map[string]func(context.Context, []string) error{
	"udp-recv":   udpReceive,
	"udp-send":   udpSend,
	"http-serve": httpServe,
	"http-load":  httpLoad,
	"dns-serve":  dnsServe,
}

// batch is how many datagrams go into one system call.
const batch = 64

// udpReceive takes what comes to a port, and counts nothing: what counts is what was seen.
func udpReceive(ctx context.Context, args []string) error {
	c, err := net.ListenPacket("udp4", args[0])
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { c.Close() })
	fmt.Println("ready")
	messages := buffers(2048)
	p := ipv4.NewPacketConn(c)
	for {
		if _, err := p.ReadBatch(messages, 0); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// udpSend sends COUNT datagrams of SIZE bytes to ADDRESS as fast as it goes, and prints the
// seconds that took.
func udpSend(_ context.Context, args []string) error {
	count, err1 := strconv.Atoi(args[1])
	size, err2 := strconv.Atoi(args[2])
	c, err3 := net.Dial("udp4", args[0])
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	defer c.Close()
	messages := buffers(size)
	p := ipv4.NewPacketConn(c.(*net.UDPConn))
	start := time.Now()
	for count > 0 {
		n, err := p.WriteBatch(messages[:min(batch, count)], 0)
		if err != nil {
			return err
		}
		count -= n
	}
	fmt.Println(time.Since(start).Seconds())
	return nil
}

func buffers(size int) []ipv4.Message {
	messages := make([]ipv4.Message, batch)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, size)}
	}
	return messages
}

// httpServe answers every request with 1 KB.
func httpServe(ctx context.Context, args []string) error {
	l, err := net.Listen("tcp4", args[0])
	if err != nil {
		return err
	}
	body := make([]byte, 1024)
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(body)
	})}
	context.AfterFunc(ctx, func() { srv.Close() })
	fmt.Println("ready")
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// httpLoad makes COUNT requests to URL over CONNECTIONS kept alive, and prints the seconds
// that took.
func httpLoad(ctx context.Context, args []string) error {
	count, err1 := strconv.Atoi(args[1])
	conns, err2 := strconv.Atoi(args[2])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: conns}}
	var next atomic.Int64
	start := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for range conns {
		g.Go(func() error {
			for next.Add(1) <= int64(count) {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
				if err != nil {
					return err
				}
				resp, err := c.Do(req)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, resp.Body)
				if err := errors.Join(err, resp.Body.Close()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	fmt.Println(time.Since(start).Seconds())
	return nil
}

// dnsServe answers each question over UDP with one address; names that end with 7 do not exist.
func dnsServe(ctx context.Context, args []string) error {
	c, err := net.ListenPacket("udp4", args[0])
	if err != nil {
		return err
	}
	srv := &dns.Server{PacketConn: c, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		hdr := dns.RR_Header{Name: q.Question[0].Name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET, Ttl: 30}
		switch {
		case strings.HasSuffix(hdr.Name, "7.shop.svc.cluster.local."):
			a.Rcode = dns.RcodeNameError
		case hdr.Rrtype == dns.TypeAAAA:
			a.Answer = append(a.Answer, &dns.AAAA{Hdr: hdr, AAAA: netip.MustParseAddr("fd77::20").AsSlice()})
		default:
			a.Answer = append(a.Answer, &dns.A{Hdr: hdr, A: []byte{10, 77, 0, 20}})
		}
		w.WriteMsg(a)
	})}
	context.AfterFunc(ctx, func() { c.Close() })
	fmt.Println("ready")
	if err := srv.ActivateAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}
