package files

import (
	"context"
	"io"
	"slices"

	"github.com/sshark/sshark/pcap/flow"
	writer "github.com/sshark/sshark/sshd/export"
	"github.com/sshark/sshark/worker/query"
)

func (t *Tree) producePackets(ctx context.Context, e *export, w io.Writer) (*query.Report, error) {
	out, err := writer.New(w, writer.Options{})
	if err != nil {
		return nil, err
	}
	r := e.request
	report, err := t.Source.Packets(ctx, &r, out)
	if ferr := out.End(report); err == nil {
		err = ferr
	}
	return report, err
}

func (t *Tree) produceStream(ctx context.Context, e *export, w io.Writer) (*query.Report, error) {
	s := &oneSide{w: w}
	if e.side == "server" {
		s.side = 1
	}
	report, err := t.Source.Stream(ctx, &e.request, s)
	if s.gaps > 0 {
		t.say("%s.%s.bin: bytes are missing (gaps: %d), %d as far as is known; the first gap is at byte %d of the file", e.request.Stream, e.side, s.gaps, s.lost, s.first)
	}
	return report, err
}

// oneSide writes the bytes of one direction. A file of bytes cannot mark a gap: the user is
// told where the first one is.
type oneSide struct {
	w           io.Writer
	side        flow.Dir
	n           int64
	gaps        int
	lost, first int64
}

func (s *oneSide) Data(d flow.Dir, b []byte, _ int64) error {
	if d != s.side {
		return nil
	}
	n, err := s.w.Write(b)
	s.n += int64(n)
	return err
}

func (s *oneSide) Gap(d flow.Dir, n, _ int64) error {
	if d != s.side {
		return nil
	}
	if s.gaps == 0 {
		s.first = s.n
	}
	s.gaps++
	s.lost += n
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		if k != "" {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}
