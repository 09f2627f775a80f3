// Command picture makes the README's picture of the screen from the real thing: it starts
// `sshark up --demo` with a state folder of its own, types the ssh command that it prints
// into tmux, presses keys until the screen tells the demo shop's story, a checkout that fails
// because a name does not exist, and writes what the terminal shows as SVG.
//
// It takes about a minute, so that the chart has a minute to show. It needs root, tmux and
// ssh. Nothing stays running, also when it fails, and a picture that was there stays whole.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

// longest bounds a whole run.
const longest = 4 * time.Minute

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("picture", flag.ContinueOnError)
	sshark := flags.String("sshark", "bin/sshark", "the sshark `binary` to show")
	out := flags.String("o", "docs/tui.svg", "the `file` to write")
	columns := flags.Int("columns", 120, "width of the terminal")
	rows := flags.Int("rows", 45, "height of the terminal")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	dir, err := os.MkdirTemp("", "picture-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	c, err := startConsole(ctx, *sshark, filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	t, err := startTerminal(ctx, dir, *columns, *rows, c.ssh)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.stop()) }()
	if err := story(ctx, t); err != nil {
		return err
	}
	screen, err := t.styled(ctx)
	if err != nil {
		return err
	}
	return writeWhole(*out, svg(screen, "sshark in a terminal: calls of the demo shop, and the details of one that failed"))
}

// writeWhole writes a file so that its name is never seen with half of it.
func writeWhole(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has another name if all went well
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
