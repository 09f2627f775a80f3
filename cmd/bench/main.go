// Command bench measures sshark beside tcpdump and tshark, in one run on one machine, and
// prints tables with ratios, and whether the budgets are met.
//
//	dissection  calls of files, against tshark's fields and statistics: HTTP/1 and DNS that are
//	            generated; HTTP/1, HTTP/2, DNS, Redis and PostgreSQL recorded of real servers
//	            under load (wrk, h2load, dnsperf, redis-benchmark, pgbench)
//	capture     to disk of the traffic between two network namespaces, against tcpdump
//	store       a flow, a pod's five minutes and a host out of a large store, against tcpdump and
//	            tshark reading one file with the same packets, with cold and warm page cache
//	operators   at the screen over SSH, with live traffic: from key press to frame, bytes on the
//	            wire, and the same beside operators who do not read what is sent to them
//
// What is compared alternates in rounds, and the median counts, so that a machine that is
// busy for a while is busy for both. The generated files are the same in each run. What
// cannot be measured is said, with the reason and what to install; it is an error only if
// nothing was measured. How fast something was is never an error.
//
// tshark is slow, so it gets the first part of the same file, and rates are compared.
//
// Where other work goes on, `chrt -r 1` before the command keeps it from disturbing (root); not
// for the capture, where the load would keep the processors from those who capture it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		err = roles[os.Args[1]](ctx, os.Args[2:])
	} else {
		err = run(ctx, os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are what a run is told.
type settings struct {
	sshark  string  // the binary
	dir     string  // for files, on the disk that is to be measured
	rounds  int     // of each measurement
	storeGB float64 // size of the large store
	upArgs  []string

	part                         int // calls of tshark's part of a file
	httpCalls, dnsCalls          int // of the whole file
	h2Calls, redisCalls, pgCalls int
	wrkSeconds                   int
	udpPackets                   int
	httpRequests                 int
	operators                    []int         // how many at once, from few to many
	watched                      time.Duration // how long they work
	quick                        bool          // the numbers mean nothing
}

func run(ctx context.Context, args []string) error {
	s := settings{
		rounds: 3, storeGB: 1,
		part: 15_000, httpCalls: 200_000, dnsCalls: 500_000, h2Calls: 200_000, redisCalls: 1_000_000, pgCalls: 200_000, wrkSeconds: 5,
		udpPackets: 500_000, httpRequests: 40_000,
		operators: []int{1, 20, 100}, watched: 20 * time.Second,
	}
	if gb := os.Getenv("BENCH_STORE_GB"); gb != "" {
		n, err := strconv.ParseFloat(gb, 64)
		if err != nil || n <= 0 {
			return fmt.Errorf("BENCH_STORE_GB=%q: give a number of gigabytes over 0", gb)
		}
		s.storeGB = n
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&s.sshark, "sshark", "bin/sshark", "the sshark `binary` to measure")
	flags.StringVar(&s.dir, "dir", ".bench", "`folder` on the disk to measure; what is made there is removed")
	flags.IntVar(&s.rounds, "rounds", s.rounds, "rounds of each measurement")
	only := flags.String("only", "", "`part` to measure: dissection, capture, store or operators")
	flags.Func("operators", "how many are at the screen at once, as `1,20,100`", func(text string) error {
		s.operators = nil
		for part := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(part)
			if err != nil || n < 1 || n > 200 {
				return errors.New("give numbers from 1 to 200, with commas between")
			}
			s.operators = append(s.operators, n)
		}
		return nil
	})
	flags.BoolVar(&s.quick, "quick", false, "small and once: shows that it works, the numbers mean nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s.upArgs = flags.Args()
	if s.quick {
		s.rounds, s.storeGB = 1, 0.02
		s.part, s.httpCalls, s.dnsCalls, s.h2Calls, s.redisCalls, s.pgCalls, s.wrkSeconds = 500, 4_000, 8_000, 4_000, 8_000, 4_000, 1
		s.udpPackets, s.httpRequests = 20_000, 1_000
		s.operators, s.watched = []int{1, 3}, 3*time.Second
	}
	if _, err := os.Stat(s.sshark); err != nil {
		return fmt.Errorf("no sshark to measure, build it first: %w", err)
	}
	var err error
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp(s.dir, "run-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)

	var measured int
	var failures []error
	for _, part := range []struct {
		name string
		run  func(context.Context, *settings) error
	}{{"dissection", dissection}, {"capture", capture}, {"store", store}, {"operators", operators}} {
		if *only != "" && *only != part.name {
			continue
		}
		fmt.Printf("\n%s\n", part.name)
		switch err := part.run(ctx, &s); {
		case err == nil:
			measured++
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errMissing):
			fmt.Printf("not measured: %v\n", err)
		default:
			fmt.Printf("failed: %v\n", err)
			failures = append(failures, fmt.Errorf("%s: %w", part.name, err))
		}
	}
	if measured == 0 && len(failures) == 0 {
		return errors.New("nothing was measured")
	}
	return errors.Join(failures...)
}

// errMissing: something that the measurement needs is not on this machine.
var errMissing = errors.New("missing on this machine")
