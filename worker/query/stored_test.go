package query

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/pcap/store"
	"github.com/sshark/sshark/servicemap/identity"
)

// kept puts the packets of a file into a store, in small segments, and returns both.
func kept(t *testing.T, path string) (*File, *Stored, *store.Store) {
	t.Helper()
	file := openFile(t, path)
	s, err := store.Open(store.Options{Dir: t.TempDir(), Node: "node-a", SegmentBytes: 64 << 10, Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r, err := pcapng.NewReader(in, pcapng.ReaderOptions{OnName: s.SetName})
	if err != nil {
		t.Fatal(err)
	}
	for {
		var p pcap.Packet
		if err := r.Next(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if err := s.Append([]pcap.Packet{p}); err != nil {
			t.Fatal(err)
		}
	}
	return file, NewStored(StoredOptions{Node: "node-a", Store: s, Names: identity.New(), State: func() Node { return Node{Name: "node-a"} },
		Protocols: file.protocols, Language: file.language}), s
}

// A peer's name comes late, when a segment of the connection is complete that does not have it:
// what is said from then on is found by the name.
func TestNamedLate(t *testing.T) {
	file := openFile(t, capture(t, 3000))
	s, err := store.Open(store.Options{Dir: t.TempDir(), Node: "node-a", SegmentBytes: 64 << 10, Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	name := pcap.Name{Addr: addrs[1], Names: identity.Encode(identity.Owner{Identity: &dissect.Identity{Namespace: "shop", Pod: "catalog"}})}
	named := int64(0)
	if _, err := file.Packets(t.Context(), &Request{}, sinkFunc(func(p *pcap.Packet) error {
		if p.Iface.Pod.Name != "gateway" { // the peer is on another node
			return nil
		}
		if named == 0 && s.Stats().Segments == 3 {
			s.SetName(name)
			named = p.Time
		}
		return s.Append([]pcap.Packet{*p})
	})); err != nil {
		t.Fatal(err)
	}
	stored := NewStored(StoredOptions{Node: "node-a", Store: s, Names: identity.New(), State: func() Node { return Node{Name: "node-a"} },
		Protocols: file.protocols, Language: file.language})
	want := 0
	for _, line := range jsonLines(t, stored, Request{Since: named}) {
		if strings.Contains(line, `"protocol":"http"`) {
			want++
		}
	}
	if got := jsonLines(t, stored, Request{Filter: `dst.pod.name == "catalog"`}); want < 1000 || len(got) < want {
		t.Errorf("%d calls with the name, %d were made when it was known", len(got), want)
	}
}

// sinkFunc takes packets and nothing else.
type sinkFunc func(*pcap.Packet) error

func (f sinkFunc) Packet(p *pcap.Packet) error { return f(p) }
func (sinkFunc) Name(pcap.Name) error          { return nil }
func (sinkFunc) Flush() error                  { return nil }

func jsonLines(t *testing.T, s Source, r Request) []string {
	t.Helper()
	var lines []string
	_, err := s.Calls(context.Background(), &r, func(c *dissect.Call) error {
		lines = append(lines, string(dissect.AppendCall(nil, c)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// A store answers as the file that its packets are from: the same calls with the same IDs.
func TestStoredIsItsFile(t *testing.T) {
	file, stored, s := kept(t, capture(t, 3000))
	if n := s.Stats().Segments; n < 5 {
		t.Fatalf("only %d segments", n)
	}
	at := func(i int) int64 { return began + int64(8+2*i)*1_002_000 }
	for name, r := range map[string]Request{
		"all":          {},
		"last":         {Last: 5},
		"last of few":  {Last: 5, Filter: `path == "/item/17"`},
		"last, none":   {Last: 5, Filter: "dst.port == 81"},
		"first":        {First: 5},
		"filter":       {Filter: "status_code == 500 && src.port != 40003"},
		"by name":      {Filter: `dst.pod.name == "catalog" && path.endsWith("99")`},
		"window":       {Since: at(1000), Until: at(1200)},
		"window, last": {Since: at(1000), Until: at(2000), Last: 1500},
		"both":         {Vantage: Both, First: 100},
	} {
		t.Run(name, func(t *testing.T) {
			want, got := jsonLines(t, file, r), jsonLines(t, stored, r)
			if !slices.Equal(got, want) {
				t.Errorf("%d calls, want %d\n%.500s\n%.500s", len(got), len(want), strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
	for _, text := range []string{"", "src.port == 40002", "status_code == 500", `path == "/item/9"`, "udp"} {
		var want, got counter
		if _, err := file.Packets(context.Background(), &Request{Filter: text}, &want); err != nil {
			t.Fatal(err)
		}
		if _, err := stored.Packets(context.Background(), &Request{Filter: text}, &got); err != nil || got.packets != want.packets {
			t.Errorf("%q: %d packets, want %d (%v)", text, got.packets, want.packets, err)
		}
	}
}

// bytesOf writes a stream down.
type bytesOf [2]strings.Builder

func (b *bytesOf) Data(d flow.Dir, data []byte, _ int64) error { b[d].Write(data); return nil }
func (b *bytesOf) Gap(d flow.Dir, _ int64, _ int64) error      { b[d].WriteString("<gap>"); return nil }

func TestStream(t *testing.T) {
	file, stored, _ := kept(t, capture(t, 8))
	var id flow.ID
	if _, err := stored.Flows(context.Background(), &Request{Filter: "src.port == 40001"}, func(f *dissect.Flow) error {
		id = f.ID
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]Source{"file": file, "store": stored} {
		var got bytesOf
		if _, err := s.Stream(context.Background(), &Request{Stream: id}, &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := "GET /item/1 HTTP/1.1\r\nHost: catalog\r\n\r\nGET /item/5 HTTP/1.1\r\nHost: catalog\r\n\r\n"
		if got[0].String() != want || !strings.HasSuffix(got[1].String(), "\r\n\r\n00005") {
			t.Errorf("%s: client %q, server %q", name, got[0].String(), got[1].String())
		}
		if _, err := s.Stream(context.Background(), &Request{Stream: 77}, &got); !errors.Is(err, ErrNoSuchFlow) {
			t.Errorf("%s: a flow that nobody has: %v", name, err)
		}
	}
}

// come appends the packets of a capture, but for the handshakes, which are there already.
func come(s *store.Store, path string) {
	in, err := os.Open(path)
	if err != nil {
		return
	}
	defer in.Close()
	r, err := pcapng.NewReader(in, pcapng.ReaderOptions{})
	if err != nil {
		return
	}
	var p pcap.Packet
	for n := 0; r.Next(&p) == nil; n++ {
		if n >= 16 && s.Append([]pcap.Packet{p}) != nil {
			return
		}
	}
}

// A follower gets what comes in after it asked, and no more.
func TestFollow(t *testing.T) {
	path := capture(t, 200)
	file, stored, s := kept(t, capture(t, 0)) // only handshakes are kept before
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	want := jsonLines(t, file, Request{})
	if len(want) != 0 {
		t.Fatal("there are calls before")
	}
	got := make(chan string)
	done := make(chan error, 1)
	go func() {
		_, err := stored.Calls(ctx, &Request{Follow: true}, func(c *dissect.Call) error {
			got <- string(c.Message.AppendSummary(nil))
			return nil
		})
		done <- err
	}()
	go come(s, path)
	seen := map[string]bool{}
	for len(seen) < 200 {
		select {
		case summary := <-got:
			seen[summary] = true
		case err := <-done:
			t.Fatalf("it ended after %d calls: %v", len(seen), err)
		case <-time.After(20 * time.Second):
			t.Fatalf("only %d calls came", len(seen))
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// ports counts packets by the client's port.
type ports struct {
	seen chan uint16
}

func (p *ports) Packet(packet *pcap.Packet) error {
	var h flow.Header
	h.Parse(packet.Iface.Link, packet.Data)
	p.seen <- max(h.Key.PortA, h.Key.PortB)
	return nil
}
func (p *ports) Name(pcap.Name) error { return nil }
func (p *ports) Flush() error         { return nil }

// Who follows packets by what their calls say gets those flows whole, from what was held
// before the call came.
func TestFollowMatching(t *testing.T) {
	path := capture(t, 200)
	_, stored, s := kept(t, capture(t, 0))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sink := &ports{make(chan uint16)}
	done := make(chan error, 1)
	go func() {
		_, err := stored.Packets(ctx, &Request{Follow: true, Filter: "status_code == 500"}, sink)
		done <- err
	}()
	go come(s, path)
	// Each of four connections has a handshake of two packets and fifty requests and answers,
	// all seen twice; each tenth request fails, so it is on the second or the fourth.
	const whole = 2 * (2 + 100)
	got := map[uint16]int{}
	for got[40001]+got[40003] < 2*whole {
		select {
		case port := <-sink.seen:
			got[port]++
		case err := <-done:
			t.Fatalf("it ended with %v after %v", err, got)
		case <-time.After(20 * time.Second):
			t.Fatalf("only %v came", got)
		}
	}
	if len(got) != 2 || got[40001] != whole {
		t.Errorf("got %v", got)
	}
	cancel()
	go func() {
		for range sink.seen { // whoever still sends
		}
	}()
	err := <-done
	close(sink.seen)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
