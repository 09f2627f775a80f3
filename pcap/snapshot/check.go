package snapshot

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
)

// Extract reads all of a snapshot and hands each node's file to the writer that create makes for
// it; with a nil create it only checks. Files are what the manifest says of them, packet for
// packet, or the snapshot is refused. What was written before that is the caller's to remove.
func Extract(r *Reader, names func(Named) error, create func(*Node) (io.WriteCloser, error)) error {
	if err := r.Names(names); err != nil {
		return err
	}
	for {
		n, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := extract(r, n, create); err != nil {
			return err
		}
	}
}

func extract(r *Reader, n *Node, create func(*Node) (io.WriteCloser, error)) (err error) {
	var in io.Reader = r
	if create != nil {
		w, err := create(n)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, w.Close()) }()
		in = io.TeeReader(r, w)
	}
	seen, err := count(in)
	if r.err != nil { // the archive is what is wrong
		return r.err
	}
	var corrupt *pcapng.CorruptError
	switch {
	case errors.Is(err, pcapng.ErrFormat), errors.As(err, &corrupt):
		return fmt.Errorf("%w: %s: %w", ErrFormat, n.File, err)
	case err != nil:
		return err
	case seen.Packets != n.Packets || seen.Bytes != n.Bytes:
		return fmt.Errorf("%w: it says %d packets of %d bytes in %s, there are %d of %d", ErrManifest, n.Packets, n.Bytes, n.File, seen.Packets, seen.Bytes)
	case !seen.Oldest.Equal(n.Oldest) || !seen.Newest.Equal(n.Newest):
		return fmt.Errorf("%w: it says other times than the packets in %s have", ErrManifest, n.File)
	}
	return nil
}

// count reads a capture to its end. It must be plain pcapng: what is compressed within could hold
// any number of bytes.
func count(in io.Reader) (*Node, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(in, head); err != nil || string(head) != "\x0a\x0d\x0d\x0a" {
		return nil, fmt.Errorf("%w: want plain pcapng", pcapng.ErrFormat)
	}
	rd, err := pcapng.NewReader(io.MultiReader(&once{head}, in), pcapng.ReaderOptions{Buffer: 256 << 10})
	if err != nil {
		return nil, err
	}
	var seen Node
	var p pcap.Packet
	for {
		switch err := rd.Next(&p); {
		case errors.Is(err, io.EOF):
			return &seen, nil
		case err != nil:
			return nil, err
		}
		seen.Add(&p)
	}
}

// once is a few bytes that were read already.
type once struct{ b []byte }

func (o *once) Read(b []byte) (int, error) {
	if len(o.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, o.b)
	o.b = o.b[n:]
	return n, nil
}

// Add counts a packet of the node's file.
func (n *Node) Add(p *pcap.Packet) {
	at := time.Unix(0, p.Time).UTC()
	n.Packets++
	n.Bytes += uint64(len(p.Data))
	if n.Oldest.IsZero() || at.Before(n.Oldest) {
		n.Oldest = at
	}
	if at.After(n.Newest) {
		n.Newest = at
	}
}
