package demo

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sshark/sshark/cmd/netlab"
)

// The pace of the shop: about 10 calls a second come from the shoppers, each of which makes
// one to three more behind the gateway.
const (
	shoppers  = 4
	thinkTime = 400 * time.Millisecond
	visit     = 40 // calls of a shopper before a new connection
)

// runClients are the shoppers, a health check that never keeps its connection, somebody who
// looks names up, one who listens to prices, and one who fetches receipts.
func runClients(ctx context.Context, ready func()) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range shoppers {
		g.Go(func() error { return shop(ctx, fmt.Sprintf("user%d", i+1)) })
	}
	g.Go(func() error { return probe(ctx) })
	g.Go(func() error { return lookAround(ctx) })
	g.Go(func() error { return listen(ctx) })
	g.Go(func() error { return receipts(ctx) })
	ready()
	return g.Wait()
}

// shop is one user of the shop.
func shop(ctx context.Context, user string) error {
	c := newHTTPClient(3 * time.Second)
	agents := []string{"curl/8.14.1", "shop-app/2.3 (Android 15)", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
	encodings := []string{"gzip", "br", "zstd", "identity"}
	agent, encoding := "", ""
	all := errands()
	for n := 0; pause(ctx, thinkTime); n++ {
		if n%visit == 0 {
			c.CloseIdleConnections()
			agent, encoding = agents[rand.IntN(len(agents))], encodings[rand.IntN(len(encodings))]
		}
		e := all[n%len(all)] // everything once, so that all kinds are soon seen
		if n >= len(all) {
			e = choose(all)
		}
		method, path, body := e.method, e.path(user), e.payload()
		req, err := http.NewRequestWithContext(ctx, method, "http://"+strings.TrimSuffix(wwwName, ".")+path, body)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", agent)
		req.Header.Set("Accept-Encoding", encoding)
		req.Header.Set("Cookie", "session="+user)
		switch method {
		case http.MethodPost:
			req.Header.Set("Content-Type", "application/json")
		case http.MethodPut:
			req.Header.Set("Content-Type", "image/png")
			req.Header.Set("Expect", "100-continue")
		}
		if strings.HasSuffix(path, "/17") {
			req.Header.Set("If-None-Match", `"p17"`)
		}
		// A call that fails is what the shop is there to show.
		if resp, err := c.Do(req); err == nil {
			finish(resp)
		}
	}
	return nil
}

// errand is a call that a user makes.
type errand struct {
	weight int // of all weights
	method string
	path   func(user string) string
	body   func() string // nil: none
}

func (e *errand) payload() io.Reader {
	if e.body == nil {
		return nil
	}
	return strings.NewReader(e.body())
}

// errands are what users do in the shop.
func errands() []errand {
	to := func(path string) func(string) string { return func(string) string { return path } }
	cart := func(rest string) func(string) string {
		return func(user string) string { return "/api/cart/" + user + rest }
	}
	product := func() int { return rand.IntN(products * 21 / 20) } // one in twenty does not exist
	return []errand{
		{22, http.MethodGet, func(string) string { return fmt.Sprintf("/api/products?page=%d", rand.IntN(6)) }, nil},
		{22, http.MethodGet, func(string) string { return fmt.Sprintf("/api/products/%d", product()) }, nil},
		{16, http.MethodPost, cart("/items"), func() string { return fmt.Sprintf(`{"product":%d,"count":%d}`, product(), rand.IntN(5)) }},
		{14, http.MethodGet, cart(""), nil},
		{5, http.MethodGet, func(string) string { return "/api/search?q=" + []string{"red", "lamp", "tea", "nothing"}[rand.IntN(4)] }, nil},
		{8, http.MethodPost, cart("/checkout"), nil},
		{2, http.MethodDelete, cart(""), nil},
		{3, http.MethodGet, to("/api/products/17"), nil}, // kept since last time: 304
		{6, http.MethodPost, func(user string) string { return fmt.Sprintf("/api/orders/%s?sum=%d", user, rand.IntN(8)) }, nil}, // 0 is refused
		{6, http.MethodGet, func(user string) string { return "/api/orders/" + user }, nil},
		{2, http.MethodGet, to("/api/report"), nil},
		{1, http.MethodGet, to("/api/recommendations"), nil},
		{2, http.MethodHead, to("/api/products/3"), nil},
		{1, http.MethodPut, to("/api/products/3/picture"), func() string { return strings.Repeat("\x89PNG", (4+rand.IntN(16))<<10) }},
		{1, http.MethodPost, cart("/items"), func() string { return `{"product":` }},
		{1, http.MethodGet, to("/favicon.ico"), nil},
	}
}

// choose draws an errand by weight.
func choose(all []errand) errand {
	sum := 0
	for i := range all {
		sum += all[i].weight
	}
	roll := rand.IntN(sum)
	for _, e := range all {
		if roll -= e.weight; roll < 0 {
			return e
		}
	}
	return all[0]
}

// receipts fetches receipts over TLS, from a server whose certificate nobody vouches for: now
// and then that is noticed, and the handshake fails.
func receipts(ctx context.Context) error {
	for n := 0; pause(ctx, 1500*time.Millisecond); n++ {
		c := newHTTPClient(2 * time.Second)
		t := c.Transport.(*http.Transport)
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: !chance(0.1)} //nolint:gosec // both ends are this program
		t.ForceAttemptHTTP2 = n%2 == 0
		for range 3 {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+hostPort(ordersMember, receiptsPort)+"/receipts/user1", nil)
			if err != nil {
				return err
			}
			if resp, err := c.Do(req); err == nil {
				finish(resp)
			}
		}
		c.CloseIdleConnections()
	}
	return nil
}

// probe asks the gateway for its health as a machine does: over IPv6 where there is one, and
// closing each time.
func probe(ctx context.Context) error {
	c := newHTTPClient(time.Second)
	host := strings.TrimSuffix(gate6Name, ".")
	if !netlab.HasIPv6() {
		host = strings.TrimSuffix(gatewayMember.fqdn(), ".")
	}
	for pause(ctx, 2*time.Second) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/health", nil)
		if err != nil {
			return err
		}
		req.Close = true
		req.Header.Set("User-Agent", "probe/1.0")
		if resp, err := c.Do(req); err == nil {
			finish(resp)
		}
	}
	return nil
}
