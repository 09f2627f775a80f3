package capture

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// ErrAmbiguous: several captured namespaces have an address, as those of networks that do not
// know of each other may.
var ErrAmbiguous = errors.New("several network namespaces have this address")

// Inside runs f on a thread that is in the captured namespace that has an address, the node's own
// apart, and returns its error. ok is false where there is none, and f is not run. A socket that
// f opens belongs to that namespace, and can be used everywhere; f must not start goroutines that
// open any.
func (c *Capture) Inside(a netip.Addr, f func() error) (ok bool, err error) {
	fd, err := c.descriptor(a.Unmap())
	if err != nil || fd < 0 {
		return false, err
	}
	defer unix.Close(fd)
	return true, inNamespace(fd, f)
}

// descriptor is a descriptor of its own for the namespace that has an address, -1: there is none.
func (c *Capture) descriptor(a netip.Addr) (int, error) {
	if a.IsLoopback() || a.IsMulticast() {
		return -1, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var found *space
	for _, s := range c.spaces {
		if s.own || s.fd < 0 || s.policy.Off || !slices.Contains(addresses(s.devices), a) {
			continue
		}
		if found != nil {
			return -1, fmt.Errorf("find the network namespace of %s: %w", a, ErrAmbiguous)
		}
		found = s
	}
	if found == nil {
		return -1, nil
	}
	fd, err := unix.FcntlInt(uintptr(found.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the network namespace of %s: %w", a, err)
	}
	return fd, nil
}
