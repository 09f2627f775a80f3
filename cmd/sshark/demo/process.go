package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// How long a service may take to be ready, and to end when it is asked to.
const (
	readyTime = 15 * time.Second
	graceTime = 2 * time.Second
)

// ready is the line that a service prints when it listens.
const ready = "ready"

// process is one service that runs.
type process struct {
	cmd      *exec.Cmd
	done     chan struct{} // closed when it has ended and was waited for
	stopping atomic.Bool
}

// launch starts the process of a member in its namespace and waits until it is ready.
func (s *Shop) launch(ctx context.Context, exe, redis string, m member) (*process, error) {
	args := []string{Name, m.name}
	if m == redisMember {
		// It keeps nothing and writes no file, so its folder does not matter.
		exe, args = redis, []string{
			"--port", strconv.Itoa(redisPort), "--bind", "*", "-::*", "--protected-mode", "no",
			"--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", "/",
			"--maxmemory", "32mb", "--maxmemory-policy", "allkeys-lru", "--loglevel", "warning",
		}
	} else {
		if s.redis {
			args = append(args, "--redis")
		}
		if s.postgres != nil {
			args = append(args, "--postgres")
		}
	}
	cmd := exec.Command(exe, args...)
	// In a group of its own, so that Ctrl-C reaches us only, and we end it in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if m == postgresMember {
		var err error
		if cmd, err = s.postgres.prepare(ctx); err != nil {
			return nil, err
		}
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.lab.Start(m.name, cmd); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	isReady := make(chan struct{})
	drained := make(chan struct{}, 2)
	go func() {
		first := bufio.NewScanner(stdout)
		for first.Scan() {
			if first.Text() == ready {
				close(isReady)
				break
			}
		}
		io.Copy(io.Discard, stdout)
		drained <- struct{}{}
	}()
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			s.log.Warn("demo shop", "service", m.name, "says", lines.Text())
		}
		io.Copy(io.Discard, stderr) // a line too long for the scanner
		drained <- struct{}{}
	}()
	go func() {
		defer close(p.done)
		<-drained
		<-drained
		if err := cmd.Wait(); !p.stopping.Load() {
			s.log.Error("demo shop: a service ended by itself", "service", m.name, "error", err)
		}
	}()
	if m == redisMember || m == postgresMember {
		return p, nil // who needs it asks again until it answers
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	select {
	case <-isReady:
		return p, nil
	case <-p.done:
		err = errors.New("it ended at once; the log says why")
	case <-ctx.Done():
		err = fmt.Errorf("not ready: %w", ctx.Err())
	}
	stopAll([]*process{p})
	return nil, err
}

// stopAll asks all of them to end, then ends them, and returns when they are gone.
func stopAll(all []*process) {
	for _, p := range all {
		p.stopping.Store(true)
		p.cmd.Process.Signal(syscall.SIGTERM)
	}
	grace := time.NewTimer(graceTime)
	defer grace.Stop()
	for _, p := range all {
		select {
		case <-p.done:
			continue
		case <-grace.C:
			for _, q := range all {
				q.cmd.Process.Kill()
			}
		}
		<-p.done
	}
}
