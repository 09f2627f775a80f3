package demo

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// gateway passes the public calls on to the services behind it.
type gateway struct {
	upstream *http.Client
	orders   *http.Client // over HTTP/2
	calls    atomic.Uint64
}

// upstreamTime is how long the gateway waits; half of the reports take longer.
const upstreamTime = 500 * time.Millisecond

// renewal is the calls after which the gateway opens new connections.
const renewal = 30

func newGateway() http.Handler {
	g := &gateway{upstream: newHTTPClient(upstreamTime), orders: newHTTPClient(upstreamTime)}
	two := g.orders.Transport.(*http.Transport)
	two.Protocols = new(http.Protocols)
	two.Protocols.SetUnencryptedHTTP2(true)
	orders := "http://" + hostPort(ordersMember, ordersPort)
	catalog := "http://" + hostPort(catalogMember, catalogPort)
	cart := "http://" + hostPort(cartMember, cartPort)
	closed := "http://" + hostPort(catalogMember, closedPort)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/products", g.to(func(*http.Request) string { return catalog + "/products" }))
	mux.HandleFunc("GET /api/products/{id}", g.to(func(r *http.Request) string { return catalog + "/products/" + r.PathValue("id") }))
	mux.HandleFunc("PUT /api/products/{id}/picture", g.to(func(r *http.Request) string { return catalog + "/products/" + r.PathValue("id") + "/picture" }))
	mux.HandleFunc("GET /api/search", g.to(func(*http.Request) string { return catalog + "/search" }))
	mux.HandleFunc("GET /api/report", g.to(func(*http.Request) string { return catalog + "/report" }))
	mux.HandleFunc("GET /api/recommendations", g.to(func(*http.Request) string { return closed + "/" }))
	mux.HandleFunc("GET /api/cart/{user}", g.to(func(r *http.Request) string { return cart + "/carts/" + r.PathValue("user") }))
	mux.HandleFunc("DELETE /api/cart/{user}", g.to(func(r *http.Request) string { return cart + "/carts/" + r.PathValue("user") }))
	mux.HandleFunc("POST /api/cart/{user}/items", g.to(func(r *http.Request) string { return cart + "/carts/" + r.PathValue("user") + "/items" }))
	mux.HandleFunc("POST /api/cart/{user}/checkout", g.to(func(r *http.Request) string { return cart + "/carts/" + r.PathValue("user") + "/checkout" }))
	mux.HandleFunc("GET /api/orders/{user}", g.by(g.orders, func(r *http.Request) string { return orders + "/orders/" + r.PathValue("user") }))
	mux.HandleFunc("POST /api/orders/{user}", g.by(g.orders, func(r *http.Request) string { return orders + "/orders/" + r.PathValue("user") }))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok\n") })
	return mux
}

// to forwards a request to where target says.
func (g *gateway) to(target func(*http.Request) string) http.HandlerFunc {
	return g.by(g.upstream, target)
}

// by forwards with a client.
func (g *gateway) by(upstream *http.Client, target func(*http.Request) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		url := target(r)
		if r.URL.RawQuery != "" {
			url += "?" + r.URL.RawQuery
		}
		req, err := http.NewRequestWithContext(r.Context(), r.Method, url, r.Body)
		if err != nil {
			problem(w, r, http.StatusBadRequest, err.Error())
			return
		}
		req.ContentLength = r.ContentLength
		for _, name := range []string{"Accept-Encoding", "Content-Type", "If-None-Match", "User-Agent"} {
			if v := r.Header.Get(name); v != "" {
				req.Header.Set(name, v)
			}
		}
		n := g.calls.Add(1)
		if n%renewal == 0 {
			upstream.CloseIdleConnections() // and so the names are asked for again
		}
		id := "req-" + strconv.FormatUint(n, 10)
		req.Header.Set("X-Request-Id", id)
		w.Header().Set("X-Request-Id", id)
		resp, err := upstream.Do(req)
		if err != nil {
			status := http.StatusBadGateway
			if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
				status = http.StatusGatewayTimeout
			}
			problem(w, r, status, err.Error())
			return
		}
		defer finish(resp)
		for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Length", "ETag", "Cache-Control", "Location", "Retry-After"} {
			if v := resp.Header.Get(name); v != "" {
				w.Header().Set(name, v)
			}
		}
		w.WriteHeader(resp.StatusCode)
		io.Copy(flushing{w}, resp.Body)
	}
}

// flushing passes each piece on as it comes, so that chunks stay chunks.
type flushing struct{ http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	if f.Header().Get("Content-Length") == "" {
		err = errors.Join(err, http.NewResponseController(f.ResponseWriter).Flush())
	}
	return n, err
}
