package sshd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/creack/pty"

	"github.com/sshark/sshark/sshd/sourcetest"
)

// terminal runs a client in a terminal of its own.
type terminal struct {
	t    testing.TB
	cmd  *exec.Cmd
	file *os.File
	mu   sync.Mutex
	seen bytes.Buffer
	end  chan struct{}
}

func (c *console) terminal(rows, cols uint16, before []string, command ...string) *terminal {
	c.t.Helper()
	cmd := c.ssh("ada", append([]string{"-tt"}, before...), command...)
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: rows, Cols: cols})
	if err != nil {
		c.t.Fatal(err)
	}
	x := &terminal{t: c.t, cmd: cmd, file: f, end: make(chan struct{})}
	go func() {
		defer close(x.end)
		b := make([]byte, 4096)
		for {
			n, err := f.Read(b)
			x.mu.Lock()
			x.seen.Write(b[:n])
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-x.end
		f.Close()
	})
	return x
}

func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.String()
}

func (x *terminal) shows(what string) {
	x.t.Helper()
	until(x.t, "the terminal shows "+what, func() bool { return strings.Contains(x.text(), what) })
}

func (x *terminal) types(s string) {
	x.t.Helper()
	if _, err := x.file.Write([]byte(s)); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) status() int {
	<-x.end
	_ = x.cmd.Wait()
	return x.cmd.ProcessState.ExitCode()
}

// TestControlC: a key, not a signal, ends a command in a terminal.
func TestControlC(t *testing.T) {
	for _, command := range []string{"calls -f", "flows -f -o json"} {
		t.Run(command, func(t *testing.T) {
			source := &sourcetest.Source{Kept: 3}
			c := start(t, source, nil)
			x := c.terminal(24, 80, nil, command)
			x.shows("\r\n") // line ends are for a raw terminal
			until(t, "the query runs", func() bool { return source.Running() == 1 })
			x.types("q\x03")
			if got := x.status(); got != 130 {
				t.Errorf("status %d: %s", got, x.text())
			}
			until(t, "the query ends", func() bool { return source.Running() == 0 })
		})
	}
}

// TestClientEnds: a query ends with its asker, however that ends.
func TestClientEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		sig  syscall.Signal
	}{{"interrupted", syscall.SIGINT}, {"killed", syscall.SIGKILL}} {
		t.Run(tt.name, func(t *testing.T) {
			source := &sourcetest.Source{Kept: 3}
			c := start(t, source, nil)
			cmd := c.ssh("ada", nil, "pcap", "-f")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(out, make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			until(t, "the query runs", func() bool { return source.Running() == 1 })
			if err := cmd.Process.Signal(tt.sig); err != nil {
				t.Fatal(err)
			}
			until(t, "the query ends", func() bool { return source.Running() == 0 })
			go io.Copy(io.Discard, out)
			_ = cmd.Wait()
			c.logged(`"status":130`)
		})
	}
}

// TestReaderEnds: a query ends when whoever read its output is gone, though its client is not, as in
// ssh console calls -f | head.
func TestReaderEnds(t *testing.T) {
	source := &sourcetest.Source{Kept: 20000, Step: time.Millisecond, Summary: strings.Repeat("x", 1000)} // 25 MB
	c := start(t, source, nil)
	cmd := c.ssh("ada", nil, "calls", "-f", "--last", "20000", "-o", "json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if _, err := io.ReadFull(out, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	until(t, "the session ends", func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	until(t, "the query ends", func() bool { return source.Running() == 0 })
	if got := cmd.ProcessState.ExitCode(); got != 130 {
		t.Errorf("status %d", got)
	}
}

// TestControlMaster: over a connection that others share, each query ends with its own client.
func TestControlMaster(t *testing.T) {
	source := &sourcetest.Source{Kept: 3}
	c := start(t, source, nil)
	socket := []string{"-o", "ControlPath=" + c.file("mux")}
	master := c.ssh("ada", append([]string{"-N", "-M"}, socket...))
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = master.Process.Kill()
		_ = master.Wait()
	}()
	until(t, "the master listens", func() bool {
		return finish(t, c.ssh("ada", append([]string{"-O", "check"}, socket...))).status == 0
	})
	follow := func() (*exec.Cmd, io.Reader) {
		cmd := c.ssh("missing", socket, "calls", "-f", "-o", "json")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, out)
		return cmd, out
	}
	one, _ := follow()
	two, _ := follow()
	until(t, "two queries run", func() bool { return source.Running() == 2 })
	_ = one.Process.Signal(syscall.SIGINT)
	until(t, "the first query ends", func() bool { return source.Running() == 1 })
	_ = one.Wait()
	// The other one, and the connection, live on.
	if r := finish(t, c.ssh("missing", socket, "version")); r.status != 0 || r.out != "sshark test\n" {
		t.Errorf("%+v", r)
	}
	if source.Running() != 1 {
		t.Error("the second query ended too")
	}
	_ = two.Process.Signal(syscall.SIGKILL)
	until(t, "the second query ends", func() bool { return source.Running() == 0 })
	_ = two.Wait()

	// With a terminal over the shared connection, Ctrl-C is a key; without one beside it,
	// line ends stay as they are.
	x := c.terminal(24, 80, socket, "calls -f")
	x.shows("\r\n")
	if r := finish(t, c.ssh("missing", socket, "calls", "-o", "json")); strings.Contains(r.out, "\r") || strings.Count(r.out, "\n") != 3 {
		t.Errorf("beside a terminal: %+v", r)
	}
	x.types("\x03")
	if got := x.status(); got != 130 {
		t.Errorf("status %d", got)
	}
	until(t, "the third query ends", func() bool { return source.Running() == 0 })
}

// model is a screen that shows its size and the last key, and fails on demand.
type model struct {
	width, height int
	key           string
	session       *TUISession
}

func (m model) Init() tea.Cmd { return nil }

func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		m.key = msg.String()
		switch m.key {
		case "q":
			return m, tea.Quit
		case "p":
			panic("in update")
		case "c":
			return m, func() tea.Msg { panic("in a command") }
		}
	}
	return m, nil
}

func (m model) View() tea.View {
	v := tea.NewView(fmt.Sprintf("size %dx%d key %s user %s view %s filter %s", m.width, m.height, m.key, m.session.User.Name, m.session.View, m.session.Filter))
	v.AltScreen = true
	return v
}

func withScreen(o *Options) {
	o.TUI = func(_ context.Context, s *TUISession) (tea.Model, error) { return model{session: s}, nil }
}

const leaveAltScreen = "\x1b[?1049l"

func TestScreen(t *testing.T) {
	c := start(t, &sourcetest.Source{}, withScreen)
	x := c.terminal(30, 100, nil)
	x.shows("size 100x30")
	x.shows("ada@laptop")
	x.types("j")
	x.shows("j user")
	if err := pty.Setsize(x.file, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	_ = x.cmd.Process.Signal(syscall.SIGWINCH)
	x.shows("20x4") // what changed is drawn: 1[20x4]0
	x.types("q")
	if got := x.status(); got != 0 {
		t.Errorf("status %d", got)
	}
	if !strings.Contains(x.text(), leaveAltScreen) {
		t.Error("the terminal was not restored")
	}
	c.logged(`"kind":"screen"`)
}

func TestScreenByCommand(t *testing.T) {
	c := start(t, &sourcetest.Source{}, withScreen)
	x := c.terminal(24, 100, nil, "tui flows 'src.port == 1'")
	x.shows("view flows")
	x.shows("src.port == 1")
	x.types("q")
	if got := x.status(); got != 0 {
		t.Errorf("status %d", got)
	}
	x = c.terminal(24, 100, nil, "tui flows srcport")
	if got := x.status(); got != 2 || !strings.Contains(x.text(), "line 1, column 1") {
		t.Errorf("wrong filter: status %d: %s", got, x.text())
	}
	if r := c.run("tui"); r.status != 2 || !strings.Contains(r.stderr, "ssh -t") {
		t.Errorf("without a terminal: %+v", r)
	}
}

// TestScreenPanics: a panic ends one session, with its terminal restored, and no other.
func TestScreenPanics(t *testing.T) {
	c := start(t, &sourcetest.Source{}, withScreen)
	other := c.terminal(24, 100, nil)
	other.shows("size 100x24")
	for _, key := range []string{"p", "c"} {
		x := c.terminal(24, 100, nil)
		x.shows("size 100x24")
		x.types(key)
		if got := x.status(); got != 1 {
			t.Errorf("%s: status %d", key, got)
		}
		if !strings.Contains(x.text(), leaveAltScreen) || !strings.Contains(x.text(), "it was logged") {
			t.Errorf("%s: the terminal ends as %q", key, x.text())
		}
	}
	c.logged("panic in the screen")
	other.types("k")
	other.shows("k user")
	other.types("q")
	if got := other.status(); got != 0 {
		t.Errorf("the other session: status %d", got)
	}
}

func TestScreenEndsWithClient(t *testing.T) {
	ended := make(chan error, 1)
	c := start(t, &sourcetest.Source{}, func(o *Options) {
		o.TUI = func(ctx context.Context, s *TUISession) (tea.Model, error) {
			context.AfterFunc(ctx, func() { ended <- context.Cause(ctx) })
			return model{session: s}, nil
		}
	})
	x := c.terminal(24, 100, nil)
	x.shows("size 100x24")
	_ = x.cmd.Process.Kill()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the screen lives on")
	}
	c.logged(`"kind":"screen"`)
}

func TestScreenIdle(t *testing.T) {
	c := start(t, &sourcetest.Source{}, func(o *Options) {
		withScreen(o)
		o.Limits.Idle = 300 * time.Millisecond
	})
	x := c.terminal(24, 100, nil)
	if got := x.status(); got != 1 {
		t.Errorf("status %d", got)
	}
	if !strings.Contains(x.text(), errIdle.Error()) || !strings.Contains(x.text(), leaveAltScreen) {
		t.Errorf("the terminal ends as %q", x.text())
	}
}

func TestScreenThatCannotBe(t *testing.T) {
	c := start(t, &sourcetest.Source{}, func(o *Options) {
		o.TUI = func(context.Context, *TUISession) (tea.Model, error) { return nil, errors.New("secret reason") }
	})
	x := c.terminal(24, 80, nil)
	if got := x.status(); got != 1 || strings.Contains(x.text(), "secret") || !strings.Contains(x.text(), "it was logged") {
		t.Errorf("status %d: %s", got, x.text())
	}
	c.logged("secret reason")
}

// TestClientThatDoesNotRead: a signal ends a query that waits for its client to read.
func TestClientThatDoesNotRead(t *testing.T) {
	source := &sourcetest.Source{Kept: 20000, Step: time.Millisecond, Summary: strings.Repeat("x", 1000)} // 25 MB
	c := start(t, source, nil)
	client := c.dial()
	defer client.Close()
	s, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe() // nobody reads
	defer r.Close()
	s.Stdout = w
	if err := s.Start("calls --all -o json"); err != nil {
		t.Fatal(err)
	}
	until(t, "the query runs", func() bool { return source.Running() == 1 })
	if err := s.Signal("INT"); err != nil {
		t.Fatal(err)
	}
	until(t, "the query ends", func() bool { return source.Running() == 0 })
	// The connection lives on.
	other, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := other.Output("version"); err != nil || string(out) != "sshark test\n" {
		t.Errorf("%q %v", out, err)
	}
}

// TestKeyWithoutTerminal: restrict and no-pty are obeyed; commands still run.
func TestKeyWithoutTerminal(t *testing.T) {
	c := start(t, &sourcetest.Source{Kept: 1}, withScreen)
	b, err := os.ReadFile(c.file("authorized_keys"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.file("authorized_keys"), append([]byte("restrict "), b...), 0o600); err != nil {
		t.Fatal(err)
	}
	x := c.terminal(24, 80, nil)
	if got := x.status(); got != 255 || !strings.Contains(x.text(), "PTY allocation request failed") || strings.Contains(x.text(), "size 80x24") {
		t.Errorf("status %d: %s", got, x.text())
	}
	if r := c.run("version"); r.status != 0 {
		t.Errorf("%+v", r)
	}
}
