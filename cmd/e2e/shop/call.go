package shop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// timeout bounds one request.
const timeout = 5 * time.Second

// client makes numbered HTTP requests.
type client struct {
	pace
	url       string // without a path
	query     string
	keepAlive bool
	resolver  string // DNS server that the URL's host is looked up at, "": as the machine does
	dialer    net.Dialer
	kept      connection
}

func (c *client) declare(f *flag.FlagSet) {
	c.pace.declare(f)
	f.StringVar(&c.url, "url", "http://127.0.0.1:8080", "the server")
	f.StringVar(&c.query, "query", "", "what to ask of the server: status=503&latency=20ms")
	f.BoolVar(&c.keepAlive, "keep-alive", false, "one connection for all, where possible, instead of one each")
	f.StringVar(&c.resolver, "resolver", "", "the DNS server to ask for the host of the URL")
}

func (c *client) run(ctx context.Context) *Report {
	r := &Report{Name: c.name, Servers: map[string]int{}, Seen: map[string]int{}, First: time.Now()}
	if c.resolver != "" {
		c.dialer.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, c.resolver)
		}}
	}
	defer c.hangUp(&c.kept)
	var mu sync.Mutex
	one := func(n int, conn *connection) {
		a, err := c.get(ctx, conn, n)
		mu.Lock()
		defer mu.Unlock()
		seen, _, _ := net.SplitHostPort(a.Client)
		r.count(a.Server, seen, err)
	}
	var all sync.WaitGroup
	c.each(ctx, func(n int) {
		switch {
		case c.keepAlive:
			one(n, &c.kept)
		case c.rate > 0:
			one(n, new(connection))
		default:
			all.Go(func() { one(n, new(connection)) })
		}
	})
	all.Wait()
	r.Last = time.Now()
	return r
}

// connection is one to the server; the zero value is not open.
type connection struct {
	net.Conn
	in *bufio.Reader
}

// get makes a request, over conn, which is opened if need be. net/http's client is not used
// because it may send a request twice where a kept connection breaks.
func (c *client) get(ctx context.Context, conn *connection, n int) (a answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	url := c.url + Path(c.name, n)
	if c.query != "" {
		url += "?" + c.query
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return a, err
	}
	req.Close = !c.keepAlive
	if conn.Conn == nil {
		if conn.Conn, err = c.dialer.DialContext(ctx, "tcp", req.URL.Host); err != nil {
			return a, err
		}
		conn.in = bufio.NewReader(conn)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Conn.SetDeadline(time.Unix(1, 0)) })
	err = exchange(req, conn, &a)
	if !stop() || err != nil || req.Close {
		c.hangUp(conn)
	}
	if err != nil {
		return a, fmt.Errorf("%s: %w", url, err)
	}
	return a, nil
}

func exchange(req *http.Request, conn *connection, a *answer) error {
	if err := req.Write(conn); err != nil {
		return err
	}
	resp, err := http.ReadResponse(conn.in, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, a)
}

// hangUp closes what is open.
func (c *client) hangUp(conn *connection) {
	if conn.Conn != nil {
		_ = conn.Close() // all was read
		*conn = connection{}
	}
}

// asker asks numbered DNS questions.
type asker struct {
	pace
	server string
	suffix string
}

func (a *asker) declare(f *flag.FlagSet) {
	a.pace.declare(f)
	f.StringVar(&a.server, "server", "", "the DNS server, address and port; the first of resolv.conf if not given")
	f.StringVar(&a.suffix, "suffix", "svc.cluster.local", "what the names end in")
}

func (a *asker) run(ctx context.Context) *Report {
	r := &Report{Name: a.name, Servers: map[string]int{}, First: time.Now()}
	server := a.server
	if server == "" {
		conf, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err == nil && len(conf.Servers) == 0 {
			err = errors.New("resolv.conf names no server")
		}
		if err != nil {
			r.count("", "", err)
			return r
		}
		server = net.JoinHostPort(conf.Servers[0], conf.Port)
	}
	udp := &dns.Client{Timeout: timeout}
	a.each(ctx, func(n int) {
		reply, _, err := udp.ExchangeContext(ctx, new(dns.Msg).SetQuestion(Host(a.name, n, a.suffix), dns.TypeA), server)
		if err != nil {
			r.count("", "", err)
			return
		}
		r.count(dns.RcodeToString[reply.Rcode], "", nil)
	})
	r.Last = time.Now()
	return r
}
