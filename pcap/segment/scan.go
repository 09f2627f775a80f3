package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// Scanned is what a pass over a segment found.
type Scanned struct {
	*Builder
	// End is where its whole blocks end. It is the size of a segment that is sound.
	End int64
	// Damage is what ended the pass before the end of the file, nil if nothing did.
	Damage *pcapng.CorruptError
}

// Scan reads a segment and makes its index anew. An error means that nothing can be said
// about the file: it could not be read, or it is no segment (ErrForeign) or one of another
// version (*VersionError).
func Scan(file io.Reader, seq uint64) (*Scanned, error) {
	s := &Scanned{Builder: NewBuilder(seq)}
	var r *pcapng.Reader
	var next *Entry // what the last flow block says of the packet that follows
	r, err := pcapng.NewReader(file, pcapng.ReaderOptions{
		OnName: func(n pcap.Name) { s.AddName(r.Offset(), n) },
		OnBlock: func(kind uint32, body []byte) {
			if kind == blockFlow && len(body) == flowBlockBytes-12 {
				next = &Entry{ID: flow.ID(binary.LittleEndian.Uint64(body)), Opener: flow.Opener(body[8] & 7)}
			}
		},
	})
	if errors.Is(err, pcapng.ErrTruncated) || errors.Is(err, pcapng.ErrFormat) && strings.HasSuffix(err.Error(), "empty") {
		s.Damage = &pcapng.CorruptError{Err: pcapng.ErrTruncated}
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	version, ours := strings.CutPrefix(r.Section().Comment, segmentComment)
	if !ours {
		return nil, ErrForeign
	}
	if version != fmt.Sprint(Version) {
		return nil, &VersionError{version, Version}
	}
	table := NewTable()
	var vantages Vantages
	var sources []Source
	var p pcap.Packet
	var h flow.Header
	for {
		switch err := r.Next(&p); {
		case err == nil:
		case err == io.EOF:
			s.End = r.Offset()
			return s, nil
		case errors.As(err, &s.Damage):
			s.End = s.Damage.Offset
			return s, nil
		default:
			return nil, err
		}
		id := r.InterfaceID()
		if int(id) >= len(sources) {
			for _, i := range r.Interfaces()[len(sources):] {
				src := Source{Iface: i}
				src.Vantage, src.VantageName = vantages.Of(i)
				sources = append(sources, src)
				s.AddInterface(i)
			}
		}
		src := &sources[id]
		h.Parse(src.Iface.Link, p.Data)
		e, as := table.Assign(&h, src.Vantage, src.VantageName, p.Time, next)
		next = nil
		s.Add(r.Offset(), id, &p, &h, e, as)
	}
}

// Check reads the beginning of a segment only, and says whether it is one that is read here.
func Check(file io.Reader) error {
	r, err := pcapng.NewReader(file, pcapng.ReaderOptions{Buffer: 4096})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	version, ours := strings.CutPrefix(r.Section().Comment, segmentComment)
	switch {
	case !ours:
		return ErrForeign
	case version != fmt.Sprint(Version):
		return &VersionError{version, Version}
	}
	return nil
}
