package tui_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/tui"
)

// said is a piece of a made-up stream: bytes, or a gap where there are none.
type said struct {
	side flow.Dir
	data string
	gap  int64
	at   int64
}

// heard is what a shop knows of the packets and the bytes of its flows: the same for each.
type heard struct {
	said    []said
	packets []pcap.Packet
	refused error         // of packets and streams
	hostile bool          // who speaks in a flow has a name that a terminal would obey
	hold    chan struct{} // a reading waits for it before its last piece or packet, if not nil
}

var errNoFlow = errors.New("no such flow: its packets are not kept any more")

// known says whether a shop has a flow.
func (s *shop) known(stream string) bool {
	id, err := flow.ParseID(stream)
	return err == nil && id >= 0xa1b2c3d4e0 && id < 0xa1b2c3d4e0+37
}

func (s *shop) begin() (end func()) {
	s.mu.Lock()
	s.open++
	s.mu.Unlock()
	return func() { s.mu.Lock(); s.open--; s.mu.Unlock() }
}

// wait lets a reading hang until the test, or its context, ends that.
func (s *shop) wait(ctx context.Context, last bool) error {
	if s.heard.hold == nil || !last {
		return ctx.Err()
	}
	select {
	case <-s.heard.hold:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *shop) Packets(ctx context.Context, q tui.Query, out tui.PacketSink) (tui.Report, error) {
	defer s.begin()()
	if s.panics == "packets" {
		panic("packets")
	}
	report := s.report
	report.Oldest, report.OldestNode = s.oldest, "node-a"
	switch {
	case s.heard.refused != nil:
		return report, s.heard.refused
	case s.fail != nil:
		return report, s.fail
	case q.Stream != "" && !s.known(q.Stream):
		return report, errNoFlow
	case strings.Contains(q.Filter, "BREW"):
		return report, nil
	}
	list := s.heard.packets
	if q.Last > 0 {
		list = list[max(0, len(list)-q.Last):]
	}
	list = slices.DeleteFunc(slices.Clone(list), func(p pcap.Packet) bool {
		return q.Stream == "" && (p.Time < q.Since || q.Until != 0 && p.Time >= q.Until)
	})
	if err := out.Name(pcap.Name{Addr: redis.Addr.Addr(), Names: []string{"redis-0.shop\x1b[2J"}}); err != nil {
		return report, err
	}
	for i := range list {
		if err := s.wait(ctx, i == len(list)-1); err != nil {
			return report, err
		}
		if err := out.Packet(&list[i]); err != nil {
			return report, err
		}
		report.Matched++
	}
	return report, nil
}

func (s *shop) Stream(ctx context.Context, stream string, out tui.StreamSink) (tui.Report, error) {
	defer s.begin()()
	if s.panics == "stream" {
		panic("stream")
	}
	switch {
	case s.heard.refused != nil:
		return s.report, s.heard.refused
	case s.fail != nil:
		return s.report, s.fail
	case !s.known(stream):
		return s.report, errNoFlow
	}
	for i, x := range s.heard.said {
		if err := s.wait(ctx, i == len(s.heard.said)-1); err != nil {
			return s.report, err
		}
		at := x.at
		if at == 0 {
			at = s.start.Add(-time.Minute + time.Duration(i)*time.Millisecond).UnixNano()
		}
		var err error
		if x.data == "" {
			err = out.Gap(x.side, x.gap, at)
		} else {
			err = out.Data(x.side, []byte(x.data), at)
		}
		if err != nil {
			return s.report, err
		}
	}
	return s.report, nil
}
