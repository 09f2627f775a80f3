// Package netlab makes small networks on this machine: hosts, which are named network
// namespaces, joined by a bridge. The demo and the benchmarks live in them.
//
// A host's namespace is named PREFIX-HOST in /run/netns, as `ip netns add` does it, and has
// the device eth0. The bridge lives in a namespace without a name, which only this process
// holds, so that a capture of the named ones sees a packet where it leaves and where it
// arrives, and nowhere else. Nothing connects a lab to the machine's own network: its
// addresses cannot collide with anything.
//
// Lifetime: a lab lives from Open to Close, and its processes, if Start started them, at
// most as long: they die with the thread that started them, also when this process is
// killed. What is left then is the names of the namespaces; the next Open with the same
// prefix takes them away. A namespace is known as a lab's by a mark that it bears inside:
// the alias of its loopback device, which says who made it. It is marked before it is named,
// so a name that can be seen is marked. A namespace of that name without the mark is never
// touched: Open fails with ErrForeign; with the mark of a process that lives, with
// ErrRunning.
//
// A Lab may be used from several goroutines; only Close must be the last call, and the only
// one of its kind.
package netlab

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Errors that Open wraps.
var (
	// ErrForeign: a network namespace has a name that the lab needs and is not a lab's.
	ErrForeign = errors.New("it was not made by sshark, so it is left alone")
	// ErrRunning: another process has the lab of this prefix open.
	ErrRunning = errors.New("it is already open")
	// ErrRights: the process may not make network namespaces.
	ErrRights = errors.New("making network namespaces needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN)")
)

// Dir is where iproute2, and everything that follows it, keeps named network namespaces:
// each is a file with the namespace mounted on it.
const Dir = "/run/netns"

// Host is one namespace to be made.
type Host struct {
	Name  string         // at most 15 bytes
	Addrs []netip.Prefix // of eth0; IPv6 addresses are left out where there is no IPv6
}

// Lab is a network that is open.
type Lab struct {
	prefix string
	keeper *keeper
	bridge int            // fd of the nameless namespace of the bridge, -1: none
	rooms  map[string]int // host's name → fd of its namespace
	order  []string       // hosts' names in the order of making
}

// Open makes the network. When it fails, nothing of it is left.
func Open(prefix string, hosts []Host) (*Lab, error) {
	l := &Lab{prefix: prefix, bridge: -1, rooms: map[string]int{}, keeper: newKeeper()}
	if err := l.build(hosts); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Names are the names of the namespaces.
func (l *Lab) Names() []string {
	names := make([]string, len(l.order))
	for i, host := range l.order {
		names[i] = l.name(host)
	}
	return names
}

// Do runs f on a thread that is in the host's namespace. One f runs at a time.
func (l *Lab) Do(host string, f func() error) error {
	fd, ok := l.rooms[host]
	if !ok {
		return fmt.Errorf("no host %q", host)
	}
	return l.keeper.in(fd, f)
}

// Start starts a command in the host's namespace. If its SysProcAttr has a Pdeathsig, that
// comes with the end of the lab.
func (l *Lab) Start(host string, cmd *exec.Cmd) error { return l.Do(host, cmd.Start) }

func (l *Lab) name(host string) string { return l.prefix + "-" + host }

func (l *Lab) build(hosts []Host) error {
	fd, err := l.keeper.unshare(nil)
	if err != nil {
		return fmt.Errorf("make the bridge's network namespace: %w", err)
	}
	l.bridge = fd
	if err := sweep(l.prefix, hosts); err != nil {
		return err
	}
	if err := prepareDir(); err != nil {
		return fmt.Errorf("make the folder of named network namespaces: %w", err)
	}
	h, err := handleAt(fd)
	if err != nil {
		return err
	}
	defer h.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "bridge"
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := h.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make a bridge (does the kernel have them?): %w", err)
	}
	if err := h.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("set the bridge up: %w", err)
	}
	mark, err := ownMark()
	if err != nil {
		return err
	}
	for _, host := range hosts {
		if err := l.addRoom(h, bridge, host, mark); err != nil {
			return fmt.Errorf("network namespace %s: %w", l.name(host.Name), err)
		}
	}
	return nil
}

// addRoom makes the namespace of one member, marked, then named, and plugs it in.
func (l *Lab) addRoom(bridge *netlink.Handle, br *netlink.Bridge, host Host, mark string) error {
	fd, err := l.keeper.unshare(func(self string) error {
		if err := markSelf(mark); err != nil {
			return err
		}
		return nameNamespace(self, l.name(host.Name))
	})
	if err != nil {
		return err
	}
	l.rooms[host.Name] = fd
	l.order = append(l.order, host.Name)

	attrs := netlink.NewLinkAttrs()
	attrs.Name = host.Name
	attrs.MasterIndex = br.Attrs().Index
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(fd)}
	if err := bridge.LinkAdd(veth); err != nil {
		return fmt.Errorf("make a veth pair: %w", err)
	}
	if err := bridge.LinkSetUp(veth); err != nil {
		return fmt.Errorf("set the bridge's end up: %w", err)
	}
	h, err := handleAt(fd)
	if err != nil {
		return err
	}
	defer h.Close()
	eth, err := h.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("find eth0: %w", err)
	}
	for _, a := range host.Addrs {
		if a.Addr().Is6() && !HasIPv6() {
			continue
		}
		if err := h.AddrAdd(eth, address(a)); err != nil {
			return fmt.Errorf("add %s: %w", a, err)
		}
	}
	if err := h.LinkSetUp(eth); err != nil {
		return fmt.Errorf("set eth0 up: %w", err)
	}
	return nil
}

// markSelf sets up the loopback device of the thread's namespace, and marks it.
func markSelf(mark string) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := errors.Join(h.LinkSetAlias(lo, mark), h.LinkSetUp(lo)); err != nil {
		return fmt.Errorf("mark lo: %w", err)
	}
	return nil
}

// Close takes everything away and returns what could not be removed.
func (l *Lab) Close() error {
	var errs []error
	for _, host := range l.order {
		errs = append(errs, unname(l.name(host)))
		unix.Close(l.rooms[host])
	}
	if l.bridge >= 0 {
		unix.Close(l.bridge)
	}
	l.keeper.close()
	return errors.Join(errs...)
}

func address(a netip.Prefix) *netlink.Addr {
	ip := &netlink.Addr{IPNet: &net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen())}}
	if a.Addr().Is6() {
		ip.Flags = unix.IFA_F_NODAD // nobody else is here: usable at once
	}
	return ip
}

func handleAt(fd int) (*netlink.Handle, error) {
	h, err := netlink.NewHandleAt(netns.NsHandle(fd), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink in a network namespace: %w", err)
	}
	return h, nil
}

// HasIPv6 says whether the machine has IPv6.
func HasIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

// prepareDir makes Dir a shared mount, as the first `ip netns add` does. If we left that to
// it, it would mount Dir over itself with copies of our namespaces in it, and the originals
// beneath could not be unmounted any more.
func prepareDir() error {
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return err
	}
	dir, err := os.Open(Dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	// iproute2 holds the same lock while it does this.
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", Dir, err)
	}
	err = unix.Mount("", Dir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if !errors.Is(err, unix.EINVAL) { // EINVAL: not a mount yet
		return err
	}
	if err := unix.Mount(Dir, Dir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s on itself: %w", Dir, err)
	}
	return unix.Mount("", Dir, "none", unix.MS_SHARED|unix.MS_REC, "")
}

// nameNamespace names the namespace at the path self as `ip netns add` does.
func nameNamespace(self, name string) error {
	path := filepath.Join(Dir, name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY|os.O_EXCL, 0o444)
	if err != nil {
		return fmt.Errorf("name it: %w", err)
	}
	f.Close()
	if err := unix.Mount(self, path, "none", unix.MS_BIND, ""); err != nil {
		return errors.Join(fmt.Errorf("mount it at %s: %w", path, err), os.Remove(path))
	}
	return nil
}

func unname(name string) error {
	path := filepath.Join(Dir, name)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}

// sweep takes away what a lab of the prefix left that was killed, and says what is in the
// way of the hosts.
func sweep(prefix string, hosts []Host) error {
	found, err := filepath.Glob(filepath.Join(Dir, prefix+"-*"))
	if err != nil {
		return fmt.Errorf("the prefix %q: %w", prefix, err)
	}
	for _, path := range found {
		name := filepath.Base(path)
		needed := slices.ContainsFunc(hosts, func(h Host) bool { return prefix+"-"+h.Name == name })
		switch o, err := ownerOf(path); {
		case errors.Is(err, ErrForeign) && !needed:
		case errors.Is(err, ErrForeign):
			return fmt.Errorf("the network namespace %s exists; %w (to remove it: ip netns delete %s)", name, err, name)
		case err != nil:
			return fmt.Errorf("look into the network namespace %s: %w", name, err)
		case o.alive():
			return fmt.Errorf("network namespace %s: %w, by process %d", name, ErrRunning, o.pid)
		default:
			if err := unname(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// ownerOf says who made the namespace that is named by path. An empty file with no namespace
// mounted on it, which a start that was killed in between may leave, belongs to nobody.
func ownerOf(path string) (owner, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return owner{}, err
	}
	if st.Type != unix.NSFS_MAGIC {
		if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || info.Size() != 0 {
			return owner{}, ErrForeign
		}
		return owner{}, nil
	}
	mark, err := readMark(path)
	if err != nil {
		return owner{}, err
	}
	o, ok := parseMark(mark)
	if !ok {
		return owner{}, ErrForeign
	}
	return o, nil
}

// owner is the process that made a lab: its number, and when it started, in clock ticks
// since boot, so that a number used again is not taken for it.
type owner struct {
	pid   int
	start string
}

const markFormat = "sshark lab of process %d started %s"

func ownMark() (string, error) {
	start, err := startTime(os.Getpid())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(markFormat, os.Getpid(), start), nil
}

func parseMark(mark string) (owner, bool) {
	var o owner
	n, err := fmt.Sscanf(mark, markFormat, &o.pid, &o.start)
	return o, err == nil && n == 2
}

func readMark(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	h, err := handleAt(fd)
	if err != nil {
		return "", err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return "", err
	}
	return lo.Attrs().Alias, nil
}

func (o owner) alive() bool {
	start, err := startTime(o.pid)
	return err == nil && start == o.start
}

// startTime reads field 22 of /proc/PID/stat (proc_pid_stat(5)). The fields are counted from
// behind the command, which may hold blanks and parentheses. A process that is dead and not
// yet waited for has no start time here.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", fmt.Errorf("process %d: %w", pid, os.ErrProcessDone)
	}
	return fields[19], nil
}
