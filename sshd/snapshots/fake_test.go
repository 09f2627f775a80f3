package snapshots

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/dissect/protocols"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/worker/query"
)

var now = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// cluster is a source of nodes that tell UDP packets, one a millisecond until now.
type cluster struct {
	query.Source
	packets map[string]int    // of each node
	missing map[string]string // why a node does not say how it is
	broken  map[string]string // why a node stops after half of its packets
	err     error             // of every question about packets
	gone    int
	payload int
	hold    chan struct{} // packets wait for it, if it is not nil

	mu    sync.Mutex
	asked []query.Request
}

func (c *cluster) Nodes(context.Context) ([]query.Node, *query.Report, error) {
	r := &query.Report{}
	var out []query.Node
	for _, name := range c.names() {
		out = append(out, query.Node{Name: name})
		r.Nodes = append(r.Nodes, query.NodeReport{Node: name, Missing: c.missing[name]})
	}
	return out, r, nil
}

func (c *cluster) names() (out []string) {
	for name := range c.packets {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (c *cluster) Packets(ctx context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	c.mu.Lock()
	c.asked = append(c.asked, *r)
	c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	n := c.packets[r.Node]
	report := query.NodeReport{Node: r.Node, Oldest: now.Add(-time.Hour).UnixNano(), Gone: c.gone, Dropped: 3, Notes: []string{"a note"}}
	if report.Missing = c.broken[r.Node]; report.Missing != "" {
		n /= 2
	}
	iface := &pcap.Interface{Name: "eth0", Link: pcap.LinkRaw, Node: r.Node, Pod: pcap.Pod{Namespace: "shop", Name: "on-" + r.Node}}
	b := make([]byte, max(c.payload, 32))
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], []byte{10, 0, 0, 1})
	copy(b[16:], []byte{10, 0, 0, 2})
	binary.BigEndian.PutUint16(b[20:], 40000)
	binary.BigEndian.PutUint16(b[22:], 9)
	binary.BigEndian.PutUint16(b[24:], uint16(len(b)-20))
	for i := range n {
		if i == 1 && c.hold != nil {
			select {
			case <-c.hold:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if i == 0 {
			if err := out.Name(pcap.Name{Addr: netip.MustParseAddr("10.0.0.2"), Names: []string{"shop/cart", "ns=shop", "svc=cart"}}); err != nil {
				return nil, err
			}
		}
		at := now.Add(time.Duration(i-n) * time.Millisecond).UnixNano()
		if err := out.Packet(&pcap.Packet{Time: at, Data: b, Length: uint32(len(b)), Iface: iface}); err != nil {
			return nil, err
		}
	}
	return &query.Report{Nodes: []query.NodeReport{report}}, nil
}

// library opens one in a folder; change may be nil.
func library(t *testing.T, dir string, change func(*Options)) *Library {
	t.Helper()
	parsers := protocols.All()
	lang, err := filter.New(parsers)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: dir, Settle: -1, Program: "sshark test", Protocols: parsers, Language: lang, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}
	if change != nil {
		change(&o)
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return l
}

// create makes a snapshot of the last hour.
func create(t *testing.T, l *Library, name string, c *cluster) (*Info, error) {
	t.Helper()
	return l.Create(t.Context(), CreateOptions{Name: name, By: "ada", Holds: auth.Scope{All: true}, Source: c,
		Since: now.Add(-time.Hour).UnixNano(), Until: now.UnixNano(), Filter: "dns"})
}

// within are the names in a folder, and how many bytes its files have.
func within(t *testing.T, dir string) (names []string, bytes int64) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Name() == ".lock" {
			continue
		}
		names = append(names, e.Name())
		if i, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), Ext) {
			bytes += i.Size()
		}
	}
	return names, bytes
}

// settled makes sure that the library counts what is there, and that nothing else is.
func settled(t *testing.T, l *Library, names ...string) {
	t.Helper()
	var want []string
	for _, n := range names {
		want = append(want, n+recordExt, n+Ext)
	}
	got, bytes := within(t, l.o.Dir)
	if !slices.Equal(got, want) {
		t.Errorf("in the folder: %q, want %q", got, want)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.used != bytes {
		t.Errorf("%d bytes are counted, there are %d", l.used, bytes)
	}
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

func packetsOf(t *testing.T, source query.Source) (n int, err error) {
	t.Helper()
	r, err := source.Packets(t.Context(), &query.Request{}, &counting{&n})
	if err == nil && r.Partial() {
		err = fmt.Errorf("partial: %+v", r.Nodes)
	}
	return n, err
}

type counting struct{ n *int }

func (c *counting) Packet(*pcap.Packet) error { *c.n++; return nil }
func (c *counting) Name(pcap.Name) error      { return nil }
func (c *counting) Flush() error              { return nil }
