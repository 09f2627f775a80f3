// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//go:build ignore

// The capture program: a socket filter on an AF_PACKET socket for each captured interface.
// It copies the packet and a header into one shared ring and always returns 0, so that
// nothing is ever queued on the socket itself. Nothing wakes the reader: it comes by timer.
//
// One packet on one interface ends in exactly one of three ways, and is counted there:
// filtered (not wanted), dropped (no room in the ring) or stored. seen is counted apart, so
// that seen == stored + dropped + filtered can be checked. A copy that only repeats what
// another tap tells (see INBOUND_ONLY, OUTBOUND_ONLY, and lo) is not counted at all.
//
// The program runs with bottom halves off, so a CPU's counters have one writer.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_core_read.h>

#ifndef bpf_ksym_exists // libbpf 1.2
#define bpf_ksym_exists(sym) ((void *)&(sym) != 0)
#endif

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// The one kernel field that __sk_buff lacks, found by name when the program is loaded (CO-RE).
struct sk_buff {
	__u8 ip_summed : 2;
} __attribute__((preserve_access_index));

// Since Linux 6.2: the packet as the kernel knows it, so that a field is one load.
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

#define LO_IFINDEX 1
#define PACKET_OUTGOING 4
#define CHECKSUM_PARTIAL 3

#define ETH_HLEN 14
#define ETH_P_IP 0x0800
#define ETH_P_ARP 0x0806
#define ETH_P_8021Q 0x8100
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021AD 0x88a8

#define PROTO_IPIP 4
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_IPV6 41
#define PROTO_GRE 47
#define PROTO_SCTP 132

// The largest IP packet with an Ethernet header and two VLAN tags is 65,557 bytes.
#define MAX_CAPTURED 65568

// What precedes each packet in the ring. Mirrored by Header in ring.go.
struct header {
	__u64 time;     // CLOCK_MONOTONIC, ns
	__u32 slot;     // of the interface
	__u32 length;   // on the wire, with the VLAN tag
	__u32 captured; // bytes that follow
	__u32 drops;    // of this interface on this CPU since the last one stored here
	__u8 direction; // 1: received, 2: sent
	__u8 partial;   // 1: the checksum is left to the device
	__u8 pad[6];
};

#define INBOUND_ONLY 1  // what it sends is told by another tap
#define OUTBOUND_ONLY 2 // what it receives is told by another tap
#define RAW 4           // no link layer header
#define OWN_ONLY 8      // keep packets of addresses in own, not tunnels' outer packets
#define LOCAL 16        // all addresses on this interface are the node's

struct target {
	__u32 snap; // 1..MAX_CAPTURED; 0: there is no such target, nothing is kept or counted
	__u32 flags;
	__u16 only;   // port set: keep these, 0: any
	__u16 never;  // port set: leave these out, 0: none
	__u16 except; // port set: leave these out at the node's own addresses, 0: none
	__u16 tunnel; // port set: UDP destinations that are tunnels, for OWN_ONLY
};

struct counters {
	__u64 seen, stored, dropped, filtered, bytes;
	__u64 cut;  // stored, but longer than MAX_CAPTURED and not whole
	__u64 pend; // dropped since the last one stored
};

struct port_set {
	__u64 bits[1024];
};

struct address {
	__u8 b[16]; // IPv4 as ::ffff:a.b.c.d
};

// Sizes of the ring, of counters, targets and port_sets are set by the loader.
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 26);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY); // by slot
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct target);
} targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); // by slot
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct port_set);
} port_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct address);
	__type(value, __u8);
} own SEC(".maps");

// Entry 0 is the program below. See entry in attach.go.
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} programs SEC(".maps");

static __always_inline int in_set(__u32 set, __u16 port)
{
	struct port_set *s = bpf_map_lookup_elem(&port_sets, &set);

	return s && (s->bits[port >> 6] >> (port & 63)) & 1;
}

static __always_inline int is_own(struct address *a)
{
	return bpf_map_lookup_elem(&own, a) != 0;
}

static __always_inline void map_v4(struct address *a, const void *v4)
{
	__builtin_memset(a, 0, sizeof(*a));
	a->b[10] = a->b[11] = 0xff;
	__builtin_memcpy(&a->b[12], v4, 4);
}

#define IP 1    // and so says struct ip
#define ARP 2   // only the addresses are known
#define OTHER 3 // or cannot be read

struct ip {
	struct address src, dst;
	__u16 port[2];
	__u8 proto;
	__u8 ports; // 1: there are ports
	__u8 later; // not 0: a fragment that is not the first
};

static __always_inline int has_ports(__u8 proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP;
}

// parse finds addresses and ports, behind up to two VLAN tags and four IPv6 extensions.
static __always_inline int parse(struct __sk_buff *skb, int raw, struct ip *ip)
{
	__u32 off = 0;
	__u16 type;
	__u8 h[40];

	if (!raw && !bpf_skb_load_bytes(skb, 0, h, 38) && h[12] == 8 && h[13] == 0 && h[14] == 0x45) {
		// Nearly always: IPv4 without options, read at once.
		map_v4(&ip->src, h + 26);
		map_v4(&ip->dst, h + 30);
		ip->proto = h[23];
		ip->later = (h[20] & 0x1f) | h[21];
		if (!ip->later && has_ports(ip->proto)) {
			ip->port[0] = h[34] << 8 | h[35];
			ip->port[1] = h[36] << 8 | h[37];
			ip->ports = 1;
		}
		return IP;
	}
	if (raw) {
		if (bpf_skb_load_bytes(skb, 0, h, 1))
			return OTHER;
		type = h[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
	} else {
		if (bpf_skb_load_bytes(skb, ETH_HLEN - 2, &type, 2))
			return OTHER;
		type = bpf_ntohs(type);
		off = ETH_HLEN;
#pragma unroll
		for (int i = 0; i < 2; i++) {
			if (type != ETH_P_8021Q && type != ETH_P_8021AD)
				break;
			if (bpf_skb_load_bytes(skb, off + 2, &type, 2))
				return OTHER;
			type = bpf_ntohs(type);
			off += 4;
		}
	}
	if (type == ETH_P_IP) {
		if (bpf_skb_load_bytes(skb, off, h, 20))
			return OTHER;
		map_v4(&ip->src, h + 12);
		map_v4(&ip->dst, h + 16);
		ip->proto = h[9];
		ip->later = (h[6] & 0x1f) | h[7];
		off += (h[0] & 15) * 4;
	} else if (type == ETH_P_IPV6) {
		if (bpf_skb_load_bytes(skb, off, h, 40))
			return OTHER;
		__builtin_memcpy(&ip->src, h + 8, 16);
		__builtin_memcpy(&ip->dst, h + 24, 16);
		ip->proto = h[6];
		off += 40;
#pragma unroll
		for (int i = 0; i < 4; i++) {
			// hop by hop, routing, destination options, fragment (RFC 8200, 4)
			if (ip->proto != 0 && ip->proto != 43 && ip->proto != 60 && ip->proto != 44)
				break;
			if (bpf_skb_load_bytes(skb, off, h, 8))
				break;
			if (ip->proto == 44) {
				ip->later = h[2] | (h[3] & 0xf8);
				off += 8;
			} else {
				off += (h[1] + 1) * 8;
			}
			ip->proto = h[0];
			if (ip->later)
				break;
		}
	} else if (type == ETH_P_ARP) {
		if (bpf_skb_load_bytes(skb, off + 8, h, 20))
			return OTHER;
		map_v4(&ip->src, h + 6);
		map_v4(&ip->dst, h + 16);
		return ARP;
	} else {
		return OTHER;
	}
	if (!ip->later && has_ports(ip->proto) && !bpf_skb_load_bytes(skb, off, h, 4)) {
		ip->port[0] = h[0] << 8 | h[1];
		ip->port[1] = h[2] << 8 | h[3];
		ip->ports = 1;
	}
	return IP;
}

// wanted is only asked when the target restricts anything. What cannot be read is kept,
// unless only own packets or certain ports are.
static __always_inline int wanted(struct __sk_buff *skb, struct target *t)
{
	struct ip ip = {};
	int kind = parse(skb, t->flags & RAW, &ip);

	if (kind == OTHER)
		return !t->only && !(t->flags & OWN_ONLY);
	if (ip.ports) {
		if (t->never && (in_set(t->never, ip.port[0]) || in_set(t->never, ip.port[1])))
			return 0;
		if (t->only && !in_set(t->only, ip.port[0]) && !in_set(t->only, ip.port[1]))
			return 0;
		if (t->except && in_set(t->except, ip.port[0]) && (t->flags & LOCAL || is_own(&ip.src)))
			return 0;
		if (t->except && in_set(t->except, ip.port[1]) && (t->flags & LOCAL || is_own(&ip.dst)))
			return 0;
	} else if (t->only && !ip.later) { // a later fragment may be of a wanted one
		return 0;
	}
	if (t->flags & OWN_ONLY) {
		if (kind == IP && (ip.proto == PROTO_IPIP || ip.proto == PROTO_IPV6 || ip.proto == PROTO_GRE))
			return 0;
		if (ip.ports && ip.proto == PROTO_UDP && in_set(t->tunnel, ip.port[1]))
			return 0;
		return is_own(&ip.src) || is_own(&ip.dst);
	}
	return 1;
}

struct packet {
	__u32 length;
	__u32 captured;
	__u32 tag; // the VLAN tag as it stood on the wire, 0: none
	__u32 slot;
	__u8 direction;
	__u8 partial;
};

// store reserves size bytes, which the verifier must know as a constant. It says whether the
// packet is in the ring.
static __always_inline int store(struct __sk_buff *skb, const struct packet *p, __u32 drops, const __u32 size)
{
	struct header *h = bpf_ringbuf_reserve(&ring, size, 0);
	__u32 n = p->captured;
	long err;

	if (!h)
		return 0;
	h->time = bpf_ktime_get_ns();
	h->slot = p->slot;
	h->length = p->length;
	h->captured = n;
	h->drops = drops;
	h->direction = p->direction;
	h->partial = p->partial;

	__u8 *data = (__u8 *)(h + 1);
	if (p->tag) {
		// The kernel keeps the outer tag beside the packet; here it goes back in place.
		err = bpf_skb_load_bytes(skb, 0, data, 12);
		*(__u32 *)(data + 12) = p->tag;
		n -= 16;
		asm volatile("" : "+r"(n)); // keep the compiler from knowing better than the verifier
		if (n < 1)
			n = 1;
		if (n > size - sizeof(*h) - 16)
			n = size - sizeof(*h) - 16;
		err = err ?: bpf_skb_load_bytes(skb, 12, data + 16, n);
	} else {
		asm volatile("" : "+r"(n));
		if (n < 1)
			n = 1;
		if (n > size - sizeof(*h))
			n = size - sizeof(*h);
		err = bpf_skb_load_bytes(skb, 0, data, n);
	}
	if (err) {
		bpf_ringbuf_discard(h, BPF_RB_NO_WAKEUP);
		return 0;
	}
	bpf_ringbuf_submit(h, BPF_RB_NO_WAKEUP);
	return 1;
}

#define CLASS(n)              \
	if (need <= (n))      \
		return store(skb, p, drops, (n));

// The steps are at most a third, so that little of the ring is wasted. The last class takes
// any packet of MAX_CAPTURED bytes.
static __always_inline int store_any(struct __sk_buff *skb, const struct packet *p, __u32 drops)
{
	__u32 need = p->captured + sizeof(struct header);

	CLASS(104) // with the ring's own 8 bytes: a pure TCP segment with options in 112
	CLASS(136)
	CLASS(184)
	CLASS(248)
	CLASS(328)
	CLASS(440)
	CLASS(584)
	CLASS(776)
	CLASS(1032)
	CLASS(1272)
	CLASS(1560) // a full frame of 1,514 bytes, tagged too
	CLASS(2072)
	CLASS(3000)
	CLASS(4504)
	CLASS(6504)
	CLASS(9064) // jumbo
	CLASS(13000)
	CLASS(18000)
	CLASS(25000)
	CLASS(34000)
	CLASS(47000)
	return store(skb, p, drops, MAX_CAPTURED + sizeof(struct header));
}

static __always_inline int checksum_partial(struct __sk_buff *ctx)
{
	struct sk_buff *skb;

	if (ctx->gso_size) // the device computes it for each segment
		return 1;
	if (bpf_ksym_exists(bpf_cast_to_kern_ctx)) {
		skb = bpf_cast_to_kern_ctx(ctx);
		return BPF_CORE_READ_BITFIELD(skb, ip_summed) == CHECKSUM_PARTIAL;
	}
	skb = (void *)ctx;
	return BPF_CORE_READ_BITFIELD_PROBED(skb, ip_summed) == CHECKSUM_PARTIAL;
}

// Which interface it is says the socket: its own entry program leaves the slot in cb[0] and
// jumps here. (The namespace of the device would be the other way; to read its inode number
// costs 80 ns a packet. bpf_get_netns_cookie is wrong: it gives the sender's.)
SEC("socket")
int capture(struct __sk_buff *skb)
{
	struct packet p = { .slot = skb->cb[0] };
	int out = skb->pkt_type == PACKET_OUTGOING;
	struct target *t = bpf_map_lookup_elem(&targets, &p.slot);

	if (!t || !t->snap)
		return 0;
	// lo shows each packet when it is sent and again when it is received.
	if (out && skb->ifindex == LO_IFINDEX)
		return 0;
	if (t->flags & (out ? INBOUND_ONLY : OUTBOUND_ONLY))
		return 0;
	struct counters *c = bpf_map_lookup_elem(&counters, &p.slot);
	if (!c)
		return 0;

	c->seen++;
	if ((t->flags & OWN_ONLY || t->only || t->never || t->except) && !wanted(skb, t)) {
		c->filtered++;
		return 0;
	}

	p.length = skb->len;
	p.captured = t->snap;
	if (skb->vlan_present && p.length >= ETH_HLEN && p.captured > 16) {
		p.tag = (__u32)bpf_htons(skb->vlan_tci) << 16 | (skb->vlan_proto & 0xffff);
		p.length += 4;
	}
	if (p.captured > p.length)
		p.captured = p.length;
	if (p.captured > MAX_CAPTURED)
		p.captured = MAX_CAPTURED;
	p.direction = out ? 2 : 1;
	p.partial = checksum_partial(skb);

	if (!store_any(skb, &p, c->pend)) {
		c->dropped++;
		c->pend++;
		return 0;
	}
	c->stored++;
	c->bytes += p.captured;
	c->pend = 0;
	if (p.captured == MAX_CAPTURED && p.length > MAX_CAPTURED)
		c->cut++;
	return 0;
}
