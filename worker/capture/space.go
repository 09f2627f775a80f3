package capture

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/worker/bpf"
	"golang.org/x/sys/unix"
)

// UDP ports of tunnels between nodes, whose outer packets are left out on the node: VXLAN,
// Flannel's and Cilium's VXLAN, Geneve (IANA; net/ipv4/vxlan of Linux before it was assigned).
var tunnelPorts = []uint16{4789, 8472, 6081}

// space is one network namespace that is, or should be, captured. Guarded by Capture.mu.
type space struct {
	ns      Namespace // as it was told
	pod     pcap.Pod  // with the name that it has by now
	policy  Target    // as it was last asked for
	own     bool      // the node's
	since   time.Time // when it was found
	vantage uint32
	fd      int      // of the namespace, -1: not open
	netlink *netlink // nil: not open
	left    bool
	devices []device // as last listed
	taps    map[uint32]*tap
	problem string
	gone    pcap.Stats // of interfaces that are no longer
	goneCut uint64
}

// tap is one captured interface.
type tap struct {
	space  *space
	device device
	slot   uint32
	target bpf.Target
	socket *bpf.Socket
	stats  pcap.Stats // as last read
	before pcap.Stats // counted under earlier values of its Interface
	cut    uint64
}

func (s *space) close() {
	if s.netlink != nil {
		s.netlink.close()
		s.netlink = nil
	}
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
}

// update takes what a discoverer found, enters what is new and leaves what is gone.
func (c *Capture) update(discoverer int, list []Namespace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	if list == nil {
		list = []Namespace{} // told
	}
	c.found[discoverer] = list
	want := map[uint32]Namespace{}
	for _, list := range c.found {
		for _, ns := range list {
			if c.own != nil && ns.Inode == c.own.ns.Inode {
				continue
			}
			if _, ok := want[ns.Inode]; !ok {
				want[ns.Inode] = ns
			}
		}
	}
	for inode, s := range c.spaces {
		if ns, ok := want[inode]; !s.own && (!ok || !samePod(ns.Pod, s.ns.Pod)) {
			c.leave(s)
		}
	}
	for inode, ns := range want {
		if s := c.spaces[inode]; s != nil {
			renamed := s.ns.Pod != ns.Pod
			s.ns = ns
			if renamed {
				c.refresh(s)
			}
		} else {
			c.enter(ns, false)
		}
	}
	if c.own != nil {
		c.refresh(c.own)
	}
}

// samePod says whether it is one pod, which may have got another name.
func samePod(a, b pcap.Pod) bool { return a == b || a.UID != "" && a.UID == b.UID }

func (c *Capture) enter(ns Namespace, own bool) *space {
	c.vantage++
	s := &space{ns: ns, own: own, since: time.Now(), vantage: c.vantage, fd: -1, taps: map[uint32]*tap{}}
	c.spaces[ns.Inode] = s
	c.refresh(s)
	c.log.Info("namespace found", "pod", s.pod.String(), "uid", ns.Pod.UID, "own", own, "interfaces", len(s.taps))
	return s
}

// podOf is the pod of a namespace by the name that it has now.
func (c *Capture) podOf(s *space) pcap.Pod {
	if s.own {
		return pcap.Pod{}
	}
	return c.opts.Name(s.ns.Pod)
}

func (c *Capture) leave(s *space) {
	s.left = true
	for _, t := range s.taps {
		c.detach(t)
	}
	s.close()
	delete(c.spaces, s.ns.Inode)
	c.log.Info("namespace left", "pod", s.pod.String(), "uid", s.ns.Pod.UID, "own", s.own)
}

// listen refreshes a namespace whenever the kernel says that something changed in it.
func (c *Capture) listen(s *space, n *netlink) {
	buf := make([]byte, 8<<10)
	for n.wait(buf) == nil {
		c.mu.Lock()
		if !s.left && !c.ended && c.refresh(s) && !s.own && c.own != nil {
			c.refresh(c.own) // which of its devices lead to captured ones may have changed
		}
		c.mu.Unlock()
	}
}

// refresh brings what is attached in line with what is there and wanted. It says whether the
// devices of the namespace have changed.
func (c *Capture) refresh(s *space) (changed bool) {
	s.pod = c.podOf(s)
	s.policy = c.target(s.pod)
	changed, err := c.tryRefresh(s)
	problem := ""
	if err != nil {
		problem = err.Error()
		if problem != s.problem {
			c.log.Warn("namespace is not captured as it should be", "pod", s.pod.String(), "err", err)
		}
	}
	s.problem = problem
	return changed
}

func (c *Capture) tryRefresh(s *space) (changed bool, err error) {
	if s.netlink == nil {
		if err := c.open(s); err != nil {
			return false, err
		}
	}
	devs, err := s.netlink.devices()
	if err != nil {
		return false, err
	}
	changed = !slices.EqualFunc(devs, s.devices, equalDevice)
	s.devices = devs
	if s.own {
		if err := c.prog.SetOwn(addresses(devs)); err != nil {
			return changed, err
		}
	}

	var want []tapped
	policy := &s.policy
	switch {
	case policy.Off:
	case s.own:
		captured, err := c.captured(s)
		if err != nil {
			return changed, err
		}
		want = chooseOwn(devs, captured)
	default:
		want = choosePod(devs)
	}
	byIndex := make(map[uint32]*tapped, len(want))
	for i := range want {
		byIndex[want[i].index] = &want[i]
	}
	for index, t := range s.taps {
		if byIndex[index] == nil {
			c.detach(t)
		}
	}
	var fresh []*tapped
	var errs []error
	for i := range want {
		if t := s.taps[want[i].index]; t == nil {
			fresh = append(fresh, &want[i])
		} else if err := c.change(t, &want[i], policy); err != nil {
			errs = append(errs, err)
		}
	}
	if len(fresh) > 0 {
		errs = append(errs, c.attach(s, fresh, policy))
	}
	return changed, errors.Join(errs...)
}

func (c *Capture) open(s *space) error {
	fd, err := openNamespace(s.ns.Path, s.ns.Inode)
	if err != nil {
		return err
	}
	var n *netlink
	err = inNamespace(fd, func() (err error) {
		n, err = openNetlink()
		return err
	})
	if err != nil {
		unix.Close(fd)
		return bpf.Explain(err)
	}
	s.fd, s.netlink = fd, n
	c.tasks.Go(func() { c.listen(s, n) })
	return nil
}

// captured tells of a device of the node whether its other end is in a captured namespace.
func (c *Capture) captured(own *space) (func(*device) bool, error) {
	ids := map[uint32]bool{}
	for _, s := range c.spaces {
		if s.own || s.fd < 0 {
			continue
		}
		id, ok, err := own.netlink.nsid(s.fd)
		if err != nil {
			return nil, err
		}
		if ok {
			ids[id] = true
		}
	}
	return func(d *device) bool { return d.foreign && ids[d.nsid] }, nil
}

// attach begins the capture of devices. What fails does not keep the others from it.
func (c *Capture) attach(s *space, fresh []*tapped, policy *Target) error {
	var errs []error
	taps := make([]*tap, 0, len(fresh))
	for _, d := range fresh {
		slot, err := c.takeSlot()
		if err != nil {
			errs = append(errs, fmt.Errorf("capture interface %s: %w", d.name, err))
			break
		}
		taps = append(taps, &tap{space: s, device: d.device, slot: slot, target: c.targetOf(s, d, policy)})
	}
	errs = append(errs, bpf.Explain(inNamespace(s.fd, func() (err error) {
		for _, t := range taps {
			if t.socket, err = c.prog.Open(t.slot); err != nil {
				return err
			}
		}
		return nil
	})))
	for i, t := range taps {
		if t.socket == nil {
			c.free = append(c.free, t.slot)
			continue
		}
		c.slots[t.slot].Store(c.interfaceOf(s, fresh[i], &t.target))
		s.taps[t.device.index] = t
		c.live[t.slot] = t
		err := c.prog.SetTarget(t.slot, &t.target)
		if err == nil {
			err = t.socket.Bind(t.device.index, t.device.index == loIndex)
		}
		if err != nil {
			c.detach(t)
		}
		switch {
		case errors.Is(err, unix.ENODEV): // it has gone in the meantime
		case err != nil:
			errs = append(errs, fmt.Errorf("capture interface %s: %w", t.device.name, err))
		default:
			c.log.Debug("interface attached", "pod", s.pod.String(), "interface", t.device.name, "slot", t.slot)
		}
	}
	return errors.Join(errs...)
}

// change follows what is new about a captured device.
func (c *Capture) change(t *tap, d *tapped, policy *Target) error {
	target := c.targetOf(t.space, d, policy)
	if !equalTarget(&target, &t.target) {
		if err := c.prog.SetTarget(t.slot, &target); err != nil {
			return fmt.Errorf("capture interface %s: %w", d.name, err)
		}
	}
	old := c.slots[t.slot].Load()
	if !equalDevice(d.device, t.device) || target.SnapLen != t.target.SnapLen || old.Pod != t.space.pod {
		c.slots[t.slot].Store(c.interfaceOf(t.space, d, &target))
		now := c.read(t)
		c.opts.Final(old, minus(&now, &t.before))
		t.before = now
	}
	t.target, t.device = target, d.device
	return nil
}

// detach ends the capture of a device. The socket is closed on the side, because the kernel
// takes its time.
func (c *Capture) detach(t *tap) {
	delete(t.space.taps, t.device.index)
	if err := c.prog.DeleteTarget(t.slot); err != nil {
		c.log.Error("let interface go", "pod", t.space.pod.String(), "interface", t.device.name, "err", err)
	}
	c.closed.Go(func() {
		c.closer <- struct{}{}
		err := t.socket.Close()
		<-c.closer
		if err != nil {
			c.log.Error("let interface go", "pod", t.space.pod.String(), "interface", t.device.name, "err", err)
		}
		// The program does not run for it any more: the counts are final, and what it stored
		// is in the ring.
		c.mu.Lock()
		stats, iface := c.read(t), c.slots[t.slot].Load()
		add(&c.gone, &stats)
		add(&t.space.gone, &stats)
		t.space.goneCut += t.cut
		stats = minus(&stats, &t.before)
		delete(c.live, t.slot)
		c.retired = append(c.retired, retired{slot: t.slot, until: c.ring.Produced()})
		c.mu.Unlock()
		c.opts.Final(iface, stats)
	})
}

func (c *Capture) takeSlot() (uint32, error) {
	consumed := c.ring.Consumed()
	c.retired = slices.DeleteFunc(c.retired, func(r retired) bool {
		if r.until > consumed {
			return false
		}
		c.free = append(c.free, r.slot)
		return true
	})
	if len(c.free) == 0 {
		return 0, fmt.Errorf("more than %d interfaces at one time: raise the limit of interfaces", len(c.slots))
	}
	slot := c.free[len(c.free)-1]
	if err := c.prog.ResetCounters(slot); err != nil {
		return 0, err
	}
	c.free = c.free[:len(c.free)-1]
	return slot, nil
}

func (c *Capture) targetOf(s *space, d *tapped, policy *Target) bpf.Target {
	t := bpf.Target{
		SnapLen:   policy.SnapLen,
		Raw:       d.link == pcap.LinkRaw,
		Direction: d.direction,
		Only:      policy.Only,
		Never:     policy.Never,
		Except:    c.opts.ExcludePorts,
	}
	if t.SnapLen == 0 {
		t.SnapLen = c.opts.SnapLen
	}
	if s.own {
		t.Local = d.index == loIndex
		t.OwnOnly = !t.Local
		t.Tunnels = tunnelPorts
	}
	return t
}

func (c *Capture) interfaceOf(s *space, d *tapped, t *bpf.Target) *pcap.Interface {
	return &pcap.Interface{
		Name:    d.name,
		Link:    d.link,
		SnapLen: t.SnapLen,
		Node:    c.opts.Node,
		Pod:     s.pod,
		Addrs:   d.addrs,
		Vantage: s.vantage,
	}
}

// addresses are the node's own, as others write to them.
func addresses(devs []device) []netip.Addr {
	var out []netip.Addr
	for i := range devs {
		for _, p := range devs[i].addrs {
			out = append(out, p.Addr())
		}
	}
	return out
}

func equalDevice(a, b device) bool {
	return a.index == b.index && a.name == b.name && a.arphrd == b.arphrd && a.kind == b.kind &&
		a.member == b.member && a.link == b.link && a.foreign == b.foreign && a.nsid == b.nsid && a.port == b.port &&
		slices.Equal(a.addrs, b.addrs)
}

func equalPolicy(a, b Target) bool {
	return a.Off == b.Off && a.SnapLen == b.SnapLen && slices.Equal(a.Only, b.Only) && slices.Equal(a.Never, b.Never)
}

func equalTarget(a, b *bpf.Target) bool {
	return a.SnapLen == b.SnapLen && a.Raw == b.Raw && a.Direction == b.Direction &&
		a.OwnOnly == b.OwnOnly && a.Local == b.Local && slices.Equal(a.Only, b.Only) &&
		slices.Equal(a.Never, b.Never) && slices.Equal(a.Except, b.Except) && slices.Equal(a.Tunnels, b.Tunnels)
}
