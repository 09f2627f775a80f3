package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/worker/bpf"
	"golang.org/x/sys/unix"
)

// A folder that is not there yet, a file that becomes a namespace, and all of it in reverse.
func TestNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a namespace on a file")
	}
	dir := filepath.Join(t.TempDir(), "netns")
	ctx, cancel := context.WithCancel(t.Context())
	lists := make(chan []Namespace, 100)
	done := make(chan error, 1)
	go func() { done <- Named{Dir: dir}.Discover(ctx, func(l []Namespace) { lists <- l }) }()
	next := func() (names []string) {
		for _, n := range <-lists {
			names = append(names, n.Pod.Name)
			if own, err := statNamespace("/proc/self/ns/net"); err != nil || n.Inode != own || n.Path != filepath.Join(dir, n.Pod.Name) {
				t.Errorf("%+v, want inode %d, %v", n, own, err)
			}
		}
		return names
	}
	mount := func(name string) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("/proc/self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			t.Skip("cannot mount:", err)
		}
		t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
	}
	if names := next(); names != nil {
		t.Errorf("no folder: %q", names)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mount("one")
	if names := next(); !slices.Equal(names, []string{"one"}) {
		t.Errorf("first: %q", names)
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mount("two")
	if names := next(); !slices.Equal(names, []string{"one", "two"}) {
		t.Errorf("second: %q", names)
	}
	unix.Unmount(filepath.Join(dir, "one"), unix.MNT_DETACH)
	os.Remove(filepath.Join(dir, "one"))
	if names := next(); !slices.Equal(names, []string{"two"}) {
		t.Errorf("third: %q", names)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Whatever happens in a namespace, the goroutines of this process stay where they are.
func TestInNamespace(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	home, err := statNamespace("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		w.in("a", func() error {
			if inode, err := statNamespace("/proc/thread-self/ns/net"); err != nil || inode != w.inode("a") {
				t.Errorf("in namespace %d: %v", inode, err)
			}
			if unix.Gettid() == os.Getpid() {
				t.Error("on the main thread")
			}
			return nil
		})
	}
	seen := make(chan uint32)
	for range 4 * runtime.GOMAXPROCS(0) {
		go func() {
			inode, _ := statNamespace("/proc/thread-self/ns/net")
			seen <- inode
		}()
	}
	for range 4 * runtime.GOMAXPROCS(0) {
		if inode := <-seen; inode != home {
			t.Errorf("a goroutine is in namespace %d", inode)
		}
	}
}

// refused is a discovery that cannot be done.
type refused struct{}

func (refused) Discover(context.Context, func([]Namespace)) error { return errors.New("no luck") }

// One discovery that ends does not end the others, and does not go unnoticed.
func TestDiscoveryEnds(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	c := w.capture(Options{Discover: []Discoverer{refused{}, ours{prefix: w.prefix}}})
	c.attached("a", "lo")
	wait(t, "a problem", func() bool { return c.Problem() != "" })
	if p := c.Problem(); !strings.Contains(p, "no luck") {
		t.Errorf("problem %q", p)
	}
}

// The first discoverer that knows a namespace names it.
func TestPrecedence(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	w.add("b")
	known := fixed{{Pod: pcap.Pod{Namespace: "shop", Name: "cart", UID: "1"}, Path: w.path("a"), Inode: w.inode("a")}}
	c := w.capture(Options{Discover: []Discoverer{known, ours{prefix: w.prefix}}})
	c.attached("cart", "lo")
	c.attached("b", "lo")
	wait(t, "one name for each namespace", func() bool { return len(c.Pods()) == 2 })
	w.send("a", "udp4", "127.0.0.1:7030", 1, 10)
	if got := c.expect("cart", 1, udp4(7030))[0].Iface.Pod; got != known[0].Pod {
		t.Errorf("the packet is of %+v", got)
	}
}

type fixed []Namespace

func (f fixed) Discover(ctx context.Context, found func([]Namespace)) error {
	found(slices.Clone(f))
	<-ctx.Done()
	return nil
}

// Without rights, the error says which are missing and what to do.
func TestWithoutRights(t *testing.T) {
	if os.Getenv("SSCAP_WITHOUT_RIGHTS") != "" {
		_, err := Start(Options{})
		var missing *bpf.MissingError
		fmt.Println(errors.As(err, &missing), err)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: becomes another user")
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sscap")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "test")
	if err := os.WriteFile(copied, self, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		attr syscall.SysProcAttr
		want []string
	}{
		"another user": {
			syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}},
			[]string{"true ", "CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN", "CAP_NET_RAW", "run as root"},
		},
		"root of a user namespace": {
			syscall.SysProcAttr{
				Cloneflags:  unix.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
			},
			[]string{"true ", "user namespace"},
		},
	} {
		cmd := exec.Command(copied, "-test.run=^TestWithoutRights$")
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), "SSCAP_WITHOUT_RIGHTS=1")
		cmd.SysProcAttr = &tt.attr
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("%s: not tried: %v %s", name, err, out)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: %q does not say %q", name, out, want)
			}
		}
	}
}
