package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// dissection measures how fast calls are read out of files.
func dissection(ctx context.Context, s *settings) error {
	tshark, err := tool("tshark")
	if err != nil {
		return err
	}
	for _, p := range []struct {
		name         string
		calls, short int
		messages     int           // of a call
		step         time.Duration // between packets: the file of DNS lasts as long as that of a busy node
		write        func(f *frames, calls int) error
		fields       []string
		tree         string
	}{
		{"HTTP/1", s.httpCalls, s.httpPrefix, 2, 2 * time.Microsecond,
			func(f *frames, calls int) error { return writeHTTP(f, calls, 3200) },
			[]string{"-Y", "http", "-T", "fields", "-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst", "-e", "http.request.method", "-e", "http.request.uri", "-e", "http.response.code", "-e", "http.time"}, "http,tree"},
		{"DNS", s.dnsCalls, s.dnsPrefix, 2, 100 * time.Microsecond, writeDNS,
			[]string{"-Y", "dns", "-T", "fields", "-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst", "-e", "dns.qry.name", "-e", "dns.qry.type", "-e", "dns.flags.rcode", "-e", "dns.time"}, "dns,tree"},
	} {
		whole, short := filepath.Join(s.dir, "whole.pcap"), filepath.Join(s.dir, "short.pcap")
		wrote, err := generate(whole, p.step, func(f *frames) error { return p.write(f, p.calls) })
		if err != nil {
			return err
		}
		wroteShort, err := generate(short, p.step, func(f *frames) error { return p.write(f, p.short) })
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d calls, %d packets, %d MB; tshark: the first %d calls\n", p.name, p.calls, wrote.packets, wrote.bytes/1e6, p.short)
		t := newTable(column{"calls/s", "%.0f"}, column{"messages/s", "%.0f"}, column{"MB/s", "%.0f"}, column{"CPU us/call", "%.2f"}, column{"RSS MB", "%.0f"})
		one := func(row string, calls int, f *frames, lines int, name string, args ...string) error {
			c, err := measure(ctx, name, args...)
			if err != nil {
				return err
			}
			if lines > 0 && c.lines != lines {
				t.note("%s printed %d lines instead of %d", row, c.lines, lines)
			}
			sec := c.wall.Seconds()
			t.add(row, float64(calls)/sec, float64(calls*p.messages)/sec, float64(f.bytes)/1e6/sec,
				float64(c.cpu.Microseconds())/float64(calls), float64(c.rss)/1e6)
			return nil
		}
		for range s.rounds {
			for _, run := range []error{
				one("sshark calls -o json", p.calls, wrote, p.calls, s.sshark, "calls", "--pcap", whole, "-o", "json"),
				one("sshark calls --last 1", p.calls, wrote, 1, s.sshark, "calls", "--pcap", whole, "-o", "json", "--last", "1"),
				one("tshark -T fields", p.short, wroteShort, p.short*p.messages, tshark, append([]string{"-n", "-r", short}, p.fields...)...),
				one("tshark -z "+p.tree, p.short, wroteShort, 0, tshark, "-n", "-q", "-r", short, "-z", p.tree),
			} {
				if run != nil {
					return run
				}
			}
		}
		t.ratio("sshark calls -o json", "tshark -T fields", "calls/s")
		t.ratio("sshark calls --last 1", "tshark -z "+p.tree, "calls/s")
		t.print()
	}
	return nil
}
