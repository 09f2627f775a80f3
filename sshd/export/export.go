// Package export writes what a query finds as a capture file: what `pcap` prints and what the
// file tree holds are the same in content.
//
// A pcapng file names the pod of each interface and, as they come, the owners of addresses; it
// keeps the directions and checksum flags of packets and the secrets of a file; and it ends
// with each interface's counters, those of what was lost among them. A classic file has no
// place for any of that.
//
// A Writer is used by one goroutine. It copies what it is given. Its first error is final.
package export

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/worker/query"
)

// Options say what of a packet is written, and how. The zero value is all of it, as pcapng.
type Options struct {
	Classic      bool   // pcap instead of pcapng
	Application  string // in the section header; "": sshark
	Node         string // in the section header: all packets are this node's
	Comment      string // in the section header
	Count        int    // stop after so many packets, 0: never
	Snap         int    // bytes kept of a packet, 0: all
	HeadersOnly  bool   // keep what comes before the payload of the transport
	FixChecksums bool   // complete those that were left to a device
}

// Writer is a query.PacketSink.
type Writer struct {
	o       Options
	ng      *pcapng.Writer // nil: classic
	classic *pcapng.ClassicWriter
	n       int

	ifaces     map[*pcap.Interface]*pcap.Interface // by what they were
	read, told *pcap.Interface                     // the last one, as it came and as it is written
	scratch    []byte
	tallies    []tally // by the interface's number in the file
	last       int64
}

var _ query.SecretSink = (*Writer)(nil)

// tally is what was written of an interface.
type tally struct {
	iface                   *pcap.Interface
	packets, bytes, dropped uint64
}

// New writes a pcapng file's header; Flush hands it on.
func New(w io.Writer, o Options) (*Writer, error) {
	out := &Writer{o: o, ifaces: map[*pcap.Interface]*pcap.Interface{}}
	if o.Classic {
		out.classic = pcapng.NewClassicWriter(w)
		return out, nil
	}
	var err error
	out.ng, err = pcapng.NewWriter(w, pcapng.WriterOptions{Application: o.Application, Node: o.Node, Comment: o.Comment})
	return out, err
}

// Count is how many packets were written.
func (w *Writer) Count() int { return w.n }

// Packet implements query.PacketSink. It returns query.ErrStop after the last packet.
func (w *Writer) Packet(p *pcap.Packet) error {
	own := *p
	if p.Iface != w.read {
		w.read, w.told = p.Iface, w.iface(p.Iface)
	}
	own.Iface = w.told
	if w.o.Snap > 0 || w.o.HeadersOnly || w.o.FixChecksums {
		w.change(&own)
	}
	if err := w.write(&own); err != nil {
		return err
	}
	if w.n++; w.n == w.o.Count {
		return query.ErrStop
	}
	return nil
}

// change does to a packet what the options say.
func (w *Writer) change(p *pcap.Packet) {
	partial := p.Flags&pcap.FlagChecksumPartial != 0
	if w.o.FixChecksums {
		w.scratch = append(w.scratch[:0], p.Data...)
		p.Data = w.scratch
		if flow.FixChecksums(p.Iface.Link, p.Data, partial) {
			p.Flags &^= pcap.FlagChecksumPartial
		}
	}
	if w.o.HeadersOnly {
		p.Data = p.Data[:flow.HeaderLength(p.Iface.Link, p.Data)]
	}
	if n := w.o.Snap; n > 0 {
		p.Data = p.Data[:min(n, len(p.Data))]
	}
}

// maxIfaces is how many interfaces are remembered; of equal ones the file has one.
const maxIfaces = 4096

// iface is an interface as it is written: it says how much of its packets is kept, and on
// which node it is, also where comments are looked at.
func (w *Writer) iface(i *pcap.Interface) *pcap.Interface {
	out := w.ifaces[i]
	if out == nil {
		own := *i
		if n := uint32(w.o.Snap); n > 0 && (own.SnapLen == 0 || n < own.SnapLen) {
			own.SnapLen = n
		}
		if own.Node != "" && own.Comment == "" {
			own.Comment = "node=" + own.Node
		}
		if out = &own; len(w.ifaces) == maxIfaces {
			clear(w.ifaces)
		}
		w.ifaces[i] = out
	}
	return out
}

func (w *Writer) write(p *pcap.Packet) error {
	w.last = max(w.last, p.Time)
	if w.classic != nil {
		return w.classic.Write(p)
	}
	if err := w.ng.Write(p); err != nil {
		return err
	}
	id, err := w.ng.Interface(p.Iface)
	if err != nil {
		return err
	}
	for int(id) >= len(w.tallies) {
		w.tallies = append(w.tallies, tally{iface: p.Iface})
	}
	t := &w.tallies[id]
	t.packets++
	t.bytes += uint64(len(p.Data))
	t.dropped += p.Drops
	return nil
}

// Name implements query.PacketSink.
func (w *Writer) Name(n pcap.Name) error {
	if w.ng == nil {
		return nil
	}
	return w.ng.Name(n)
}

// Secrets implements query.SecretSink. Where no payload is written there is nothing to decrypt.
func (w *Writer) Secrets(kind uint32, data []byte) error {
	if w.ng == nil || w.o.HeadersOnly {
		return nil
	}
	return w.ng.Secrets(kind, data)
}

// Flush implements query.PacketSink.
func (w *Writer) Flush() error {
	if w.ng == nil {
		return w.classic.Flush()
	}
	return w.ng.Flush()
}

// End writes the counters of the interfaces, and what of the report concerns the packets, and
// flushes. report may be nil.
func (w *Writer) End(report *query.Report) error {
	if w.ng != nil {
		if w.n == 0 { // programs want to know the link type, also of nothing
			if _, err := w.ng.Interface(&pcap.Interface{Name: "none", Link: pcap.LinkEthernet}); err != nil {
				return fmt.Errorf("end the capture: %w", err)
			}
		}
		if err := w.statistics(report); err != nil {
			return fmt.Errorf("end the capture: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("end the capture: %w", err)
	}
	return nil
}

// statistics writes a block for each interface. What a node lost beyond what its packets tell,
// or that it did not answer, is a comment at its first interface.
func (w *Writer) statistics(report *query.Report) error {
	lost := map[string]uint64{} // by node, what its interfaces tell
	for i := range w.tallies {
		lost[w.tallies[i].iface.Node] += w.tallies[i].dropped
	}
	comments := map[string]string{}
	if report != nil {
		for i := range report.Nodes {
			n := &report.Nodes[i]
			text := ""
			if n.Dropped > lost[n.Node] {
				text = "lost on this node in the window: " + strconv.FormatUint(n.Dropped, 10) + " packets"
			}
			if n.Missing != "" {
				if text != "" {
					text += "; "
				}
				text += n.Absence()
			}
			comments[n.Node] = text
		}
	}
	for i := range w.tallies {
		t := &w.tallies[i]
		node := t.iface.Node
		s := pcap.Stats{Seen: t.packets + t.dropped, Stored: t.packets, Dropped: t.dropped, Bytes: t.bytes}
		if err := w.ng.CommentedStats(t.iface, time.Unix(0, w.last), s, comments[node]); err != nil {
			return err
		}
		delete(comments, node)
	}
	return nil
}
