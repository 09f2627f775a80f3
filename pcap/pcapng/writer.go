package pcapng

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sshark/sshark/pcap"
)

// WriterOptions is what the section header says. An empty Application is "sshark".
type WriterOptions = Section

// Writer writes one pcapng section. It buffers: call Flush at the end, and whenever a reader
// waits. An error of the io.Writer is final and returned by every call that follows.
type Writer struct {
	w      io.Writer
	buf    []byte
	err    error
	last   *pcap.Interface
	lastID uint32
	byPtr  map[*pcap.Interface]uint32
	byText map[string]uint32 // by the interface block's bytes: equal interfaces are one
	early  []byte            // names and secrets that came before any interface
}

const (
	writeBuffer = 256 << 10
	maxPointers = 4096 // interfaces remembered by pointer
	maxEarly    = 1 << 20
)

// NewWriter writes the section header into its buffer.
func NewWriter(w io.Writer, o WriterOptions) (*Writer, error) {
	if o.Application == "" {
		o.Application = "sshark"
	}
	wr := &Writer{w: w, buf: make([]byte, 0, writeBuffer), byPtr: map[*pcap.Interface]uint32{}, byText: map[string]uint32{}}
	wr.buf = AppendSection(wr.buf, o)
	return wr, wr.err
}

// Interface is the number of i in the file; the interface's block is written when it is met
// first.
func (w *Writer) Interface(i *pcap.Interface) (uint32, error) {
	if i == w.last && i != nil {
		return w.lastID, w.err
	}
	if i == nil {
		return 0, errors.New("write packet: it names no interface")
	}
	id, ok := w.byPtr[i]
	if !ok {
		block := AppendInterface(nil, i)
		if id, ok = w.byText[string(block)]; !ok {
			id = uint32(len(w.byText))
			w.byText[string(block)] = id
			w.buf = append(w.buf, block...)
			if len(w.early) > 0 {
				if err := w.room(len(w.early)); err != nil {
					return id, err
				}
				w.buf, w.early = append(w.buf, w.early...), nil
			}
		}
		if len(w.byPtr) >= maxPointers {
			clear(w.byPtr)
		}
		w.byPtr[i] = id
	}
	w.last, w.lastID = i, id
	return id, w.err
}

// Write writes a packet; its data is copied.
func (w *Writer) Write(p *pcap.Packet) error {
	id, err := w.Interface(p.Iface)
	if err != nil {
		return err
	}
	if err := w.room(PacketSize(p)); err != nil {
		return err
	}
	w.buf = AppendPacket(w.buf, id, p)
	return nil
}

// Name writes what an address is called from here on.
func (w *Writer) Name(n pcap.Name) error {
	if w.waits(0) {
		w.early = AppendNames(w.early, n)
		return w.err
	}
	w.buf = AppendNames(w.buf, n)
	return w.room(0)
}

// waits says that a block of n bytes is to wait for the first interface: Wireshark's editcap and
// mergecap take no file in which another block stands before that.
func (w *Writer) waits(n int) bool { return len(w.byText) == 0 && len(w.early)+n < maxEarly }

// Secrets writes what TLS and others are decrypted with, from here on.
func (w *Writer) Secrets(kind uint32, data []byte) error {
	if w.waits(20 + len(data)) {
		w.early = AppendSecrets(w.early, kind, data)
		return w.err
	}
	if err := w.room(20 + len(data)); err != nil {
		return err
	}
	w.buf = AppendSecrets(w.buf, kind, data)
	return w.room(0)
}

// Stats writes the counters of an interface up to now.
func (w *Writer) Stats(i *pcap.Interface, now time.Time, s pcap.Stats) error {
	return w.CommentedStats(i, now, s, "")
}

// CommentedStats is Stats with a comment, for what the counters do not say.
func (w *Writer) CommentedStats(i *pcap.Interface, now time.Time, s pcap.Stats, comment string) error {
	id, err := w.Interface(i)
	if err != nil {
		return err
	}
	w.buf = appendStatistics(w.buf, id, now.UnixNano(), s, comment)
	return w.room(0)
}

// room flushes when n more bytes do not fit.
func (w *Writer) room(n int) error {
	if w.err == nil && len(w.buf)+n > writeBuffer && len(w.buf) > 0 {
		return w.Flush()
	}
	return w.err
}

// Flush hands all that was written to the io.Writer.
func (w *Writer) Flush() error {
	if w.err == nil && len(w.buf) > 0 {
		if _, err := w.w.Write(w.buf); err != nil {
			w.err = fmt.Errorf("write pcapng: %w", err)
		}
		w.buf = w.buf[:0]
	}
	return w.err
}

// LinkMixError: classic pcap has one link type for the whole file.
type LinkMixError struct {
	First, Other pcap.LinkType
	Iface        string // the interface of the other one
}

func (e *LinkMixError) Error() string {
	other := "another interface"
	if e.Iface != "" {
		other = "interface " + e.Iface
	}
	return fmt.Sprintf("classic pcap holds one link type: the file has %d, %s has %d; write pcapng, or choose interfaces of one kind",
		e.First, other, e.Other)
}

// ClassicWriter writes classic pcap with nanosecond times, for old tools. Interfaces, names,
// flags and drops have no place in it.
type ClassicWriter struct {
	w     io.Writer
	buf   []byte
	err   error
	link  pcap.LinkType
	begun bool
}

// NewClassicWriter writes nothing yet: the header needs the first packet's link type.
func NewClassicWriter(w io.Writer) *ClassicWriter {
	return &ClassicWriter{w: w, buf: make([]byte, 0, writeBuffer)}
}

// begin writes the file header (draft-ietf-opsawg-pcap, 4).
func (w *ClassicWriter) begin(link pcap.LinkType) {
	le := binary.LittleEndian
	w.begun, w.link = true, link
	w.buf = le.AppendUint32(w.buf, magicNanos)
	w.buf = append(w.buf, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	w.buf = le.AppendUint32(w.buf, 256<<10)
	w.buf = le.AppendUint32(w.buf, uint32(link))
}

// Write writes a packet. A packet of another link type than the first is refused with a
// *LinkMixError; the file stays sound.
func (w *ClassicWriter) Write(p *pcap.Packet) error {
	if p.Iface == nil {
		return errors.New("write packet: it names no interface")
	}
	if !w.begun {
		w.begin(p.Iface.Link)
	}
	if p.Iface.Link != w.link {
		return &LinkMixError{w.link, p.Iface.Link, interfaceName(p.Iface)}
	}
	if len(w.buf)+16+len(p.Data) > writeBuffer {
		if err := w.send(); err != nil {
			return err
		}
	}
	le := binary.LittleEndian
	t := max(p.Time, 0)
	w.buf = le.AppendUint32(w.buf, uint32(t/1e9))
	w.buf = le.AppendUint32(w.buf, uint32(t%1e9))
	w.buf = le.AppendUint32(w.buf, uint32(len(p.Data)))
	w.buf = le.AppendUint32(w.buf, p.Length)
	w.buf = append(w.buf, p.Data...)
	return w.err
}

// Flush hands all that was written to the io.Writer. A file without packets gets its header
// here, as Ethernet.
func (w *ClassicWriter) Flush() error {
	if !w.begun {
		w.begin(pcap.LinkEthernet)
	}
	return w.send()
}

func (w *ClassicWriter) send() error {
	if w.err == nil && len(w.buf) > 0 {
		if _, err := w.w.Write(w.buf); err != nil {
			w.err = fmt.Errorf("write pcap: %w", err)
		}
		w.buf = w.buf[:0]
	}
	return w.err
}
