package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/worker/query"
)

// errLong ends the reading of a flow that is too long.
var errLong = errors.New("the flow is too long")

// piece is bytes of one side, or a gap.
type piece struct {
	dir  flow.Dir
	data []byte
	gap  int64 // bytes that are missing, 0 with no data: it is not known how many
	at   int64
}

// transcript is both sides of a flow in the order of their capture. It implements
// query.StreamSink.
type transcript struct {
	pieces []piece
	size   [2]int64
	gaps   [2]int
	lost   [2]int64
	block  []byte
}

// blockSize is how many bytes of pieces lie together.
const blockSize = 64 << 10

// Data implements query.StreamSink.
func (t *transcript) Data(d flow.Dir, b []byte, at int64) error {
	if t.size[0]+t.size[1]+int64(len(b)) > MaxTranscript {
		return errLong
	}
	if cap(t.block)-len(t.block) < len(b) {
		t.block = make([]byte, 0, max(blockSize, len(b)))
	}
	start := len(t.block)
	t.block = append(t.block, b...)
	t.pieces = append(t.pieces, piece{dir: d, data: t.block[start:len(t.block):len(t.block)], at: at})
	t.size[d] += int64(len(b))
	return nil
}

// Gap implements query.StreamSink.
func (t *transcript) Gap(d flow.Dir, n, at int64) error {
	t.gaps[d]++
	t.lost[d] += n
	t.pieces = append(t.pieces, piece{dir: d, gap: n, at: at})
	return nil
}

// read gets a flow and what was said in it.
func read(ctx context.Context, source query.Source, id flow.ID) (*dissect.Flow, *transcript, *query.Report, error) {
	var found *dissect.Flow
	report, err := source.Flows(ctx, &query.Request{Stream: id, Vantage: query.Both}, func(f *dissect.Flow) error {
		if f.ID == id {
			own := *f
			found = &own
		}
		return nil
	})
	if err != nil {
		return nil, nil, report, err
	}
	if found == nil {
		return nil, nil, report, fmt.Errorf("stream %s: %w", id, query.ErrNoSuchFlow)
	}
	t := &transcript{}
	report, err = source.Stream(ctx, &query.Request{Stream: id, Vantage: query.Both}, t)
	return found, t, report, err
}

// turns cuts a transcript: a turn ends where the server speaks. Of bytes that are missing nothing
// is sent.
func (t *transcript) turns(transport flow.Proto) (turns []Turn, heard int64) {
	begun := int64(0)
	if len(t.pieces) > 0 {
		begun = t.pieces[0].at
	}
	open := false
	for i := range t.pieces {
		p := &t.pieces[i]
		switch {
		case len(p.data) == 0:
		case p.dir == 1:
			open = false
			if heard += int64(len(p.data)); transport == flow.UDP {
				heard -= int64(len(p.data)) - 1
			}
		default:
			if !open {
				turns = append(turns, Turn{Heard: heard})
				open = true
			}
			last := &turns[len(turns)-1]
			last.Chunks = append(last.Chunks, Chunk{p.data, max(0, p.at-begun)})
			last.Size += int64(len(p.data))
		}
	}
	return turns, heard
}
