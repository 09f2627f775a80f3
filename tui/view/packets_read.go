package view

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/layers"
	"github.com/sshark/sshark/pcap/tcp"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// Bounds of what is held of packets.
const (
	maxPackets     = 2000 // at once
	maxPacketBytes = 4096 // of each
	maxJudged      = 4096 // connections
)

// packetRow is one packet in the list, or a name alone.
type packetRow struct {
	name      *pcap.Name
	number    int // in its flow, or in the answer, from 1
	packet    pcap.Packet
	captured  int            // bytes; packet.Data may have fewer
	src, dst  netip.AddrPort // of no port where there is none; invalid: no addresses were found
	transport flow.Proto
	proto     style.Text
	info      style.Text
	marks     tcp.Marks
	payload   int // bytes on the wire behind the transport's header
}

// packetReader makes rows of packets that are lent. One goroutine uses it.
type packetReader struct {
	header flow.Header
	judges map[judged]*tcp.Analyzer
	number int
}

// judged is whose packets are judged together: a connection at one place.
type judged struct {
	key     flow.Key
	vantage uint32
}

// take judges the next packet, and makes a row of it if it is wanted.
func (r *packetReader) take(p *pcap.Packet, wanted bool) *packetRow {
	r.number++
	h := &r.header
	known := h.Parse(p.Iface.Link, p.Data)
	var marks tcp.Marks
	var a *tcp.Analyzer
	if known && h.Key.Proto == flow.TCP {
		a = r.judge(p, h)
		marks = a.Packet(h, p.Data, p.Time)
	}
	if !wanted {
		return nil
	}
	row := &packetRow{number: r.number, packet: *p, captured: len(p.Data), marks: marks}
	row.packet.Data = bytes.Clone(p.Data[:min(len(p.Data), maxPacketBytes)])
	if known {
		row.src, row.dst, row.transport = h.Key.Addr(h.Dir), h.Key.Addr(h.Dir.Other()), h.Key.Proto
		row.payload = max(0, h.WireEnd-h.Payload)
	}
	row.describe(h, known, a)
	return row
}

func (r *packetReader) judge(p *pcap.Packet, h *flow.Header) *tcp.Analyzer {
	k := judged{h.Key, p.Iface.Vantage}
	a := r.judges[k]
	opens := h.Flags&(flow.SYN|flow.ACK) == flow.SYN
	if a != nil && !(opens && a.Summary().End >= tcp.Closed) {
		return a
	}
	if len(r.judges) >= maxJudged || r.judges == nil {
		r.judges = map[judged]*tcp.Analyzer{}
	}
	a = &tcp.Analyzer{}
	r.judges[k] = a
	return a
}

// describe says what the packet is.
func (row *packetRow) describe(h *flow.Header, known bool, a *tcp.Analyzer) {
	switch {
	case known && h.Fragments:
		row.proto = style.Text(h.Key.Proto.String())
		row.info = style.Text(fmt.Sprintf("fragment of packet %d, at %d", h.Fragment.ID, h.Fragment.Offset))
		return
	case a != nil && h.End-h.Transport < 20:
		row.proto, row.info = "tcp", "cut off within its header"
		return
	case a != nil:
		row.proto = "tcp"
		info := fmt.Sprintf("[%s] seq %d", layers.TCPFlags(uint64(h.Flags)), a.Relative(h.Dir, h.Seq))
		if h.Flags&flow.ACK != 0 {
			ack := h.Ack
			if a.Known(h.Dir.Other()) {
				ack = a.Relative(h.Dir.Other(), h.Ack)
			}
			info += fmt.Sprintf(" ack %d", ack)
		}
		row.info = style.Text(fmt.Sprintf("%s win %d len %d", info, h.Window, row.payload))
		return
	case known && h.Key.Proto == flow.UDP:
		row.proto, row.info = "udp", style.Text(count(row.payload, "byte"))
		return
	}
	all := layers.Decode(row.packet.Iface.Link, row.packet.Data)
	row.info = "not understood"
	for i := range all {
		if l := &all[i]; l.Name != "Payload" && l.Name != "Trailer" {
			row.proto, row.info = style.Clean(l.Name), style.Clean(l.Summary)
			if l.Name == "ICMP" || l.Name == "ICMPv6" { // what is behind it is what it is about
				return
			}
		}
	}
}

// readPackets asks for the packets of a part of a flow: those from part*maxPackets on, or those
// around a time if that is not 0.
func readPackets(b Backend, q Query, part int, at int64) func(context.Context, func(*packetRow)) (Report, error) {
	return func(ctx context.Context, add func(*packetRow)) (Report, error) {
		var r packetReader
		var held []*packetRow // of a part of which it is not known yet whether it is the one
		found := at == 0
		report, err := b.Packets(ctx, q, packetFuncs{func(n pcap.Name) { add(&packetRow{name: &n}) }, func(p *pcap.Packet) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			in := r.number / maxPackets
			if found && in > part {
				return errEnough
			}
			row := r.take(p, !found || in == part)
			switch {
			case row == nil:
			case found:
				add(row)
			case p.Time >= at:
				found, part = true, in
				for _, h := range held {
					if (h.number-1)/maxPackets == in {
						add(h)
					}
				}
				held = nil
				add(row)
			default:
				if len(held) > 0 && (held[0].number-1)/maxPackets != in {
					held = held[:0]
				}
				held = append(held, row)
			}
			return nil
		}})
		if !found { // it is behind the last one
			for _, h := range held {
				add(h)
			}
		}
		return report, err
	}
}

// packetFuncs is a PacketSink made of functions; name may be nil.
type packetFuncs struct {
	name   func(pcap.Name)
	packet func(*pcap.Packet) error
}

// Packet implements PacketSink.
func (f packetFuncs) Packet(p *pcap.Packet) error { return f.packet(p) }

// Name implements PacketSink.
func (f packetFuncs) Name(n pcap.Name) error {
	if f.name != nil {
		f.name(n)
	}
	return nil
}

// line is the row as text, to be copied.
func (row *packetRow) line(c Clock) string {
	s := fmt.Sprintf("%d  %s  %s → %s  %s  %d  %s", row.number, clockText(c, row.packet.Time), row.src, row.dst, row.proto, row.packet.Length, row.info)
	if row.marks != 0 {
		s += "  " + row.marks.String()
	}
	return s
}

// frame is what is known of a packet besides its bytes, as a layer.
func (row *packetRow) frame(c Clock) layers.Layer {
	p := &row.packet
	l := layers.Layer{Name: "Frame", Summary: fmt.Sprintf("%d bytes on the wire", p.Length), To: len(p.Data)}
	add := func(name, value string) {
		if value != "" {
			l.Fields = append(l.Fields, layers.Field{Name: name, Value: value, To: len(p.Data)})
		}
	}
	add("time", clockText(c, p.Time))
	add("bytes", component.Bytes(uint64(p.Length)))
	if row.captured < int(p.Length) {
		add("captured", fmt.Sprintf("%d of %d bytes", row.captured, p.Length))
		l.Summary += fmt.Sprintf(", %d captured", row.captured)
	}
	if len(p.Data) < row.captured {
		add("shown", fmt.Sprintf("the first %d of %d bytes: ctrl-s says how to save all of them", len(p.Data), row.captured))
	}
	if i := p.Iface; i != nil {
		add("pod", i.Pod.String())
		add("interface", i.Name)
		add("node", i.Node)
		if pod := i.Pod.String(); pod != "" {
			l.Summary += ", seen at " + pod
		}
	}
	add("direction", [...]string{"", "received", "sent", ""}[p.Flags&pcap.FlagDirection])
	if p.Flags&pcap.FlagChecksumPartial != 0 {
		add("checksum", "left to the device")
	}
	if p.Drops > 0 {
		add("lost before it", count(int(min(p.Drops, 1<<31)), "packet"))
	}
	if row.marks != 0 {
		add("marks", row.marks.String())
	}
	return l
}
