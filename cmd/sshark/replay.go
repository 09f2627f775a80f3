package main

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap/kube"
	"github.com/sshark/sshark/sshd"
	"github.com/sshark/sshark/sshd/fleet"
	"github.com/sshark/sshark/sshd/replay"
	"github.com/sshark/sshark/worker"
	"github.com/sshark/sshark/worker/reach"
)

// replayHere is replays of files: connections are opened from this machine, to it too.
func replayHere(d *dialect) *replay.Desk {
	here := reach.NewDialer(reach.Options{Loopback: true})
	return &replay.Desk{Protocols: d.protocols, Here: true, From: func(string) (reach.Reacher, error) { return here, nil }}
}

// replayUp is replays of the console of this machine alone. They reach it too, but for the
// console's port; what a pod's network namespace reached is dialled from there, since the
// machine's own network need not lead to it.
func replayUp(d *dialect, all *fleet.Fleet, w *worker.Worker, console uint16) *sshd.ReplayOptions {
	here := reach.NewDialer(reach.Options{Loopback: true, Ports: []uint16{console}, Inside: w.Inside})
	from := func(node string) (reach.Reacher, error) {
		if _, err := all.From(node); err != nil {
			return nil, err
		}
		return here, nil
	}
	return &sshd.ReplayOptions{Protocols: d.protocols, From: from, Who: w.Who().At}
}

// replayCluster is replays of a cluster's console: targets are judged by who the cluster says
// that they are.
func replayCluster(d *dialect, all *fleet.Fleet, c directory, namespace string) *sshd.ReplayOptions {
	who := func(a netip.AddrPort) *dissect.Identity {
		o, _, _ := c.Cluster.Who(a, time.Now().UnixNano())
		return o.At(a.Port())
	}
	return &sshd.ReplayOptions{Protocols: d.protocols, From: all.From, Who: who,
		Own: func(a netip.AddrPort) bool { return isOwn(a, who, c.Workers(), c.ConsolePorts(), namespace) }}
}

// isOwn says whether an address is the hub's or a worker's, or leads to the hub: by a service of
// it, or a port of a node.
func isOwn(a netip.AddrPort, who func(netip.AddrPort) *dissect.Identity, workers []kube.Worker, consolePorts []uint16, namespace string) bool {
	addr := a.Addr().Unmap()
	for _, w := range workers {
		if p, err := netip.ParseAddrPort(w.Addr); err == nil && p.Addr().Unmap() == addr {
			return true
		}
	}
	own, _ := net.InterfaceAddrs() // none: the names still tell
	id := who(a)
	for _, o := range own {
		p, err := netip.ParsePrefix(o.String())
		if err != nil || p.Addr().IsLoopback() {
			continue
		}
		if p.Addr().Unmap() == addr {
			return true
		}
		if me := who(netip.AddrPortFrom(p.Addr().Unmap(), a.Port())); me != nil && id != nil && me.Namespace == namespace && id.Namespace == namespace &&
			(me.Service != "" && me.Service == id.Service || me.Pod != "" && me.Pod == id.Pod) {
			return true
		}
	}
	return id != nil && id.Kind == "Node" && id.Pod == "" && slices.Contains(consolePorts, a.Port())
}
