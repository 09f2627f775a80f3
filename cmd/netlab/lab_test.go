package netlab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const testPrefix = "netlabtst"

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	k := newKeeper()
	defer k.close()
	fd, err := k.unshare(nil)
	if err != nil {
		t.Skipf("cannot make network namespaces here: %v", err)
	}
	unix.Close(fd)
}

// there lists what there is of namespaces of the tests.
func there(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(Dir, testPrefix+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	return strings.Join(names, " ")
}

// named makes a namespace with a mark and a name, as Open does, and removes it at the end.
func named(t *testing.T, name, mark string) {
	t.Helper()
	if err := prepareDir(); err != nil {
		t.Fatal(err)
	}
	k := newKeeper()
	t.Cleanup(k.close)
	fd, err := k.unshare(func(self string) error { return errors.Join(markSelf(mark), nameNamespace(self, name)) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fd)
		if err := unname(name); err != nil {
			t.Error(err)
		}
	})
}

func TestLab(t *testing.T) {
	needRoot(t)
	hosts := []Host{
		{"a", []netip.Prefix{netip.MustParsePrefix("10.77.9.1/24"), netip.MustParsePrefix("fd77:9::1/64")}},
		{"b", []netip.Prefix{netip.MustParsePrefix("10.77.9.2/24"), netip.MustParsePrefix("fd77:9::2/64")}},
	}
	lab, err := Open(testPrefix, hosts)
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"10.77.9.2:0", "[fd77:9::2]:0"} {
		if network[0] == '[' && !HasIPv6() {
			continue
		}
		var server net.Listener
		err := lab.Do("b", func() (err error) {
			server, err = net.Listen("tcp", network)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = lab.Do("a", func() error {
			c, err := net.Dial("tcp", server.Addr().String())
			if err != nil {
				return err
			}
			return c.Close()
		})
		if err != nil {
			t.Error(err)
		}
		server.Close()
	}
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.Start("a", cmd); err != nil {
		t.Fatal(err)
	}
	its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid))
	if err != nil {
		t.Error(err)
	}
	if own, err := os.Readlink("/proc/self/ns/net"); err != nil || its == own {
		t.Errorf("the command runs in our own namespace %s: %v", own, err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if err := lab.Do("c", func() error { return nil }); err == nil {
		t.Error("a host that is not there: no error")
	}
	if _, err := Open(testPrefix, hosts); !errors.Is(err, ErrRunning) {
		t.Errorf("opened twice: %v, want %v", err, ErrRunning)
	}
	if got, want := there(t), "netlabtst-a netlabtst-b"; got != want {
		t.Errorf("there is %q, want %q", got, want)
	}
	if err := lab.Close(); err != nil {
		t.Error(err)
	}
	if got := there(t); got != "" {
		t.Errorf("after Close there is %q", got)
	}
}

func TestOpenAmongOthers(t *testing.T) {
	needRoot(t)
	dead := fmt.Sprintf(markFormat, os.Getpid(), "1")
	for _, tt := range []struct {
		name, host, mark string
		want             error
		left             string // besides the lab's own, while it is open
	}{
		{"foreign", "a", "uplink to rack 7", ErrForeign, "netlabtst-a"},
		{"foreign, no mark", "a", "", ErrForeign, "netlabtst-a"},
		{"foreign, not needed", "z", "", nil, "netlabtst-a netlabtst-z"},
		{"left by the dead", "a", dead, nil, "netlabtst-a"},
		{"left by the dead, not needed", "z", dead, nil, "netlabtst-a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			named(t, testPrefix+"-"+tt.host, tt.mark)
			lab, err := Open(testPrefix, []Host{{Name: "a"}})
			if !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if got := there(t); got != tt.left {
				t.Errorf("there is %q, want %q", got, tt.left)
			}
			if lab != nil {
				if err := lab.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestOpenOverAnEmptyFile(t *testing.T) {
	needRoot(t)
	if err := prepareDir(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(Dir, testPrefix+"-a")
	t.Cleanup(func() { os.Remove(path) })
	for _, tt := range []struct {
		text string
		want error
	}{{"something", ErrForeign}, {"", nil}} {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		lab, err := Open(testPrefix, []Host{{Name: "a"}})
		if !errors.Is(err, tt.want) {
			t.Errorf("file with %q: %v, want %v", tt.text, err, tt.want)
		}
		if lab != nil {
			if err := lab.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestIPRouteBeside holds that `ip netns` and a lab do not keep each other's names mounted.
func TestIPRouteBeside(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip (iproute2)")
	}
	lab, err := Open(testPrefix, []Host{{Name: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	name := testPrefix + "-ip"
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Errorf("ip netns add: %v: %s", err, out)
	}
	if err := lab.Close(); err != nil {
		t.Error(err)
	}
	if out, err := exec.Command("ip", "netns", "delete", name).CombinedOutput(); err != nil {
		t.Errorf("ip netns delete: %v: %s", err, out)
	}
	if got := there(t); got != "" {
		t.Errorf("there is still %q", got)
	}
}

func TestOpenFailureLeavesNothing(t *testing.T) {
	needRoot(t)
	_, err := Open(testPrefix, []Host{{Name: "a"}, {Name: "this-name-is-too-long-for-a-device"}})
	if err == nil {
		t.Error("a device with a name of 34 bytes: no error")
	}
	if got := there(t); got != "" {
		t.Errorf("there is %q", got)
	}
}

func TestMark(t *testing.T) {
	self, err := ownMark()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, mark string
		ok, alive  bool
	}{
		{"own", self, true, true},
		{"number used again", fmt.Sprintf(markFormat, os.Getpid(), "1"), true, false},
		{"no such process", fmt.Sprintf(markFormat, 1<<30, "1"), true, false},
		{"none", "", false, false},
		{"foreign", "uplink to rack 7", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, ok := parseMark(tt.mark)
			if ok != tt.ok || ok && o.alive() != tt.alive {
				t.Errorf("parsed %v, alive %v; want %v, %v", ok, o.alive(), tt.ok, tt.alive)
			}
		})
	}
}
