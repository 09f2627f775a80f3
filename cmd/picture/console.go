package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// console is a running `sshark up --demo`.
type console struct {
	ssh  string // the command that it printed, a line for a shell
	cmd  *exec.Cmd
	read chan struct{} // closed when its output has ended
}

// startConsole returns when the console has said how to get in.
func startConsole(ctx context.Context, program, state string) (*console, error) {
	cmd := exec.CommandContext(ctx, program, "up", "--demo", "--state", state, "--listen", "127.0.0.1:0")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it takes the shop away
	cmd.WaitDelay = 20 * time.Second
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the console, build it first: %w", err)
	}
	c := &console{cmd: cmd, read: make(chan struct{})}
	line := make(chan string, 1)
	go func() {
		defer close(c.read)
		defer close(line)
		if l, ok := sshLine(out); ok {
			line <- l
		}
		_, _ = io.Copy(io.Discard, out) // so that it never waits for us
	}()
	c.ssh = <-line // also when ctx ends, as the process does then
	if c.ssh == "" {
		_ = c.stop() // why it ended is on its standard error
		return nil, errors.Join(fmt.Errorf("the console did not start:\n%s", complaint(problem.String())), ctx.Err())
	}
	return c, nil
}

// sshLine finds the line with the command that opens the console.
func sshLine(r io.Reader) (string, bool) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ssh ") {
			return lines.Text(), true
		}
	}
	return "", false
}

// complaint is what a program said on its standard error, without what it logged.
func complaint(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "time=") { // log/slog's text
			kept = append(kept, line)
		}
	}
	return strings.TrimSpace(strings.Join(kept, ""))
}

// stop ends the console as Ctrl-C does, and waits until its shop is gone.
func (c *console) stop() error {
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	kill := time.AfterFunc(c.cmd.WaitDelay, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	<-c.read
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("end the console: %w", err)
	}
	return nil
}
