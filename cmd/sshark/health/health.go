// Package health serves what Kubernetes and Prometheus ask a process over HTTP: /healthz says
// whether it is alive and not stuck, /readyz whether it does its job now, /metrics how much.
//
// A Server lives from Start to Close and is bounded: in connections, in time, and in checks
// that run at once. It tells no secrets, so it asks for no credentials; who may reach it is
// the affair of network policies.
//
// Both checks answer 200 with "ok", or 503 with what is wrong in one line.
package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// Bounds of the server.
const (
	maxConns   = 32
	maxHeader  = 16 << 10
	maxScrapes = 4
	// stuckAfter is how long a check may take: what answers later holds a lock that it should
	// have given back.
	stuckAfter  = 4 * time.Second // kubelets are told to wait for 5
	scrapeTime  = 10 * time.Second
	requestTime = 15 * time.Second
	idleTime    = 2 * time.Minute
)

// Options of Start. Alive, Ready and Log are needed.
type Options struct {
	Listen string // TCP address
	// Alive returns nil while the process works. It should take the locks that matter: one that
	// does not return is what makes /healthz fail.
	Alive func() error
	// Ready says what keeps the process from its job, nil: nothing does.
	Ready func() error
	Log   *slog.Logger
}

// Server answers over HTTP.
type Server struct {
	registry *prometheus.Registry
	http     http.Server
	ln       net.Listener // nil: it is off
	done     chan struct{}
}

// Off is a server that listens nowhere.
func Off() *Server { return &Server{registry: prometheus.NewRegistry()} }

// Start listens and serves.
func Start(o Options) (*Server, error) {
	s := &Server{registry: prometheus.NewRegistry(), done: make(chan struct{})}
	if err := s.Register(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})); err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for health and metrics: %w", err)
	}
	s.ln = ln
	s.http = http.Server{
		Handler:           s.handler(o),
		ReadHeaderTimeout: requestTime, ReadTimeout: requestTime, WriteTimeout: requestTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug), // strangers' mistakes
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(netutil.LimitListener(ln, maxConns)); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("health and metrics are no longer served", "err", err)
		}
	}()
	return s, nil
}

// Register adds metrics, which are collected at each scrape from now on.
func (s *Server) Register(metrics ...prometheus.Collector) error {
	for _, c := range metrics {
		if err := s.registry.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// Addr is where the server listens, nil if it is off.
func (s *Server) Addr() net.Addr {
	if s.ln == nil {
		return nil
	}
	return s.ln.Addr()
}

// Close ends the server at once.
func (s *Server) Close() error {
	if s.ln == nil {
		return nil
	}
	err := s.http.Close()
	<-s.done
	return err
}

func (s *Server) handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes, Timeout: scrapeTime,
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}))
	mux.Handle("GET /healthz", &check{what: o.Alive})
	mux.Handle("GET /readyz", &check{what: o.Ready})
	return mux
}

// check runs one function, once at a time: those who ask while it runs get its answer too. A
// function that is stuck so holds one goroutine, however often it is asked for.
type check struct {
	what func() error

	mu      sync.Mutex
	running *result // nil: none
}

type result struct {
	done chan struct{}
	err  error // once done
}

func (c *check) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := c.run(r.Context()); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, err) // who does not read it asks again
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

func (c *check) run(ctx context.Context) error {
	c.mu.Lock()
	r := c.running
	if r == nil {
		r = &result{done: make(chan struct{})}
		c.running = r
		go func() {
			r.err = c.what()
			c.mu.Lock()
			c.running = nil
			c.mu.Unlock()
			close(r.done)
		}()
	}
	c.mu.Unlock()
	timer := time.NewTimer(stuckAfter)
	defer timer.Stop()
	select {
	case <-r.done:
		return r.err
	case <-timer.C:
		return fmt.Errorf("stuck: the check has not answered for %v", stuckAfter)
	case <-ctx.Done():
		return ctx.Err()
	}
}
