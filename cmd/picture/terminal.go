package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// terminal is a tmux server of our own with one pane, which runs the screen.
type terminal struct{ socket string }

// tmuxConfig: the pane is the whole terminal, it has 256 colours, and Escape is sent at once.
const tmuxConfig = `set -g status off
set -g default-terminal tmux-256color
set -s escape-time 0
`

// startTerminal runs an ssh command, a line for a shell, with a terminal of that size.
func startTerminal(ctx context.Context, dir string, columns, rows int, ssh string) (*terminal, error) {
	config := filepath.Join(dir, "tmux.conf")
	if err := os.WriteFile(config, []byte(tmuxConfig), 0o600); err != nil {
		return nil, err
	}
	t := &terminal{socket: filepath.Join(dir, "tmux")}
	_, err := t.tmux(ctx, "-f", config, "new-session", "-d", "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows),
		"exec ssh -t "+strings.TrimPrefix(ssh, "ssh "))
	return t, err
}

func (t *terminal) tmux(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "tmux", append([]string{"-u", "-S", t.socket}, args...)...)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("tmux %s: %w: %s", args[0], err, bytes.TrimSpace(problem.Bytes()))
	}
	return out, nil
}

// stop ends tmux, and with it the ssh inside.
func (t *terminal) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := t.tmux(ctx, "kill-server")
	return err
}

// text is what the pane shows.
func (t *terminal) text(ctx context.Context) (string, error) {
	out, err := t.tmux(ctx, "capture-pane", "-p")
	return string(out), err
}

// styled is what the pane shows, with its colours as SGR sequences (ECMA-48 8.3.117), and
// with the blanks at the ends of lines, which may have a colour too.
func (t *terminal) styled(ctx context.Context) (string, error) {
	out, err := t.tmux(ctx, "capture-pane", "-p", "-e", "-N")
	return string(out), err
}

// press sends keys by tmux's names for them.
func (t *terminal) press(ctx context.Context, keys ...string) error {
	_, err := t.tmux(ctx, append([]string{"send-keys"}, keys...)...)
	return err
}

// write types a text.
func (t *terminal) write(ctx context.Context, text string) error {
	_, err := t.tmux(ctx, "send-keys", "-l", text)
	return err
}

// await looks until the pane shows what is wanted, and returns what it shows then.
func (t *terminal) await(ctx context.Context, limit time.Duration, want string, ok func(text string) bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for shown := ""; ; {
		select {
		case <-look.C:
		case <-ctx.Done():
			return "", fmt.Errorf("wait for %s: %w; the screen shows:\n%s", want, ctx.Err(), shown)
		}
		text, err := t.text(ctx)
		if err != nil {
			if ctx.Err() != nil {
				continue // which is said above, with the screen
			}
			return "", err
		}
		if shown = text; ok(text) {
			return text, nil
		}
	}
}
