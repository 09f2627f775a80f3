package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// screen opens the console's screen in a terminal of 120 by 40, with more words of the tui
// command, and returns what it shows. It is nil where tmux is missing.
func (c *console) screen(t *testing.T, words ...string) func() string {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Log("no tmux: the screen is not looked at")
		return nil
	}
	tmux := func(args ...string) ([]byte, error) {
		// A server of its own, with nobody's settings.
		return exec.Command("tmux", append([]string{"-L", fmt.Sprintf("sshark-e2e-%d", os.Getpid()), "-f", "/dev/null"}, args...)...).CombinedOutput()
	}
	line := strings.Join(slices.Concat(c.via, []string{c.line, "-t"}), " ")
	if len(words) > 0 {
		line += " tui " + strings.Join(words, " ")
	}
	if out, err := tmux("new-session", "-d", "-x", "120", "-y", "40", line); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if t.Failed() {
			last, _ := tmux("capture-pane", "-p")
			t.Logf("the screen:\n%s", last)
		}
		tmux("kill-server") // it ends by itself with its last session
	})
	return func() string {
		out, err := tmux("capture-pane", "-p")
		if err != nil {
			t.Errorf("tmux: %v: %s", err, out)
		}
		return string(out)
	}
}
