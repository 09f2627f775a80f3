package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// device is one network device as the kernel describes it (rtnetlink(7)).
type device struct {
	index   uint32
	name    string
	arphrd  uint16 // ARPHRD_*: how its packets begin
	kind    string // IFLA_INFO_KIND: "veth", "bridge"; "" for hardware and lo
	member  string // IFLA_INFO_SLAVE_KIND: "bridge", "bond" of the device it is a member of
	link    uint32 // the device below, or the other end; 0: none
	foreign bool   // link is an index in another namespace
	nsid    uint32 // that namespace, as this one numbers it
	port    uint16 // UDP port of a VXLAN or Geneve tunnel
	addrs   []netip.Prefix
}

// The attributes that are read and that package unix does not name.
const (
	vxlanPort  = 15 // IFLA_VXLAN_PORT
	genevePort = 5  // IFLA_GENEVE_PORT
)

var errShort = errors.New("netlink message is too short")

// netlink is the connection with the kernel about one namespace. It keeps the namespace alive.
type netlink struct {
	ask    int      // requests
	events *os.File // says that something changed
	seq    uint32
	buf    []byte
}

// openNetlink connects to the namespace of the calling thread.
func openNetlink() (*netlink, error) {
	ask, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	// The kernel answers while it is asked; the limit is for a kernel that does not.
	limit := unix.NsecToTimeval(int64(5 * time.Second))
	if err := unix.SetsockoptTimeval(ask, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		unix.Close(ask)
		return nil, fmt.Errorf("limit netlink socket: %w", err)
	}
	events, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		unix.Close(ask)
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err := unix.Bind(events, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(ask)
		unix.Close(events)
		return nil, fmt.Errorf("listen to netlink: %w", err)
	}
	return &netlink{ask: ask, events: os.NewFile(uintptr(events), "netlink"), buf: make([]byte, 64<<10)}, nil
}

func (n *netlink) close() {
	unix.Close(n.ask)
	n.events.Close()
}

// wait returns when something may have changed, and with an error when n was closed.
func (n *netlink) wait(buf []byte) error {
	_, err := n.events.Read(buf)
	if errors.Is(err, unix.ENOBUFS) { // messages were lost: something has changed
		return nil
	}
	return err
}

// devices lists all devices with their addresses, by index.
func (n *netlink) devices() ([]device, error) {
	var devs []device
	err := n.dump(unix.RTM_GETLINK, unix.SizeofIfInfomsg, func(m *syscall.NetlinkMessage) error {
		if m.Header.Type != unix.RTM_NEWLINK {
			return nil
		}
		d, err := parseDevice(m.Data)
		if err != nil {
			return err
		}
		devs = append(devs, d)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	slices.SortFunc(devs, func(a, b device) int { return int(a.index) - int(b.index) })
	err = n.dump(unix.RTM_GETADDR, unix.SizeofIfAddrmsg, func(m *syscall.NetlinkMessage) error {
		if m.Header.Type != unix.RTM_NEWADDR {
			return nil
		}
		index, prefix, err := parseAddress(m.Data)
		if err != nil {
			return err
		}
		i, ok := slices.BinarySearchFunc(devs, index, func(d device, x uint32) int { return int(d.index) - int(x) })
		if ok && prefix.IsValid() {
			devs[i].addrs = append(devs[i].addrs, prefix)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for i := range devs {
		slices.SortFunc(devs[i].addrs, comparePrefix)
	}
	return devs, nil
}

func comparePrefix(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// nsid gives the number by which IFLA_LINK_NETNSID speaks here of the namespace fd; ok is
// false if it has none.
func (n *netlink) nsid(fd int) (id uint32, ok bool, err error) {
	ne := binary.NativeEndian
	body := make([]byte, 12) // struct rtgenmsg, and one attribute of 4 bytes
	ne.PutUint16(body[4:], 8)
	ne.PutUint16(body[6:], unix.NETNSA_FD)
	ne.PutUint32(body[8:], uint32(fd))
	err = n.request(unix.RTM_GETNSID, 0, body, func(m *syscall.NetlinkMessage) error {
		eachAttribute(m.Data[min(4, len(m.Data)):], func(attr uint16, v []byte) {
			if attr == unix.NETNSA_NSID && len(v) >= 4 {
				id = ne.Uint32(v)
				ok = int32(id) >= 0
			}
		})
		return nil
	})
	if err != nil {
		return 0, false, fmt.Errorf("ask for the number of a namespace: %w", err)
	}
	return id, ok, nil
}

// dump asks for all of a kind and hands out each message of the answer.
func (n *netlink) dump(kind uint16, body int, each func(*syscall.NetlinkMessage) error) error {
	return n.request(kind, unix.NLM_F_DUMP, make([]byte, body), each)
}

func (n *netlink) request(kind, flags uint16, body []byte, each func(*syscall.NetlinkMessage) error) error {
	n.seq++
	req := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	ne := binary.NativeEndian
	ne.PutUint32(req, uint32(cap(req)))
	ne.PutUint16(req[4:], kind)
	ne.PutUint16(req[6:], unix.NLM_F_REQUEST|flags)
	ne.PutUint32(req[8:], n.seq)
	req = append(req, body...)
	if err := unix.Sendto(n.ask, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("ask netlink: %w", err)
	}
	for {
		k, _, err := unix.Recvfrom(n.ask, n.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read netlink: %w", err)
		}
		msgs, err := syscall.ParseNetlinkMessage(n.buf[:k])
		if err != nil {
			return fmt.Errorf("read netlink: %w", err)
		}
		for i := range msgs {
			m := &msgs[i]
			if m.Header.Seq != n.seq {
				continue // the rest of an answer that was given up
			}
			switch m.Header.Type {
			case unix.NLMSG_DONE:
				return nil
			case unix.NLMSG_ERROR:
				if len(m.Data) >= 4 {
					return fmt.Errorf("ask netlink: %w", unix.Errno(-int32(ne.Uint32(m.Data))))
				}
				return errors.New("ask netlink: it answered with an error")
			}
			if err := each(m); err != nil {
				return err
			}
			if m.Header.Flags&unix.NLM_F_MULTI == 0 {
				return nil
			}
		}
	}
}

// parseDevice reads the body of RTM_NEWLINK: struct ifinfomsg, and attributes.
func parseDevice(b []byte) (device, error) {
	if len(b) < unix.SizeofIfInfomsg {
		return device{}, errShort
	}
	ne := binary.NativeEndian
	d := device{arphrd: ne.Uint16(b[2:]), index: ne.Uint32(b[4:])}
	eachAttribute(b[unix.SizeofIfInfomsg:], func(id uint16, v []byte) {
		switch id {
		case unix.IFLA_IFNAME:
			d.name = text(v)
		case unix.IFLA_LINK:
			if len(v) >= 4 {
				d.link = ne.Uint32(v)
			}
		case unix.IFLA_LINK_NETNSID:
			d.foreign = true
			if len(v) >= 4 {
				d.nsid = ne.Uint32(v)
			}
		case unix.IFLA_LINKINFO:
			d.kind, d.member, d.port = parseKind(v)
		}
	})
	return d, nil
}

func parseKind(b []byte) (kind, member string, port uint16) {
	var data []byte
	eachAttribute(b, func(id uint16, v []byte) {
		switch id {
		case unix.IFLA_INFO_KIND:
			kind = text(v)
		case unix.IFLA_INFO_SLAVE_KIND:
			member = text(v)
		case unix.IFLA_INFO_DATA:
			data = v
		}
	})
	eachAttribute(data, func(id uint16, v []byte) {
		if len(v) >= 2 && (kind == "vxlan" && id == vxlanPort || kind == "geneve" && id == genevePort) {
			port = binary.BigEndian.Uint16(v)
		}
	})
	return kind, member, port
}

// eachAttribute walks attributes (struct rtattr), up to one that cannot be right.
func eachAttribute(b []byte, each func(id uint16, value []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return
		}
		each(binary.NativeEndian.Uint16(b[2:])&^unix.NLA_F_NESTED, b[unix.SizeofRtAttr:n])
		b = b[min((n+3)&^3, len(b)):]
	}
}

// parseAddress reads the body of RTM_NEWADDR: struct ifaddrmsg, and attributes. It gives the
// zero Prefix for an address of another family.
func parseAddress(b []byte) (index uint32, prefix netip.Prefix, err error) {
	if len(b) < unix.SizeofIfAddrmsg {
		return 0, prefix, errShort
	}
	index = binary.NativeEndian.Uint32(b[4:])
	var addr netip.Addr
	eachAttribute(b[unix.SizeofIfAddrmsg:], func(id uint16, v []byte) {
		// On a point-to-point device IFA_ADDRESS is the other end and IFA_LOCAL its own;
		// elsewhere both are the same, and IPv6 has IFA_ADDRESS only.
		if id == unix.IFA_LOCAL || id == unix.IFA_ADDRESS && !addr.IsValid() {
			if x, ok := netip.AddrFromSlice(v); ok {
				addr = x
			}
		}
	})
	if !addr.IsValid() {
		return index, prefix, nil
	}
	return index, netip.PrefixFrom(addr, int(b[1])), nil
}

func text(b []byte) string {
	if i := slices.Index(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
