package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// Name is the first argument that makes the binary a service of the shop.
const Name = "demo-service"

// Command is the hidden command that Start runs the binary with.
func Command() *cobra.Command {
	return &cobra.Command{
		Use:                Name + " SERVICE",
		Short:              "one service of the demo shop",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return RunService(cmd.Context(), args, cmd.OutOrStdout())
		},
	}
}

// RunService is one service of the shop, in this process, until ctx or SIGTERM ends it. It
// writes a line to stdout when it is ready. args are those after Name.
func RunService(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return errors.New("demo: which service?")
	}
	flags := flag.NewFlagSet(Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error goes back
	redis := flags.Bool("redis", false, "there is a Redis")
	postgres := flags.Bool("postgres", false, "there is a PostgreSQL")
	if err := flags.Parse(args[1:]); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()

	var run func(context.Context, func()) error
	switch args[0] {
	case dnsMember.name:
		run = newDNS(staff(*redis, *postgres)).run
	case catalogMember.name:
		run = func(ctx context.Context, ready func()) error { return serve(ctx, catalogPort, newCatalog(), ready) }
	case cartMember.name:
		c, err := newCart(*redis)
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		run = c.run
	case ordersMember.name:
		run = newOrders(*postgres).run
	case gatewayMember.name:
		run = func(ctx context.Context, ready func()) error { return serve(ctx, gatewayPort, newGateway(), ready) }
	case clientMember.name:
		run = runClients
	default:
		return fmt.Errorf("demo: no service %q", args[0])
	}
	err := run(ctx, func() { fmt.Fprintln(stdout, ready) })
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("demo: %s: %w", args[0], err)
	}
	return nil
}

// serve is an HTTP server on a port until ctx ends: HTTP/1, and HTTP/2 for those who begin with
// its preface.
func serve(ctx context.Context, port int, h http.Handler, ready func()) error {
	return serveTLS(ctx, port, h, nil, ready)
}

// serveTLS is serve behind TLS, if there is a configuration for it.
func serveTLS(ctx context.Context, port int, h http.Handler, c *tls.Config, ready func()) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, TLSConfig: c, Protocols: new(http.Protocols),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)} // clients that hang up are what is to be seen
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	var g errgroup.Group
	g.Go(func() error {
		<-ctx.Done()
		return srv.Close()
	})
	ready()
	if c == nil {
		err = srv.Serve(l)
	} else {
		err = srv.ServeTLS(l, "", "")
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return g.Wait()
}

// newResolver asks the shop's DNS server, whatever resolv.conf of the machine says.
func newResolver() *net.Resolver {
	server := netip.AddrPortFrom(dnsMember.addr4(), 53).String()
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server)
		},
	}
}

// newDialer connects to the shop's names. It looks them up as they are, without the search
// list of the machine.
func newDialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: time.Second, Resolver: newResolver()}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(host+".", port))
		return conn, named(err)
	}
}

// named makes the error of a lookup say which server was asked: the library believes that it
// was the machine's own.
func named(err error) error {
	var failed *net.DNSError
	if errors.As(err, &failed) {
		failed.Server = dnsMember.name
	}
	return err
}

// newHTTPClient looks names up in the shop's DNS for each connection it opens.
func newHTTPClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:           newDialer(),
			MaxIdleConnsPerHost:   8,
			IdleConnTimeout:       20 * time.Second,
			ExpectContinueTimeout: 200 * time.Millisecond,
			// What a client sends as Accept-Encoding is its own affair here.
			DisableCompression: true,
		},
	}
}

// pause waits about the given time, between a half and one and a half of it; false: ctx ended.
func pause(ctx context.Context, mean time.Duration) bool {
	t := time.NewTimer(mean/2 + rand.N(mean))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// chance is true with the probability p.
func chance(p float64) bool { return rand.Float64() < p }

// finish reads a response to its end, so that its connection can be used again.
func finish(resp *http.Response) {
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}
