// Package capture finds the network namespaces of pods and of the node, holds a capture socket
// for each of their interfaces, and turns what arrives in the kernel's ring into batches of
// packets.
//
// # Namespaces
//
// A Discoverer says which namespaces there are and whose they are. Named finds those of
// /run/netns, where a pod is the name. Processes finds those of a Kubernetes node's pods. The
// node's own namespace is an option. A namespace that several names lead to is captured
// once, as the first Discoverer that has it says. A namespace is kept alive by what captures
// it, so all of it is closed as soon as the namespace is no longer told.
//
// # Pods of a node
//
// Processes looks at /proc: a process tells its network namespace (ns/net) and, by the path
// of its cgroup, the UID of its pod. That needs no API, so it works with the hub gone; names
// are the Name option's affair. A namespace is told once, as the pause process's if there is
// one; threads count for nothing, because agents enter other namespaces with one for a
// moment. Never told are the node's own namespace, which is that of all pods with
// hostNetwork, and this process's own. A pod whose processes are all gone is left within
// two seconds.
//
// Every 50 ms the last number that was given to a process is read (/proc/loadavg). Only if it
// has moved, the processes since are looked at: one readlink(2) each, in most cases. All of
// them are looked at each ten seconds, and when one is gone that stood for a namespace.
// Measured (2 CPUs, Linux 6.18): 0.4 % of a CPU, nearly all of it for waking up, on a busy
// node; 2-4 us for each process or thread that begins; 5 us for each there is when all are
// looked at. It waits so long that looking takes no more than 1 % of a CPU.
//
// So a pod is captured 10-60 ms after its pause process began, and its containers are begun
// later than that process, in most cases by more. What cannot be caught: packets of the network
// plugin while it sets the namespace up (IPv6 duplicate address detection, gratuitous ARP);
// the first packets of a program where the runtime has no pause process and starts it at
// once; all of a pod whose processes live for less than 50 ms; and on a node where thousands
// of processes begin each second, or that lets this process wait for a CPU, what is sent in
// up to a second.
//
// # Interfaces
//
// The kernel's own messages (rtnetlink) say when an interface or address comes, changes or
// goes. An interface is attached while it is still down, so its first packet is not missed.
// Of a pod all interfaces are captured, but so that none shows a packet again that another
// one shows:
//
//   - lo: only what it receives, which is all that it sends.
//   - VLAN, macvlan and ipvlan on a device of the same namespace: not captured. The device
//     below shows the packets, those of a VLAN with their tag. (In most pods the device below
//     is the node's; then they are captured.)
//   - Members of a bond or team: not captured, the bond shows their packets.
//   - A bridge and its members: members tell what they receive, the bridge what it sends. So
//     each packet is told where it enters the bridge, and not at each port it leaves by.
//   - VRF and ifb devices: not captured, they repeat what others show.
//   - Both ends of a veth pair in one namespace: one end, the bridge's member if one is.
//   - Tunnels whose outer packets can be read (VXLAN and Geneve on their registered ports, GRE,
//     IP in IP): not captured, the outer packets are. Tunnels that hide their content
//     (WireGuard, tun, xfrm) are captured, and their outer packets are, too.
//   - Devices that carry neither Ethernet nor IP (CAN, nlmon, monitor mode): not captured.
//
// A packet that a pod routes from one interface to another is told at both: it is another
// packet then, with another hop count or other addresses.
//
// The node's own namespace sees all pods' packets again. So only these of its interfaces are
// captured: lo; devices without a driver of software (the physical ones) and bonds; and a
// veth, macvlan or ipvlan that has an address of its own and does not lead to a captured
// namespace (the uplink of a node that is itself a container). Of these but lo, only IP and
// ARP packets of the node's own addresses are kept, and no outer packets of tunnels.
//
// # Packets
//
// Data points into the kernel's ring and is valid until the callback returns. VLAN tags are
// back in their place. Time is the kernel's monotonic clock at the moment of capture, moved
// to real time by an offset that is sampled each second. Packets are in the order of the
// ring: of one CPU in order of time, of several off by microseconds. An Interface is
// immutable: when addresses, the snap length or the name of its pod change, packets come with
// a new value that has the same Vantage. The socket stays, so no packet is missed by it.
//
// # Counting
//
// The kernel counts each packet exactly once as stored, dropped (no room in the ring) or
// filtered (not wanted). Packet.Drops says how many were dropped on the interface before the
// packet; with those dropped after the last stored one, the sum is Stats.Dropped. The counts
// of an interface whose value has changed are divided between both values; packets that were
// in the ring meanwhile are counted by the old one and come with the new one.
//
// # Errors
//
// What the machine or the process lacks is a *bpf.MissingError of Start. What is wrong with
// one pod does not end the capture of others: it is in its State, tried again each second,
// and logged once.
package capture
