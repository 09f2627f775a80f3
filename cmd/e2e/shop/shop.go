// Package shop is the workload of the end-to-end tests: HTTP and DNS servers that say who
// they are and whom they see, and clients that make each of a number of requests exactly
// once, so that what was captured can be counted.
//
// Clients never try a request again, whatever comes of it: a number is on the wire once or
// not at all, and the report says which. Everything ends with its context.
package shop

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// maxErrors bounds how many errors a report tells.
const maxErrors = 5

// Report is what a client says of the requests that it made.
type Report struct {
	Name    string         `json:"name"`
	Done    int            `json:"done"` // requests that were answered
	Failed  int            `json:"failed"`
	Errors  []string       `json:"errors,omitempty"` // the first few
	Servers map[string]int `json:"servers,omitempty"`
	// Seen are the addresses, without ports, that the servers took the client for.
	Seen  map[string]int `json:"seen,omitempty"`
	First time.Time      `json:"first"`
	Last  time.Time      `json:"last"`
}

// count adds what came of one request.
func (r *Report) count(server, seen string, err error) {
	if err != nil {
		r.Failed++
		if len(r.Errors) < maxErrors {
			r.Errors = append(r.Errors, err.Error())
		}
		return
	}
	r.Done++
	if server != "" {
		r.Servers[server]++
	}
	if seen != "" {
		r.Seen[seen]++
	}
}

// Path is what request n of a client is known by.
func Path(name string, n int) string { return fmt.Sprintf("/call/%s/%05d", name, n) }

// Host is the name that question n of a client is for.
func Host(name string, n int, suffix string) string {
	return fmt.Sprintf("%s-%05d.%s.", name, n, suffix)
}

// Run is the program; args are those after its name.
func Run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return errors.New("which of serve, call, lookup, source, remove?")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error goes back
	var work func(context.Context) error
	report := func(do func(context.Context) *Report) func(context.Context) error {
		return func(ctx context.Context) error {
			r := do(ctx)
			if err := json.NewEncoder(stdout).Encode(r); err != nil {
				return err
			}
			if r.Failed > 0 {
				return fmt.Errorf("%d of %d requests failed", r.Failed, r.Failed+r.Done)
			}
			return nil
		}
	}
	switch args[0] {
	case "serve":
		s := new(server)
		s.declare(flags)
		work = s.run
	case "call":
		c := new(client)
		c.declare(flags)
		work = report(c.run)
	case "lookup":
		a := new(asker)
		a.declare(flags)
		work = report(a.run)
	case "source":
		work = func(context.Context) error { return source(flags.Arg(0), stdout) }
	case "remove":
		work = func(context.Context) error { return os.RemoveAll(flags.Arg(0)) }
	default:
		return fmt.Errorf("no %q: serve, call, lookup, source, remove", args[0])
	}
	if err := flags.Parse(args[1:]); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return work(ctx)
}

// source prints the address that this machine speaks to another from. Nothing is sent.
func source(to string, stdout io.Writer) error {
	conn, err := net.Dial("udp", net.JoinHostPort(to, "9"))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = fmt.Fprintln(stdout, conn.LocalAddr().(*net.UDPAddr).IP)
	return err
}

// pace is the common part of clients: how many requests, and how fast.
type pace struct {
	name  string
	first int
	count int
	rate  float64
	stay  time.Duration
}

func (p *pace) declare(f *flag.FlagSet) {
	f.StringVar(&p.name, "name", "anybody", "what the requests are known by")
	f.IntVar(&p.first, "first", 1, "number of the first request")
	f.IntVar(&p.count, "count", 1, "how many requests")
	f.Float64Var(&p.rate, "rate", 50, "requests a second, 0: all at once")
	f.DurationVar(&p.stay, "stay", 0, "how long to stay at least, reckoned from the start; the second half of the requests is made at the end")
}

// each calls do with each number, at the pace, until ctx ends.
func (p *pace) each(ctx context.Context, do func(n int)) {
	var tick <-chan time.Time
	if p.rate > 0 {
		t := time.NewTicker(time.Duration(float64(time.Second) / p.rate))
		defer t.Stop()
		tick = t.C
	}
	end := time.NewTimer(p.stay)
	defer end.Stop()
	for i := range p.count {
		if tick != nil && i > 0 {
			select {
			case <-tick:
			case <-ctx.Done():
				return
			}
		}
		if p.stay > 0 && i == p.count/2 {
			select {
			case <-end.C:
			case <-ctx.Done():
				return
			}
		}
		do(p.first + i)
	}
}
