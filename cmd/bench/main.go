// Command bench measures sshark beside tcpdump and tshark, in one run on one machine, and
// prints tables with ratios.
//
//	dissection  calls of generated HTTP/1 and DNS files, against tshark's fields and statistics
//	capture     to disk of the traffic between two network namespaces, against tcpdump
//	store       a flow, a pod's five minutes and a host out of a large store, against tcpdump and
//	            tshark reading one file with the same packets, with cold and warm page cache
//
// What is compared alternates in rounds, and the median counts, so that a machine that is
// busy for a while is busy for both. The files are generated, the same in each run. What
// cannot be measured is said, with the reason; it is an error only if nothing was measured.
//
// tshark is slow, so it gets the first part of the same file, and rates are compared.
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
	"syscall"
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

	httpCalls, httpPrefix int // of the whole file, of tshark's
	dnsCalls, dnsPrefix   int
	udpPackets            int
	httpRequests          int
}

func run(ctx context.Context, args []string) error {
	s := settings{
		rounds: 3, storeGB: 1,
		httpCalls: 200_000, httpPrefix: 15_000, dnsCalls: 500_000, dnsPrefix: 50_000,
		udpPackets: 500_000, httpRequests: 40_000,
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
	only := flags.String("only", "", "`part` to measure: dissection, capture or store")
	quick := flags.Bool("quick", false, "small and once: shows that it works, the numbers mean nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s.upArgs = flags.Args()
	if *quick {
		s.rounds, s.storeGB = 1, 0.02
		s.httpCalls, s.httpPrefix, s.dnsCalls, s.dnsPrefix = 4_000, 1_000, 8_000, 2_000
		s.udpPackets, s.httpRequests = 20_000, 1_000
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
	}{{"dissection", dissection}, {"capture", capture}, {"store", store}} {
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
