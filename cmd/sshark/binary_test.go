package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sshark/sshark/cmd/netlab"
)

// The tests of the whole binary run it as users do: as a process, over OpenSSH, on traffic in
// network namespaces. They are bounded in count and time, and end only what they started.

// programDir is where the binary under test is, from the beginning of TestMain to its end.
var programDir string

// built makes the binary under test, once for all tests.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programDir, "sshark")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	os.Exit(withProgramDir(m.Run))
}

func withProgramDir(run func() int) int {
	dir, err := os.MkdirTemp("", "sshark-e2e-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // it is also run by others than root
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programDir = dir
	return run()
}

func program(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// needs skips a test where tools are missing.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
}

// needsRoot skips a test that captures where that is not possible.
func needsRoot(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the whole product: left out with -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces and captures")
	}
}

// openLab opens a network for one test. Its hosts are pods named PREFIX-HOST.
func openLab(t *testing.T, prefix string, hosts ...netlab.Host) *netlab.Lab {
	t.Helper()
	lab, err := netlab.Open(prefix, hosts)
	if errors.Is(err, netlab.ErrRights) {
		t.Skip("needs network namespaces:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	return lab
}

// await waits until cond holds.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// transcript is what a process says, readable while it runs.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// console is a running `sshark up`.
type console struct {
	t      *testing.T
	cmd    *exec.Cmd
	via    []string // what runs a program where the console is; nil: nothing
	line   string   // the ssh command that it printed
	login  []string // its words
	out    *transcript
	errs   *transcript
	exited chan struct{}
	status error // once exited
}

// launch starts `sshark up` and does not wait for it to be ready.
func launch(t *testing.T, state string, args ...string) *console {
	t.Helper()
	c := &console{t: t, out: &transcript{}, errs: &transcript{}, exited: make(chan struct{})}
	c.cmd = exec.Command(program(t), append([]string{"up", "--listen", "127.0.0.1:0", "--state", state}, args...)...)
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.errs
	c.cmd.WaitDelay = 5 * time.Second
	return c
}

// alone keeps a launched process away from the rest of the machine: host node of a lab is the
// machine to it, and the lab's hosts are all namespaces that there are.
func (c *console) alone(prefix string) {
	c.t.Helper()
	needs(c.t, "ip", "mount")
	const hide = `mount -t tmpfs none "$0" && for ns in /run/netns/"$1"-*; do
	touch "$0/${ns##*/}" && mount --bind "$ns" "$0/${ns##*/}" || exit 1
done && mount --rbind "$0" /run/netns && shift && exec "$@"`
	c.via = []string{"ip", "netns", "exec", prefix + "-node"}
	c.cmd.Path, c.cmd.Args = lookPath(c.t, "ip"), slices.Concat(c.via, []string{"sh", "-c", hide, c.t.TempDir(), prefix}, c.cmd.Args)
}

func lookPath(t *testing.T, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// start starts the process. It is killed at the end of the test if it still runs.
func (c *console) start() {
	c.t.Helper()
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		c.status = c.cmd.Wait()
		close(c.exited)
	}()
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.t.Logf("sshark up said:\n%s%s", c.out, c.errs)
		}
		c.kill()
	})
}

// ended says whether the process has.
func (c *console) ended() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// startUp starts `sshark up` and returns when it printed how to get in.
func startUp(t *testing.T, state string, args ...string) *console {
	t.Helper()
	needs(t, "ssh")
	c := launch(t, state, args...)
	c.start()
	c.ready()
	return c
}

// startAlone is startUp with a lab for a machine.
func startAlone(t *testing.T, prefix, state string, args ...string) *console {
	t.Helper()
	needs(t, "ssh")
	c := launch(t, state, args...)
	c.alone(prefix)
	c.start()
	c.ready()
	return c
}

// ready waits for the line that begins with "ssh ".
func (c *console) ready() {
	c.t.Helper()
	await(c.t, "sshark up to print the ssh command", func() bool {
		in := bufio.NewScanner(strings.NewReader(c.out.String()))
		for in.Scan() {
			if strings.HasPrefix(in.Text(), "ssh ") {
				c.line = in.Text()
			}
		}
		if c.ended() && c.line == "" {
			c.t.Fatalf("sshark up ended: %v\n%s", c.status, c.errs)
		}
		return c.line != ""
	})
	c.login = strings.Fields(c.line)
}

// kill ends the process as kill -9 does, and waits for it.
func (c *console) kill() {
	c.cmd.Process.Kill() // it may have ended
	<-c.exited
}

// interrupt ends the process as Ctrl-C does.
func (c *console) interrupt() {
	c.t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil {
		c.t.Error("interrupt sshark up:", err)
	}
	select {
	case <-c.exited:
	case <-time.After(20 * time.Second):
		c.t.Error("sshark up does not end")
		c.kill()
	}
	if c.status != nil {
		c.t.Errorf("sshark up: %v\n%s", c.status, c.errs)
	}
}

// ssh is the printed command with more words. Nothing of the machine's own setup is used.
func (c *console) ssh(words ...string) *exec.Cmd {
	args := slices.Concat(c.via, []string{"ssh", "-F", "none", "-o", "BatchMode=yes"}, c.login[1:], words)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c.t.Cleanup(cancel)
	return exec.CommandContext(ctx, args[0], args[1:]...)
}

// answer is what a command said.
type answer struct {
	out, errs string
	status    int
}

func run(t *testing.T, cmd *exec.Cmd) answer {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return answer{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// ask runs a console command that must succeed, and returns its standard output.
func (c *console) ask(words ...string) string {
	c.t.Helper()
	a := run(c.t, c.ssh(words...))
	if a.status != 0 {
		c.t.Fatalf("%q: exit status %d: %s", words, a.status, a.errs)
	}
	return a.out
}

// node is what the tests look at of `nodes -o json`.
type node struct {
	State, Problem string
	Seen           uint64 `json:"packets_seen"`
	Stored         uint64 `json:"packets_stored"`
	Dropped        uint64 `json:"packets_dropped"`
	Filtered       uint64 `json:"packets_filtered"`
	Ring           uint64 `json:"ring_dropped"`
	Queue          uint64 `json:"queue_dropped"`
	Disk           uint64 `json:"disk_dropped"`
	Used           uint64 `json:"store_used_bytes"`
	Limit          uint64 `json:"store_limit_bytes"`
	Segments       int
	Queries        int
	Pods           []struct {
		Name       string
		Interfaces []string
		Dropped    uint64 `json:"packets_dropped"`
	}
}

func (c *console) node() node {
	c.t.Helper()
	var n node
	text := c.ask("nodes", "-o", "json")
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		c.t.Fatalf("nodes -o json: %v: %s", err, text)
	}
	return n
}

// captured waits until a device is captured in so many pods of a lab.
func (c *console) captured(prefix, device string, pods int) {
	c.t.Helper()
	await(c.t, device+" to be captured", func() bool {
		found := 0
		for _, p := range c.node().Pods {
			if strings.HasPrefix(p.Name, prefix+"-") && slices.Contains(p.Interfaces, device) {
				found++
			}
		}
		return found == pods
	})
}

// lines are the lines of a text, without the last newline.
func lines(text string) []string {
	if text = strings.TrimSuffix(text, "\n"); text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
