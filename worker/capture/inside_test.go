package capture

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
)

// TestInside: what is run inside is in the namespace that has the address, and nowhere else.
func TestInside(t *testing.T) {
	w := newWorld(t)
	c := w.capture(Options{})
	w.add("a")
	w.add("b")
	w.run("ip link add eth0 netns @a type veth peer name eth0 netns @b")
	w.run("ip -n @a addr add 10.99.1.1/24 dev eth0")
	w.run("ip -n @b addr add 10.99.1.2/24 dev eth0")
	captured := func(name, addr string) {
		t.Helper()
		wait(t, name+" to have "+addr, func() bool {
			for _, s := range c.Pods() {
				for _, i := range s.Interfaces {
					if s.Pod.Name == name && slices.Contains(i.Interface.Addrs, netip.MustParsePrefix(addr)) {
						return true
					}
				}
			}
			return false
		})
	}
	captured("a", "10.99.1.1/24")
	captured("b", "10.99.1.2/24")
	home, err := statNamespace("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]uint32{"10.99.1.1": w.inode("a"), "::ffff:10.99.1.2": w.inode("b"), "10.99.1.3": home, "127.0.0.1": home} {
		in := home
		ok, err := c.Inside(netip.MustParseAddr(addr), func() (err error) {
			in, err = statNamespace("/proc/thread-self/ns/net")
			return err
		})
		if err != nil || in != want || ok != (want != home) {
			t.Errorf("%s: %v, %v, in namespace %d, want %d", addr, ok, err, in, want)
		}
	}
	failed := errors.New("failed")
	if ok, err := c.Inside(netip.MustParseAddr("10.99.1.1"), func() error { return failed }); !ok || !errors.Is(err, failed) {
		t.Errorf("a failure inside: %v, %v", ok, err)
	}
	w.run("ip -n @b addr add 10.99.1.1/24 dev eth0")
	captured("b", "10.99.1.1/24")
	if ok, err := c.Inside(netip.MustParseAddr("10.99.1.1"), func() error { t.Error("it was run"); return nil }); ok || !errors.Is(err, ErrAmbiguous) {
		t.Errorf("an address of two: %v, %v", ok, err)
	}
}
