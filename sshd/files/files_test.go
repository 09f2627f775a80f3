package files

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
)

// session is a tree, and what was said and logged.
type session struct {
	*Tree
	mu   sync.Mutex
	said []string
	done []string
}

func newSession(t *testing.T, s query.Source, change func(*Options)) *session {
	t.Helper()
	out := &session{}
	o := Options{
		Source: s, Spool: t.TempDir(),
		Now: func() time.Time { return sourcetest.Start.Add(10 * time.Minute) },
		Say: func(line string) { out.mu.Lock(); out.said = append(out.said, line); out.mu.Unlock() },
		Done: func(p string, n int64, err error) {
			out.mu.Lock()
			out.done = append(out.done, fmt.Sprintf("%s %d %v", p, n, err))
			out.mu.Unlock()
		},
	}
	if change != nil {
		change(&o)
	}
	out.Tree = NewTree(context.Background(), o)
	t.Cleanup(func() {
		if err := out.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(o.Spool); len(left) != 0 {
			t.Errorf("%d spool files are left", len(left))
		}
	})
	return out
}

// readAll reads a file to its end, and closes it.
func readAll(t *testing.T, s *session, p string) ([]byte, error) {
	t.Helper()
	f, err := s.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	return b, f.Close()
}

func packetsIn(t *testing.T, capture []byte) (out []int) {
	t.Helper()
	r, err := pcapng.NewReader(bytes.NewReader(capture), pcapng.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		var p pcap.Packet
		err := r.Next(&p)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, int(binary.BigEndian.Uint64(p.Data[28:])))
	}
}

func TestTree(t *testing.T) {
	s := newSession(t, &sourcetest.Source{Kept: 600}, nil)
	for _, tt := range []struct {
		path string
		dir  bool
		size string // "exact", "unknown", "none": there is no such file
	}{
		{"/", true, ""}, {"/last", true, ""}, {"/between", true, ""}, {"/streams", true, ""}, {"/nodes", true, ""}, {"/namespaces", true, ""},
		{"/nodes/node-a", true, ""}, {"/nodes/node-a/last", true, ""}, {"/namespaces/shop", true, ""}, {"/namespaces/shop/last", true, ""},
		{"/namespaces/shop/pods", true, ""}, {"/namespaces/shop/pods/cart-0", true, ""}, {"/namespaces/shop/pods/cart-0/last", true, ""},
		{"/last/5m.pcapng", false, "unknown"}, {"/last/1h30m.pcapng", false, "unknown"}, {"/last/2d.pcapng", false, "unknown"},
		{"/nodes/node-a/last/1m.pcapng", false, "unknown"}, {"/namespaces/shop/last/1m.pcapng", false, "unknown"},
		{"/namespaces/shop/pods/cart-0/last/7m.pcapng", false, "unknown"},
		{"/between/20260102T150405Z_20260102T151000Z.pcapng", false, "exact"},
		{"/between/20260102T150405Z_20260102T161000Z.pcapng", false, "unknown"}, // not over
		{"/streams/0000000001003.pcapng", false, "exact"}, {"/streams/0000000001003.client.bin", false, "exact"}, {"/streams/0000000001003.server.bin", false, "exact"},
		{"/nothing", false, "none"}, {"/last/5m", false, "none"}, {"/last/x.pcapng", false, "none"}, {"/last/-5m.pcapng", false, "none"}, {"/last/0s.pcapng", false, "none"},
		{"/last/5m.pcapng/x", false, "none"}, {"/between/x_y.pcapng", false, "none"}, {"/between/20260102T151000Z_20260102T150405Z.pcapng", false, "none"},
		{"/nodes/node-z", false, "none"}, {"/nodes/node-z/last/5m.pcapng", false, "none"}, {"/nodes/node-a/5m.pcapng", false, "none"},
		{"/namespaces/none", false, "none"}, {"/namespaces/shop/pods/none", false, "none"}, {"/namespaces/shop/x", false, "none"},
		{"/streams/0000000009999.pcapng", false, "none"}, {"/streams/xyz.pcapng", false, "none"}, {"/streams/0000000001003.txt", false, "none"},
		{"/last/../last/5m.pcapng", false, "unknown"}, {"/../../etc/passwd", false, "none"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			i, err := s.Stat(tt.path)
			if tt.size == "none" {
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%v", err)
				}
				if _, err := s.Open(tt.path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("open: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if i.IsDir() != tt.dir || i.Mode().IsDir() != tt.dir || strings.Contains(i.Name(), ":") {
				t.Errorf("%+v", i)
			}
			if tt.dir {
				list, err := s.List(tt.path)
				if err != nil || len(list) == 0 && tt.path != "/between" {
					t.Errorf("list: %v %v", list, err)
				}
				// All that is listed is there, and is what the list says.
				for _, e := range list {
					j, err := s.Stat(tt.path + "/" + e.Name())
					if err != nil || j.IsDir() != e.IsDir() || e.Size() != 0 && e.Size() != j.Size() {
						t.Errorf("%s is listed: %v %v", e.Name(), j, err)
					}
					if tt.path == "/streams" {
						break
					}
				}
				if _, err := s.Open(tt.path); err == nil {
					t.Error("a folder was opened")
				}
				return
			}
			b, err := readAll(t, s, tt.path)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]int64{"exact": int64(len(b)), "unknown": 0}[tt.size]
			if i.Size() != want {
				t.Errorf("size %d, want %d: it has %d", i.Size(), want, len(b))
			}
			if strings.HasSuffix(tt.path, ".pcapng") {
				packetsIn(t, b)
			}
		})
	}
}

func TestWindowOfLast(t *testing.T) {
	s := newSession(t, &sourcetest.Source{Kept: 600}, nil)
	b, err := readAll(t, s, "/last/2m.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	if got := packetsIn(t, b); len(got) != 120 || got[0] != 480 {
		t.Errorf("%d packets from %v", len(got), got[:1])
	}
	if len(s.said) != 0 {
		t.Errorf("said %q", s.said)
	}
	// Less is kept than the name says.
	if _, err := readAll(t, s, "/last/1h.pcapng"); err != nil {
		t.Fatal(err)
	}
	if len(s.said) != 1 || s.said[0] != "oldest packet kept: node-a 2026-01-02T15:04:05Z" {
		t.Errorf("said %q", s.said)
	}
}

func TestStreams(t *testing.T) {
	s := newSession(t, &sourcetest.Source{Kept: 8}, nil)
	for name, want := range map[string]string{"client": "GET / HTTP/1.1\r\n", "server": "HTTP/1.1 200 OK\r\ntail"} {
		b, err := readAll(t, s, "/streams/0000000001003."+name+".bin")
		if err != nil || string(b) != want {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	if text := strings.Join(s.said, "\n"); !strings.Contains(text, "(gaps: 1), 100 as far as is known") || !strings.Contains(text, "at byte 17") {
		t.Errorf("the gap was not told: %q", text)
	}
	list, err := s.List("/streams")
	if err != nil || len(list) != 3*8 {
		t.Errorf("%d listed, %v", len(list), err)
	}
}

// TestIncomplete: what lacks something can be read, and fails at its end.
func TestIncomplete(t *testing.T) {
	lacking := []query.NodeReport{{Node: "node-a"}, {Node: "node-b", Missing: "connection refused"}}
	for _, p := range []string{"/last/15m.pcapng", "/between/20260102T150405Z_20260102T151000Z.pcapng"} {
		s := newSession(t, &sourcetest.Source{Kept: 8, Report: lacking}, nil)
		b, err := readAll(t, s, p)
		if err == nil || !strings.Contains(err.Error(), "node-b did not answer: connection refused") {
			t.Errorf("%s: %v", p, err)
		}
		if got := packetsIn(t, b); len(got) != 8 {
			t.Errorf("%s: %d packets", p, len(got))
		}
		if len(s.done) != 1 || !strings.Contains(s.done[0], "node-b") {
			t.Errorf("%s: log %q", p, s.done)
		}
	}
	s := newSession(t, &sourcetest.Source{Kept: 8, Err: errors.New("store is broken")}, nil)
	f, err := s.Open("/last/15m.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40)); err == nil || !strings.Contains(err.Error(), "store is broken") {
		t.Errorf("read: %v", err)
	}
	if err := f.Close(); err == nil {
		t.Error("close says nothing")
	}
}

// asked remembers which nodes were asked for packets.
type asked struct {
	query.Source
	nodes []string
}

func (a *asked) Packets(ctx context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	a.nodes = append(a.nodes, r.Node)
	return a.Source.Packets(ctx, r, out)
}

// TestNodeAlone: the packets of a node are asked of that node, whether others answer or not.
func TestNodeAlone(t *testing.T) {
	source := &asked{Source: &sourcetest.Source{Kept: 8}}
	s := newSession(t, source, nil)
	for _, p := range []string{"/nodes/node-a/last/15m.pcapng", "/last/15m.pcapng", "/namespaces/shop/last/15m.pcapng"} {
		if _, err := readAll(t, s, p); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	if want := []string{"node-a", "", ""}; !slices.Equal(source.nodes, want) {
		t.Errorf("asked %q, want %q", source.nodes, want)
	}
}

func TestSpoolIsBounded(t *testing.T) {
	const p = "/between/20260102T150405Z_20260102T151000Z.pcapng"
	s := newSession(t, &sourcetest.Source{Kept: 300, Payload: 1400}, func(o *Options) { o.SpoolMax = 100 << 10 })
	i, err := s.Stat(p)
	if err != nil || i.Size() != 0 {
		t.Errorf("%v %v", i, err)
	}
	b, err := readAll(t, s, p)
	if err != nil || len(packetsIn(t, b)) != 300 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestManyOpenFiles(t *testing.T) {
	s := newSession(t, &sourcetest.Source{Kept: 8}, nil)
	var open []File
	for range maxOpen {
		f, err := s.Open("/last/5m.pcapng")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, f)
	}
	if _, err := s.Open("/last/5m.pcapng"); err == nil {
		t.Error("no bound")
	}
	for _, f := range open {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := readAll(t, s, "/last/5m.pcapng"); err != nil {
		t.Error(err)
	}
}

// content is n bytes that tell where they are.
func content(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// TestSequence reads pieces at once and out of order.
func TestSequence(t *testing.T) {
	want := content(3<<20 + 17)
	done := make(chan string, 1)
	s := newSequence(context.Background(), func(_ context.Context, w io.Writer) error {
		for b := want; len(b) > 0; {
			n := min(len(b), 7001)
			if _, err := w.Write(b[:n]); err != nil {
				return err
			}
			b = b[n:]
		}
		return nil
	}, func(n int64, err error) { done <- fmt.Sprint(n, err) })
	const piece = 32 << 10
	got := make([]byte, len(want))
	offsets := make(chan int, 64)
	go func() {
		defer close(offsets)
		r := rand.New(rand.NewPCG(1, 2))
		var batch []int
		for off := 0; off < len(want); off += piece {
			if batch = append(batch, off); len(batch) == 6 || off+piece >= len(want) {
				r.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
				for _, o := range batch {
					offsets <- o
				}
				batch = nil
			}
		}
	}()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for off := range offsets {
				n, err := s.ReadAt(got[off:min(off+piece, len(got))], int64(off))
				if n != min(piece, len(got)-off) || err != nil && !errors.Is(err, io.EOF) {
					t.Errorf("at %d: %d %v", off, n, err)
				}
			}
		})
	}
	wg.Wait()
	if !bytes.Equal(got, want) {
		t.Error("the bytes differ")
	}
	if s.rewinds != 0 {
		t.Errorf("made again %d times", s.rewinds)
	}
	if n, err := s.ReadAt(make([]byte, 10), int64(len(want))); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %d %v", n, err)
	}
	// Back, and far ahead: the same bytes.
	b := make([]byte, 100)
	for _, off := range []int{5, 2 << 20, 1000} {
		if _, err := s.ReadAt(b, int64(off)); err != nil || !bytes.Equal(b, want[off:off+100]) {
			t.Errorf("at %d: %v", off, err)
		}
	}
	var err error
	for range maxRewinds {
		_, err = s.ReadAt(b, 0)
	}
	if err == nil {
		t.Error("going back has no bound")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := <-done; got != fmt.Sprint(len(want), nil) {
		t.Errorf("log: %s", got)
	}
	if _, err := s.ReadAt(b, 0); err == nil {
		t.Error("read after close")
	}
}

// TestSequenceEnds: Close and the session's end free a reader that waits for a slow source.
func TestSequenceEnds(t *testing.T) {
	for _, how := range []string{"close", "session"} {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		started := make(chan struct{})
		s := newSequence(ctx, func(ctx context.Context, _ io.Writer) error {
			close(started)
			<-ctx.Done()
			close(ended)
			return ctx.Err()
		}, func(int64, error) {})
		read := make(chan error)
		go func() {
			_, err := s.ReadAt(make([]byte, 10), 0)
			read <- err
		}()
		<-started
		if how == "close" {
			s.Close()
		} else {
			cancel()
		}
		<-ended
		if err := <-read; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: the read ends with %v", how, err)
		}
		cancel()
	}
}

func TestGlob(t *testing.T) {
	s := newSession(t, &sourcetest.Source{Kept: 3}, nil)
	for _, tt := range []struct {
		pattern string
		want    string
	}{
		{"/last/*", "/last/15m.pcapng /last/1h.pcapng /last/1m.pcapng /last/5m.pcapng"},
		{"last/[15]m.pcapng", "/last/1m.pcapng /last/5m.pcapng"},
		{"/last/7m.pcapng", "/last/7m.pcapng"},
		{"/streams/*1.pcapng", "/streams/0000000001001.pcapng"},
		{"/nodes/*/last/1?.pcapng", "/nodes/node-a/last/1h.pcapng /nodes/node-a/last/1m.pcapng"},
		{"/nothing/*", ""}, {"/last/[", ""},
	} {
		got, err := s.glob(tt.pattern)
		if strings.Join(got, " ") != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q %v", tt.pattern, got, err)
		}
	}
}

func TestIsSCP(t *testing.T) {
	for line, want := range map[string]bool{
		"scp -f /last/5m.pcapng": true, "scp -r -p -f -- -x": true, "scp -pf x": true, "scp -v -t /x": true, "scp -t x": true,
		"scp": false, "scp x y": false, "scp -S x -f y": false, "calls -f x": false, "scp -r x": false,
	} {
		if got := IsSCP(strings.Fields(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
