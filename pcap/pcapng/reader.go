package pcapng

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sshark/sshark/pcap"
)

// ReaderOptions are all optional.
type ReaderOptions struct {
	// OnName is called from Next for each record of a Name Resolution Block, before the
	// packets that follow it. The Name may be kept.
	OnName func(pcap.Name)
	// OnStats is called from Next for each Interface Statistics Block: packets that the
	// interface received and that were dropped, since the capture began.
	OnStats func(iface *pcap.Interface, received, dropped uint64)
	// OnSecrets is called from Next for each Decryption Secrets Block; data is borrowed until it
	// returns.
	OnSecrets func(kind uint32, data []byte)
	// OnBlock is called from Next for each block of a type that is not known here; the body
	// is borrowed until it returns, in the section's byte order.
	OnBlock func(kind uint32, body []byte)
	// Buffer is the size of the read buffer in bytes; 0: 1 MiB.
	Buffer int
}

// Counts says what a Reader met.
type Counts struct {
	Packets  uint64
	Sections uint64
	Names    uint64 // records of Name Resolution Blocks
	Stats    uint64 // Interface Statistics Blocks
	Secrets  uint64 // Decryption Secrets Blocks
	Skipped  uint64 // blocks of other types, skipped
}

// Reader reads one capture.
type Reader struct {
	opt      ReaderOptions
	src      io.Reader
	srcErr   error // what the source said last
	inflated bool  // src takes compression off
	err      error // final
	buf      []byte
	pos, end int
	base     int64 // offset of buf[0] in the uncompressed input
	at       int64 // offset of the block being read

	big      bool // byte order of the file, or of the section
	classic  bool
	record   int   // classic: bytes of a record header
	fraction int64 // classic: nanoseconds of one unit of the second time field
	ifaces   []source
	id       uint32
	last     int64 // time of the packet before
	section  Section
	held     int // bytes of text of ifaces
	vantages map[string]uint32
	keys     int // bytes of the keys of vantages
	counts   Counts
}

// source is an interface with what turns its timestamps into nanoseconds.
type source struct {
	iface  *pcap.Interface
	mul    uint64 // time = ts * mul / div, or ts * mul >> shift
	div    uint64
	shift  uint8
	offset int64 // ns to add
}

// NewReader finds out what r holds, and reads as far as the first header.
func NewReader(r io.Reader, o ReaderOptions) (*Reader, error) {
	if o.Buffer <= 0 {
		o.Buffer = 1 << 20
	}
	o.Buffer = max(o.Buffer, 256)
	rd := &Reader{opt: o, src: r, buf: make([]byte, o.Buffer), vantages: map[string]uint32{}}
	if err := rd.open(true); err != nil {
		return nil, err
	}
	return rd, nil
}

// Is says whether a file that begins so may be a capture, plain or compressed.
func Is(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	magic := binary.LittleEndian.Uint32(head)
	for _, m := range [...]uint32{magic, bits.ReverseBytes32(magic)} {
		switch m {
		case magicMicros, magicNanos, magicModified:
			return true
		}
	}
	return magic == blockSection || magic == magicZstd || magic&0xffffff == magicGzip
}

// Bytes that capture files and the compressions of them begin with.
const (
	magicMicros   = 0xa1b2c3d4
	magicNanos    = 0xa1b23c4d
	magicModified = 0xa1b2cd34 // with 8 more bytes in each record (Kuznetzov's libpcap patch)
	magicGzip     = 0x00088b1f // with the fourth byte masked
	magicZstd     = 0xfd2fb528
)

// open sniffs the input, through one layer of compression.
func (r *Reader) open(compressed bool) error {
	if err := r.fill(4); err == io.EOF {
		return fmt.Errorf("%w: it is empty", ErrFormat)
	} else if err != nil && (r.inflated || !errors.Is(err, ErrTruncated)) {
		return err
	}
	head := make([]byte, 4)
	copy(head, r.buf[r.pos:r.end])
	magic := binary.LittleEndian.Uint32(head)
	switch {
	case magic == blockSection:
		return r.openSection()
	case compressed && magic&0xffffff == magicGzip:
		z, err := gzip.NewReader(r.rest())
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		return r.inflate(z)
	case compressed && magic == magicZstd:
		// One decoder without goroutines of its own, so that there is nothing to close.
		z, err := zstd.NewReader(r.rest(), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(MaxWindow))
		if err != nil {
			return fmt.Errorf("zstd: %w", err)
		}
		return r.inflate(z)
	}
	r.record = 16
	for _, m := range [...]uint32{magic, bits.ReverseBytes32(magic)} {
		switch m {
		case magicModified:
			r.record, r.fraction = 24, 1000
		case magicMicros:
			r.fraction = 1000
		case magicNanos:
			r.fraction = 1
		default:
			r.big = true
			continue
		}
		return r.openClassic()
	}
	return fmt.Errorf("%w: it begins with % x", ErrFormat, head)
}

// rest is all of the input from pos on, the read part first.
func (r *Reader) rest() io.Reader {
	read := bytes.Clone(r.buf[r.pos:r.end])
	return bufio.NewReaderSize(io.MultiReader(bytes.NewReader(read), r.src), 256<<10)
}

func (r *Reader) inflate(src io.Reader) error {
	r.src, r.srcErr, r.pos, r.end, r.inflated = src, nil, 0, 0, true
	return r.open(false)
}

// fill makes n bytes available at pos. It returns io.EOF if there are none at all, a
// *CorruptError of ErrTruncated if there are some. It reads no more often than it must, so
// a growing input is followed without delay.
func (r *Reader) fill(n int) error {
	if r.pos > 0 {
		copy(r.buf, r.buf[r.pos:r.end])
		r.base += int64(r.pos)
		r.end -= r.pos
		r.pos = 0
	}
	for empty := 0; r.end < n; {
		if r.end == len(r.buf) {
			// The buffer grows with what is really there, not with what a header claims.
			r.buf = append(r.buf, make([]byte, len(r.buf))...)
		}
		if r.srcErr != nil {
			switch {
			case r.damaged():
				return &CorruptError{r.base, inflateError(r.srcErr)}
			case r.srcErr != io.EOF && r.srcErr != io.ErrUnexpectedEOF:
				return fmt.Errorf("read at byte %d: %w", r.base+int64(r.end), r.srcErr)
			case r.end == 0 && r.srcErr == io.EOF:
				return io.EOF
			}
			return &CorruptError{r.base, ErrTruncated}
		}
		var got int
		got, r.srcErr = r.src.Read(r.buf[r.end:])
		r.end += got
		if got > 0 || r.srcErr != nil {
			empty = 0
		} else if empty++; empty == 100 {
			r.srcErr = io.ErrNoProgress
		}
	}
	return nil
}

// damaged says whether the source's error is about the compressed bytes, not the reading of
// them.
func (r *Reader) damaged() bool {
	var reading *fs.PathError
	return r.inflated && r.srcErr != io.EOF && r.srcErr != io.ErrUnexpectedEOF && !errors.As(r.srcErr, &reading)
}

// inflateError says what to do about a window that is too large.
func inflateError(err error) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return fmt.Errorf("zstd wants to remember more than %d MiB; decompress it first: zstd -d --long=31", MaxWindow>>20)
	}
	return err
}

func (r *Reader) corrupt(format string, args ...any) error {
	return &CorruptError{r.at, fmt.Errorf(format, args...)}
}

// Next fills p with the next packet. It returns io.EOF at the end.
func (r *Reader) Next(p *pcap.Packet) error {
	if r.err != nil {
		return r.err
	}
	var err error
	if r.classic {
		err = r.nextRecord(p)
	} else {
		err = r.nextPacket(p)
	}
	if err != nil {
		r.err = err
		return err
	}
	r.counts.Packets++
	r.last = p.Time
	return nil
}

// Offset is where the block or record of the last packet begins, in bytes of the uncompressed
// input. After an error it is where the block begins that could not be read.
func (r *Reader) Offset() int64 { return r.at }

// InterfaceID is the number in its section of the interface of the last packet.
func (r *Reader) InterfaceID() uint32 { return r.id }

// Section is the header of the current section; zero for classic pcap.
func (r *Reader) Section() Section { return r.section }

// Counts says what was met so far.
func (r *Reader) Counts() Counts { return r.counts }

// Interfaces are those of the current section so far.
func (r *Reader) Interfaces() []*pcap.Interface {
	list := make([]*pcap.Interface, len(r.ifaces))
	for i := range r.ifaces {
		list[i] = r.ifaces[i].iface
	}
	return list
}

func (r *Reader) u16(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if r.big {
		v = bits.ReverseBytes16(v)
	}
	return v
}

func (r *Reader) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if r.big {
		v = bits.ReverseBytes32(v)
	}
	return v
}

func (r *Reader) u64(b []byte) uint64 {
	v := binary.LittleEndian.Uint64(b)
	if r.big {
		v = bits.ReverseBytes64(v)
	}
	return v
}

// linkType maps the numbers that some systems write for raw IP to the registered one.
func linkType(n uint32) pcap.LinkType {
	l := pcap.LinkType(n)
	if l == 12 || l == 14 {
		return pcap.LinkRaw
	}
	return l
}

func (r *Reader) openClassic() error {
	if err := r.fill(24); err != nil {
		return err
	}
	h := r.buf[r.pos:]
	// The upper half of the link type says how long the frame check sequence is.
	r.ifaces = []source{{iface: &pcap.Interface{Link: linkType(r.u32(h[20:]) & 0xffff), SnapLen: r.u32(h[16:])}}}
	r.classic = true
	r.pos += 24
	return nil
}

func (r *Reader) nextRecord(p *pcap.Packet) error {
	r.at = r.base + int64(r.pos)
	if r.end-r.pos < r.record {
		if err := r.fill(r.record); err != nil {
			return err
		}
	}
	h := r.buf[r.pos:r.end]
	n := int(r.u32(h[8:]))
	if n > MaxBlock {
		return r.corrupt("a packet of %d bytes: more than %d", n, MaxBlock)
	}
	if len(h) < r.record+n {
		if err := r.fill(r.record + n); err != nil {
			return err
		}
		h = r.buf[r.pos:r.end]
	}
	p.Time = int64(r.u32(h))*1e9 + int64(r.u32(h[4:]))*r.fraction
	p.Length = max(r.u32(h[12:]), uint32(n))
	p.Data = h[r.record : r.record+n : r.record+n]
	p.Flags, p.Drops = 0, 0
	p.Iface = r.ifaces[0].iface
	r.pos += r.record + n
	return nil
}
