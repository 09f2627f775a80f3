package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshark/sshark/cmd/netlab"
)

// testPrefix keeps the tests apart from a shop that runs on the machine.
const testPrefix = "shoptst"

// asParent makes the test binary a process that opens a shop and never closes it.
const asParent = "demo-parent"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case Name:
			exit(RunService(context.Background(), os.Args[2:], os.Stdout))
		case asParent:
			_, err := Start(context.Background(), Options{Prefix: testPrefix})
			if err != nil {
				exit(err)
			}
			fmt.Println(ready)
			select {}
		}
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	lab, err := netlab.Open(testPrefix+"probe", []netlab.Host{{Name: "a"}})
	if err != nil {
		t.Skipf("cannot make network namespaces here: %v", err)
	}
	if err := lab.Close(); err != nil {
		t.Error(err)
	}
}

// openShop starts a shop that the test's end stops. What it logs is printed if the test fails.
func openShop(t *testing.T) *Shop {
	t.Helper()
	log := &testLog{t}
	s, err := Start(t.Context(), Options{Prefix: testPrefix, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

type testLog struct{ t *testing.T }

func (l *testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// left lists what there is of namespaces of the tests' shop.
func left(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(netlab.Dir, testPrefix+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// await waits until cond holds.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// tap sees the packets of one member's eth0.
func tap(t *testing.T, s *Shop, m member) func() []byte {
	t.Helper()
	fd := -1
	err := s.lab.Do(m.name, func() (err error) {
		all := uint16(unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8)
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<17)
	return func() []byte {
		n, err := unix.Read(fd, buf)
		if err != nil {
			return nil
		}
		return buf[:n]
	}
}

func TestShop(t *testing.T) {
	needRoot(t)
	s := openShop(t)
	var greeting bytes.Buffer
	s.greet(&greeting)
	if !strings.Contains(greeting.String(), testPrefix+"-gateway") {
		t.Errorf("the greeting does not name the gateway: %q", &greeting)
	}

	// What is to be seen at the gateway, on both of its sides, and at the others.
	wanted := map[member][]string{
		gatewayMember: {
			"HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 20", "HTTP/1.1 50", "Connection: close",
			"Transfer-Encoding: chunked", "Content-Encoding: ", "POST /api/cart/user", "POST /carts/user",
			"\x07catalog\x04shop\x08internal\x00\x00\x01", "\x04cart\x04shop\x08internal\x00\x00\x1c",
		},
		dnsMember: {"\x08payments\x04shop\x08internal", "v=feed1", "\x05flaky"},
	}
	wanted[ordersMember] = []string{"PRI * HTTP/2.0", "orders.shop.internal"}
	wanted[catalogMember] = []string{"Upgrade: websocket", "HTTP/1.1 101"}
	if s.postgres != nil {
		wanted[postgresMember] = []string{"INSERT INTO orders", "SELECT number"}
	}
	if s.redis {
		wanted[redisMember] = []string{"hincrby", "$-1\r\n"}
	}
	for m, words := range wanted {
		next := tap(t, s, m)
		await(t, fmt.Sprintf("%s: %q", m.name, words), func() bool {
			packet := bytes.ToLower(next())
			rest := words[:0:0]
			for _, w := range words {
				if !bytes.Contains(packet, bytes.ToLower([]byte(w))) {
					rest = append(rest, w)
				}
			}
			words = rest
			return len(words) == 0
		})
	}

	_, err := Start(t.Context(), Options{Prefix: testPrefix})
	if !errors.Is(err, netlab.ErrRunning) {
		t.Errorf("a second shop: %v, want %v", err, netlab.ErrRunning)
	}
	pids := make([]int, len(s.running))
	for i, p := range s.running {
		pids[i] = p.cmd.Process.Pid
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if names := left(t); len(names) > 0 {
		t.Errorf("after the end there is still %v", names)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("after the end process %d: %v", pid, err)
		}
	}
}

func TestStartAfterKill(t *testing.T) {
	needRoot(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(exe, asParent)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len(ready))
	if _, err := out.Read(line); err != nil || string(line) != ready {
		t.Fatalf("the parent said %q: %v", line, err)
	}
	children := childrenOf(t, parent.Process.Pid)
	if len(children) < 4 {
		t.Fatalf("the shop has %d processes", len(children))
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	parent.Wait()
	if len(left(t)) == 0 {
		t.Error("the test is void: a killed shop left no namespaces")
	}
	await(t, "the services die with their parent", func() bool {
		for _, pid := range children {
			if err := syscall.Kill(pid, 0); err == nil && !zombie(pid) {
				return false
			}
		}
		return true
	})
	s := openShop(t)
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if names := left(t); len(names) > 0 {
		t.Errorf("there is still %v", names)
	}
}

// zombie: dead, and nobody has waited for it; orphans may stay so where there is no init.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && bytes.Contains(stat, []byte(") Z "))
}

func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, name := range lists {
		list, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that ended
		}
		for _, word := range strings.Fields(string(list)) {
			var child int
			fmt.Sscan(word, &child)
			all = append(all, child)
		}
	}
	return all
}

func TestStartFailureLeavesNothing(t *testing.T) {
	needRoot(t)
	_, err := Start(t.Context(), Options{Prefix: testPrefix, Executable: "/bin/false"})
	if err == nil || !strings.Contains(err.Error(), "ended at once") {
		t.Errorf("a program that is no service: %v", err)
	}
	if names := left(t); len(names) > 0 {
		t.Errorf("there is still %v", names)
	}
}

func TestAddresses(t *testing.T) {
	seen := map[netip.Addr]string{}
	for _, m := range staff(true, true) {
		for _, a := range []netip.Addr{m.addr4(), m.addr6()} {
			if !a.IsPrivate() || seen[a] != "" {
				t.Errorf("%s has the address %s, private %v, also of %q", m.name, a, a.IsPrivate(), seen[a])
			}
			seen[a] = m.name
		}
		if len(m.name) > unix.IFNAMSIZ-1 {
			t.Errorf("%s is too long for a device", m.name)
		}
	}
}

func TestRunServiceRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"bakery"}, {"cart", "--what"}} {
		if err := RunService(t.Context(), args, new(bytes.Buffer)); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
