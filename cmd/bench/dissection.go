package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// traffic is a kind of calls to be dissected.
type traffic struct {
	name string
	// write makes the file, and says how many calls are in it; 0: nobody but sshark counted.
	write func(ctx context.Context, path string) (calls int, err error)
	// tshark gets so much of the file as this many calls take: it needs minutes for the whole.
	part   int
	fields []string // of tshark -T fields
	stats  string   // of tshark -z
	goals  []goal
}

// Rows of the tables that are compared with goals.
const (
	rowCalls = "sshark calls -o json"
	rowLast  = "sshark calls --last 1"
)

// traffics are what there are budgets for. The first two are made by this
// program, the same in each run; the others are recorded of real servers under load.
func traffics(s *settings) []traffic {
	perSecond := func(must, aim float64) []goal { return []goal{{col: "calls/s", must: must, aim: aim}} }
	http := append(perSecond(300_000, 600_000), goal{col: "MB/s", must: 600}, goal{col: "RSS MB", must: 100, most: true})
	messages := []goal{{col: "messages/s", must: 1_000_000, aim: 2_000_000}}
	httpFields := []string{"-Y", "http", "-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst", "-e", "http.request.method", "-e", "http.request.uri", "-e", "http.response.code", "-e", "http.time"}
	dnsFields := []string{"-Y", "dns", "-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst", "-e", "dns.qry.name", "-e", "dns.qry.type", "-e", "dns.flags.rcode", "-e", "dns.time"}
	postgresqlFields := []string{"-Y", "pgsql", "-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst", "-e", "pgsql.type", "-e", "pgsql.query"}
	generated := func(calls int, step time.Duration, write func(*frames, int) error) func(context.Context, string) (int, error) {
		return func(_ context.Context, path string) (int, error) {
			_, err := generate(path, step, func(f *frames) error { return write(f, calls) })
			return calls, err
		}
	}
	return []traffic{
		{"HTTP/1, generated", generated(s.httpCalls, 2*time.Microsecond, func(f *frames, n int) error { return writeHTTP(f, n, 3200) }),
			s.part, httpFields, "http,tree", http},
		// The file of DNS lasts as long as that of a busy node.
		{"DNS, generated", generated(s.dnsCalls, 100*time.Microsecond, writeDNS), 3 * s.part, dnsFields, "dns,tree", messages},
		{"HTTP/1, wrk and nginx", wrk(s.wrkSeconds).recorded, s.part, httpFields, "http,tree", http},
		{"HTTP/2, h2load and nginx", h2load(s.h2Calls).recorded, s.part,
			[]string{"-Y", "http2", "-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst", "-e", "http2.streamid", "-e", "http2.headers.method", "-e", "http2.headers.path", "-e", "http2.headers.status"},
			"http2,tree", perSecond(100_000, 200_000)},
		{"DNS, dnsperf and a server in Go", dnsperf(s.dnsCalls).recorded, 3 * s.part, dnsFields, "dns,tree", messages},
		{"Redis, redis-benchmark in pipelines", redisBenchmark(s.redisCalls).recorded, 3 * s.part,
			[]string{"-Y", "resp", "-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst", "-e", "resp.array.length", "-e", "resp.bulk_string.value", "-e", "resp.string"},
			"io,phs", perSecond(300_000, 600_000)},
		{"PostgreSQL, pgbench, simple", pgbench("simple", s.pgCalls).recorded, s.part, postgresqlFields, "io,phs", perSecond(300_000, 600_000)},
		{"PostgreSQL, pgbench, prepared", pgbench("prepared", s.pgCalls).recorded, s.part, postgresqlFields, "io,phs", perSecond(300_000, 600_000)},
	}
}

// dissection measures how fast calls are read out of files.
func dissection(ctx context.Context, s *settings) error {
	tshark, missing := tool("tshark")
	for _, k := range traffics(s) {
		err := k.measure(ctx, s, tshark)
		if errors.Is(err, errMissing) {
			fmt.Printf("%s: not measured: %v\n", k.name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	if missing != nil {
		fmt.Printf("not compared: %v\n", missing)
	}
	return nil
}

// measure makes the file, and prints the table. Without tshark ("") it has sshark alone.
func (k *traffic) measure(ctx context.Context, s *settings, tshark string) error {
	whole, part := filepath.Join(s.dir, "whole.pcap"), filepath.Join(s.dir, "part.pcap")
	counted, err := k.write(ctx, whole)
	if err != nil {
		return err
	}
	info, err := os.Stat(whole)
	if err != nil {
		return err
	}
	found, err := k.find(ctx, s, whole)
	if err != nil {
		return err
	}
	partBytes, err := copyPart(part, whole, info.Size()*int64(min(k.part, found.lines))/int64(found.lines))
	if err != nil {
		return err
	}
	foundPart, err := k.find(ctx, s, part)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d calls, %d MB; tshark: the first %d calls\n", k.name, found.lines, info.Size()/1e6, foundPart.lines)
	t := newTable(column{"calls/s", "%.0f"}, column{"messages/s", "%.0f"}, column{"MB/s", "%.0f"}, column{"CPU us/call", "%.2f"}, column{"RSS MB", "%.0f"})
	if counted != found.lines {
		t.note("who made the traffic counted %d calls, sshark %d", counted, found.lines)
	}
	one := func(row string, calls int, bytes int64, lines int, name string, args ...string) error {
		c, err := measure(ctx, name, args...)
		if err != nil {
			return err
		}
		if lines > 0 && c.lines != lines {
			t.note("%s printed %d lines instead of %d", row, c.lines, lines)
		}
		sec := c.wall.Seconds()
		t.add(row, float64(calls)/sec, float64(2*calls)/sec, float64(bytes)/1e6/sec,
			float64(c.cpu.Microseconds())/float64(calls), float64(c.rss)/1e6)
		return nil
	}
	stats := "tshark -z " + k.stats
	for range s.rounds {
		err := errors.Join(
			one(rowCalls, found.lines, info.Size(), found.lines, s.sshark, "calls", "--pcap", whole, "-o", "json"),
			one(rowLast, found.lines, info.Size(), 1, s.sshark, "calls", "--pcap", whole, "-o", "json", "--last", "1"))
		if tshark != "" {
			err = errors.Join(err,
				one("tshark -T fields", foundPart.lines, partBytes, 0, tshark, append([]string{"-n", "-r", part, "-T", "fields"}, k.fields...)...),
				one(stats, foundPart.lines, partBytes, 0, tshark, "-n", "-q", "-r", part, "-z", k.stats))
		}
		if err != nil {
			return err
		}
	}
	t.ratio(rowCalls, "tshark -T fields", "calls/s")
	t.ratio(rowLast, stats, "calls/s")
	t.ratio(rowCalls, "tshark -T fields", "CPU us/call")
	for _, g := range k.goals {
		if !s.quick {
			t.goal(g, rowCalls, rowLast)
		}
	}
	t.print()
	return nil
}

// find has sshark count the calls of a file.
func (k *traffic) find(ctx context.Context, s *settings, path string) (cost, error) {
	c, err := measure(ctx, s.sshark, "calls", "--pcap", path, "-o", "json")
	if err == nil && c.lines == 0 {
		err = fmt.Errorf("no calls in the file")
	}
	return c, err
}
