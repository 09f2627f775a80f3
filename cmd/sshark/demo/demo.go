// Package demo runs a small shop on this machine, so that there is traffic to look at: a
// gateway, a catalog, a cart, orders, a DNS server, Redis and PostgreSQL where they are
// installed, and a client that never rests. They speak HTTP/1 and 2, gRPC, WebSocket, TLS, DNS,
// Redis and PostgreSQL. `sshark up --demo` starts it.
//
// Each service is a process of its own, the sshark binary started again with hidden
// arguments (see Command), in a network namespace of its own named shop-gateway,
// shop-catalog, and so on, joined as package netlab does it: apart from the machine's own
// network, and seen by a capture only where packets leave and arrive.
//
// Lifetime: the shop lives from Start to Stop. After kill -9 the services die with us, and
// the next Start takes away what is left. Start fails with netlab's errors: ErrRights,
// ErrForeign where a namespace has a name that the shop needs, ErrRunning where another
// process runs the shop.
//
// A Shop may be stopped from any goroutine, and more than once.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"

	"github.com/sshark/sshark/cmd/netlab"
)

// Options say how the shop runs. The zero value is the usual shop.
type Options struct {
	// Log gets what goes wrong while the shop runs; nil: nothing is logged.
	Log *slog.Logger
	// Stdout gets a few lines for a person when the shop is open; nil: none.
	Stdout io.Writer
	// Prefix of the namespaces' names, "" is "shop". At most 7 letters.
	Prefix string
	// Executable is the program that Command is part of; "" is this one.
	Executable string
}

// Shop is a shop that runs.
type Shop struct {
	log      *slog.Logger
	lab      *netlab.Lab
	running  []*process
	redis    bool
	postgres *postgres     // nil: there is none
	stopOnce chan struct{} // holds one token; who has it stops the shop
	stopped  chan struct{}
	err      error
}

// Start opens the shop and returns when every service is ready. ctx bounds the starting
// only. When it fails, nothing of the shop is left.
func Start(ctx context.Context, o Options) (*Shop, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Prefix == "" {
		o.Prefix = "shop"
	}
	if o.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("demo: find own program: %w", err)
		}
		o.Executable = exe
	}
	redis, err := exec.LookPath("redis-server")
	db := findPostgres(o.Prefix)
	members := staff(err == nil, db != nil)

	hosts := make([]netlab.Host, len(members))
	for i, m := range members {
		hosts[i] = m.host()
	}
	lab, err := netlab.Open(o.Prefix, hosts)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	s := &Shop{log: o.Log, lab: lab, redis: redis != "", postgres: db, stopOnce: make(chan struct{}, 1), stopped: make(chan struct{})}
	s.stopOnce <- struct{}{}
	for _, m := range members {
		p, err := s.launch(ctx, o.Executable, redis, m)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("demo: start %s: %w", m.name, err), s.Stop())
		}
		s.running = append(s.running, p)
	}
	s.greet(o.Stdout)
	return s, nil
}

// Namespaces are the names of the shop's network namespaces.
func (s *Shop) Namespaces() []string { return s.lab.Names() }

// Stop ends the services and takes the namespaces away. It returns when nothing is left, or
// with what could not be removed.
func (s *Shop) Stop() error {
	if _, mine := <-s.stopOnce; mine {
		close(s.stopOnce)
		stopAll(s.running)
		s.err = s.lab.Close()
		if s.postgres != nil {
			s.err = errors.Join(s.err, s.postgres.remove())
		}
		close(s.stopped)
	}
	<-s.stopped
	return s.err
}

func (s *Shop) greet(w io.Writer) {
	fmt.Fprintf(w, "demo shop open in the network namespaces %s\n", strings.Join(s.Namespaces(), ", "))
	if !s.redis {
		fmt.Fprintln(w, "redis-server is not installed: the cart keeps its items in memory, and there is no Redis traffic")
	}
	if s.postgres == nil {
		fmt.Fprintln(w, "postgresql is not installed: orders are kept in memory, and there is no PostgreSQL traffic")
	}
	if !netlab.HasIPv6() {
		fmt.Fprintln(w, "this machine has no IPv6: the shop speaks IPv4 only")
	}
}
