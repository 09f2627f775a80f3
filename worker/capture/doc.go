// Package capture finds the network namespaces of pods and of the node, holds a capture socket
// for each of their interfaces, and turns what arrives in the kernel's ring into batches of
// packets.
//
// # Namespaces
//
// A Discoverer says which namespaces there are and whose they are. Named finds those of
// /run/netns, where a pod is the name. The node's own namespace is an option. A namespace
// that several names lead to is captured once, as the first Discoverer that has it says.
// A namespace is kept alive by what captures it, so all of it is closed as soon as the
// namespace is no longer told.
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
// immutable: when addresses or the snap length change, packets come with a new value that
// has the same Vantage.
//
// # Counting
//
// The kernel counts each packet exactly once as stored, dropped (no room in the ring) or
// filtered (not wanted). Packet.Drops says how many were dropped on the interface before the
// packet; with those dropped after the last stored one, the sum is Stats.Dropped.
//
// # Errors
//
// What the machine or the process lacks is a *bpf.MissingError of Start. What is wrong with
// one pod does not end the capture of others: it is in its State, tried again each second,
// and logged once.
package capture
