package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cost is what a command took.
type cost struct {
	wall, cpu time.Duration
	rss       int64 // bytes at most
	lines     int   // of its standard output
	bytes     int64
}

// longest bounds any one command.
const longest = 5 * time.Minute

// measure runs a command and throws its output away, counted.
func measure(ctx context.Context, name string, args ...string) (cost, error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out counter
	var problem tail
	cmd.Stdout, cmd.Stderr = &out, &problem
	start := time.Now()
	err := cmd.Run()
	c := cost{wall: time.Since(start), lines: out.lines, bytes: out.bytes}
	if err != nil {
		return c, fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, problem)
	}
	c.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.rss = ru.Maxrss * 1024 // getrusage(2): kilobytes
	}
	return c, nil
}

// counter counts what is written to it.
type counter struct {
	lines int
	bytes int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.lines += bytes.Count(p, []byte("\n"))
	c.bytes += int64(len(p))
	return len(p), nil
}

// tail keeps the last of what is written to it, for an error's text.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	if over := len(*t) - 2000; over > 0 {
		*t = append((*t)[:0], (*t)[over:]...)
	}
	return len(p), nil
}

func (t tail) String() string { return strings.TrimSpace(string(t)) }

// packages are Debian's that have the programs which are compared with or make traffic.
var packages = map[string]string{
	"dnsperf": "dnsperf", "h2load": "nghttp2-client", "initdb": "postgresql", "nginx": "nginx", "pgbench": "postgresql",
	"postgres": "postgresql", "redis-benchmark": "redis-tools", "redis-server": "redis-server", "ssh": "openssh-client",
	"tcpdump": "tcpdump", "tshark": "tshark", "wrk": "wrk",
}

// tool is the path of a program that is compared with or makes traffic.
func tool(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	// Debian keeps the servers of PostgreSQL, one version a folder, off the path.
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		return found[len(found)-1], nil
	}
	return "", fmt.Errorf("%s: %w (Debian: apt-get install %s)", name, errMissing, packages[name])
}

// cpuTime is what the threads of a process have used so far, by the scheduler's own count of
// nanoseconds (Documentation/scheduler/sched-stats.rst), which is finer than stat's ticks.
func cpuTime(pid int) (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("process %d: %w", pid, os.ErrProcessDone)
	}
	var sum time.Duration
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended since
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", task, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// wait waits for a while, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until reads lines of a process until one has the prefix, and goes on to read the rest, so
// that the process never waits for us.
func until(ctx context.Context, r io.Reader, match func(line string) bool) (string, error) {
	found := make(chan string, 1)
	ended := make(chan struct{})
	var seen tail
	go func() {
		defer close(ended)
		var line []byte
		buf := make([]byte, 4096)
		done := false
		for {
			n, err := r.Read(buf)
			for _, b := range buf[:n] {
				if done {
					break
				}
				if b != '\n' {
					line = append(line, b)
					continue
				}
				if match(string(line)) {
					found <- string(line)
					done = true
				}
				seen.Write(append(line, '\n'))
				line = line[:0]
			}
			if err != nil {
				return
			}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	select {
	case line := <-found:
		return line, nil
	case <-ended:
		select {
		case line := <-found: // it was among its last words
			return line, nil
		default:
		}
		return "", fmt.Errorf("it ended before it was ready: %s", seen)
	case <-ctx.Done():
		return "", fmt.Errorf("it did not get ready: %w", ctx.Err())
	}
}
