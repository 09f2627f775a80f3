package query

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/dissect/protocols"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// world writes what two pods say to each other, seen at both of them.
type world struct {
	w    *pcapng.Writer
	t    int64
	pods [2]*pcap.Interface
}

const began = int64(1_700_000_000_000_000_000)

var addrs = [2]netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}

func newWorld(t testing.TB, w *pcapng.Writer) *world {
	t.Helper()
	out := &world{w: w, t: began}
	for i, name := range []string{"gateway", "catalog"} {
		out.pods[i] = &pcap.Interface{Name: "eth0", Link: pcap.LinkRaw, Node: "node-a", Pod: pcap.Pod{Name: name}, Vantage: uint32(i + 1),
			Addrs: []netip.Prefix{netip.PrefixFrom(addrs[i], 24)}}
	}
	return out
}

// say adds one TCP packet from pod src, seen where it leaves and where it arrives.
func (w *world) say(t testing.TB, src int, port uint16, seq, ack uint32, flags uint8, payload string) {
	t.Helper()
	b := make([]byte, 40, 40+len(payload))
	b[0], b[8], b[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(b[2:], uint16(40+len(payload)))
	copy(b[12:], addrs[src].AsSlice())
	copy(b[16:], addrs[1-src].AsSlice())
	ports := [2]uint16{port, 80}
	binary.BigEndian.PutUint16(b[20:], ports[src])
	binary.BigEndian.PutUint16(b[22:], ports[1-src])
	binary.BigEndian.PutUint32(b[24:], seq)
	binary.BigEndian.PutUint32(b[28:], ack)
	b[32], b[33] = 0x50, flags
	b = append(b, payload...)
	for _, pod := range []int{src, 1 - src} {
		w.t += 1000
		if err := w.w.Write(&pcap.Packet{Time: w.t, Data: b, Length: uint32(len(b)), Iface: w.pods[pod]}); err != nil {
			t.Fatal(err)
		}
	}
	w.t += 1e6
}

// capture is a file of n requests over a few connections, with status 200 but for each tenth.
func capture(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := pcapng.NewWriter(f, pcapng.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, out)
	const conns = 4
	var seq [conns][2]uint32
	for c := range conns {
		port := uint16(40000 + c)
		w.say(t, 0, port, 99, 0, flow.SYN, "")
		w.say(t, 1, port, 199, 100, flow.SYN|flow.ACK, "")
		seq[c] = [2]uint32{100, 200}
	}
	for i := range n {
		c := i % conns
		port, s := uint16(40000+c), &seq[c]
		request := fmt.Sprintf("GET /item/%d HTTP/1.1\r\nHost: catalog\r\n\r\n", i)
		w.say(t, 0, port, s[0], s[1], flow.ACK, request)
		s[0] += uint32(len(request))
		status := "200 OK"
		if i%10 == 9 {
			status = "500 Internal Server Error"
		}
		response := fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: 5\r\n\r\n%05d", status, i)
		w.say(t, 1, port, s[1], s[0], flow.ACK, response)
		s[1] += uint32(len(response))
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	return path
}

func openFile(t testing.TB, path string) *File {
	t.Helper()
	all := protocols.All()
	language, err := filter.New(all)
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(path, all, language)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// urls asks for calls and returns what they were about.
func urls(t *testing.T, s Source, r Request) ([]string, *Report) {
	t.Helper()
	var got []string
	last := int64(0)
	report, err := s.Calls(context.Background(), &r, func(c *dissect.Call) error {
		if c.Time < last {
			t.Errorf("out of order: %s", c.Message.AppendSummary(nil))
		}
		last = c.Time
		got = append(got, string(c.Message.AppendSummary(nil)))
		if src, dst := c.Src().Display(), c.Dst().Display(); src != "gateway" || dst != "catalog" {
			t.Errorf("a call from %s to %s", src, dst)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, report
}

func items(from, to, step int) (out []string) {
	for i := from; i < to; i += step {
		out = append(out, fmt.Sprintf("GET /item/%d", i))
	}
	return out
}

func TestCalls(t *testing.T) {
	const n = 1000
	f := openFile(t, capture(t, n))
	// Each request and each answer takes 1,002,000 ns; the handshakes come before.
	at := func(i int) int64 { return began + int64(8+2*i)*1_002_000 }
	cases := map[string]struct {
		r       Request
		want    []string
		matched uint64
	}{
		"all":            {Request{}, items(0, n, 1), n},
		"last":           {Request{Last: 3}, items(n-3, n, 1), n},
		"first":          {Request{First: 3}, items(0, 3, 1), 0},
		"filter":         {Request{Filter: "status_code == 500"}, items(9, n, 10), n / 10},
		"filter by name": {Request{Filter: `dst.pod.name == "catalog" && src.pod.name == "gateway"`, Last: 2}, items(n-2, n, 1), n},
		"nothing":        {Request{Filter: `dst.port == 81`}, nil, 0},
		"window":         {Request{Since: at(10), Until: at(20)}, items(10, 20, 1), 10},
		"body":           {Request{Filter: `body.contains("00042")`}, items(42, 43, 1), 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, report := urls(t, f, c.r)
			if strings.Join(got, ",") != strings.Join(c.want, ",") {
				t.Errorf("got %d: %.300s\nwant %d: %.300s", len(got), got, len(c.want), c.want)
			}
			if got := report.Nodes[0]; c.r.First == 0 && got.Matched != c.matched && !(got.Most && got.Matched > c.matched && got.Matched <= 2*c.matched) {
				t.Errorf("matched %d (at most: %v), want %d", got.Matched, got.Most, c.matched)
			}
		})
	}
	for v, want := range map[Vantage]int{Both: 2 * n, Client: n, Server: n} {
		if got, _ := urls(t, f, Request{Vantage: v}); len(got) != want {
			t.Errorf("vantage %d: %d calls, want %d", v, len(got), want)
		}
	}
}

func TestStop(t *testing.T) {
	f := openFile(t, capture(t, 1000))
	wrong := errors.New("full")
	told := 0
	_, err := f.Calls(context.Background(), &Request{}, func(*dissect.Call) error {
		told++
		return wrong
	})
	if !errors.Is(err, wrong) || told != 1 {
		t.Errorf("%v after %d calls", err, told)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.Calls(ctx, &Request{}, func(*dissect.Call) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFlows(t *testing.T) {
	f := openFile(t, capture(t, 100))
	for filterText, want := range map[string]int{"": 4, "src.port == 40002": 1, `"HTTP" in flow_l7_detected`: 4, "status_code == 500": 2, "udp": 0} {
		var ids []flow.ID
		_, err := f.Flows(context.Background(), &Request{Filter: filterText}, func(fl *dissect.Flow) error {
			ids = append(ids, fl.ID)
			if fl.Vantage != dissect.SideBoth || fl.Protocol == nil {
				t.Errorf("%+v", fl)
			}
			return nil
		})
		if err != nil || len(ids) != want {
			t.Errorf("%q: %d flows, want %d (%v)", filterText, len(ids), want, err)
		}
	}
}

// counter is a sink that counts.
type counter struct{ packets, names int }

func (c *counter) Packet(*pcap.Packet) error { c.packets++; return nil }
func (c *counter) Name(pcap.Name) error      { c.names++; return nil }
func (c *counter) Flush() error              { return nil }

func TestPackets(t *testing.T) {
	f := openFile(t, capture(t, 100))
	const all = 2 * (2*4 + 2*100)
	for filterText, want := range map[string]int{"": all, "src.port == 40002": all / 4, "status_code == 500": all / 2, "udp": 0, `path == "/item/9"`: all / 4} {
		var c counter
		if _, err := f.Packets(context.Background(), &Request{Filter: filterText}, &c); err != nil || c.packets != want {
			t.Errorf("%q: %d packets, want %d (%v)", filterText, c.packets, want, err)
		}
	}
}

// A file that is cut short gives all that is whole, and says what is missing.
func TestTruncated(t *testing.T) {
	path := capture(t, 100)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f := openFile(t, path)
	if err := os.Truncate(path, st.Size()/2+1); err != nil {
		t.Fatal(err)
	}
	got, report := urls(t, f, Request{})
	if len(got) < 40 || !report.Partial() || !strings.Contains(report.Nodes[0].Missing, "damaged at byte") {
		t.Errorf("%d calls, report %+v", len(got), report)
	}
	if err := os.WriteFile(path, []byte("no capture at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(path, f.protocols, f.language); err == nil {
		t.Error("a text is taken for a capture")
	}
}
