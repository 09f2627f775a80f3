package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/pcap/segment"
)

// files are the generated ones, small, with what tshark must find in them.
var files = []struct {
	name, filter string
	found        int
	write        func(*frames) error
}{
	{"http", "http.response", 700, func(f *frames) error { return writeHTTP(f, 700, 3200) }},
	{"dns", "dns.flags.response == 1", 400, func(f *frames) error { return writeDNS(f, 400) }},
	{"haystack", "http.response && tcp.port == 7777", needleCalls, func(f *frames) error { return writeHaystack(f, 3_000_000) }},
}

func TestGenerated(t *testing.T) {
	for _, tt := range files {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.pcap")
			wrote, err := generate(path, time.Microsecond, tt.write)
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(data)) != wrote.bytes {
				t.Errorf("the file has %d bytes, counted were %d", len(data), wrote.bytes)
			}
			r, err := pcapng.NewReader(bytes.NewReader(data), pcapng.ReaderOptions{})
			if err != nil {
				t.Fatal(err)
			}
			n, last := int64(0), int64(0)
			for p := new(pcap.Packet); ; n++ {
				if err := r.Next(p); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if p.Time <= last {
					t.Fatalf("packet %d is not after the one before", n)
				}
				last = p.Time
				ip, l4 := p.Data[14:34], p.Data[34:]
				pseudo := uint32(sum(ip[12:20], 0)) + uint32(ip[9]) + uint32(len(l4))
				if int(binary.BigEndian.Uint16(ip[2:])) != len(ip)+len(l4) || sum(ip, 0) != 0xffff || sum(l4, pseudo) != 0xffff {
					t.Fatalf("packet %d has a wrong length or checksum: %x", n, p.Data[:34])
				}
			}
			if n != wrote.packets {
				t.Errorf("the file has %d packets, counted were %d", n, wrote.packets)
			}
		})
	}
}

func TestGeneratedByTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("needs tshark")
	}
	for _, tt := range files {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.pcap")
			if _, err := generate(path, time.Microsecond, tt.write); err != nil {
				t.Fatal(err)
			}
			for filter, want := range map[string]int{
				tt.filter: tt.found,
				"_ws.malformed || tcp.analysis.flags || tcp.checksum.status == 0 || _ws.expert.severity == error": 0,
			} {
				out, err := exec.Command(tshark, "-n", "-r", path, "-o", "tcp.check_checksum:TRUE", "-Y", filter).Output()
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Count(string(out), "\n"); got != want {
					t.Errorf("tshark finds %d packets with %s, want %d\n%.2000s", got, filter, want, out)
				}
			}
		})
	}
}

// TestPrefix: the file of fewer calls is the beginning of that of more.
func TestPrefix(t *testing.T) {
	var short, long bytes.Buffer
	if err := errors.Join(writeDNS(newFrames(&short, 1), 50), writeDNS(newFrames(&long, 1), 60)); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(long.Bytes(), short.Bytes()) {
		t.Error("they differ")
	}
}

func TestTable(t *testing.T) {
	tab := newTable(column{"calls/s", "%.0f"}, column{"MB", "%.1f"})
	for _, n := range []float64{300, 100, 200} {
		tab.add("ours", n, n/100)
	}
	tab.add("theirs", 50, 9)
	tab.ratio("ours", "theirs", "calls/s")
	tab.ratio("ours", "nobody", "calls/s")
	tab.ratio("ours", "theirs", "colour")
	tab.goal(goal{col: "calls/s", must: 100, aim: 200}, "ours", "theirs", "nobody")
	tab.goal(goal{col: "MB", must: 3, aim: 1, most: true}, "ours", "theirs")
	tab.goal(goal{col: "MB", must: 2, most: true}, "ours")
	tab.goal(goal{col: "colour", must: 2}, "ours")
	var out bytes.Buffer
	tab.write(&out)
	want := `          calls/s   MB
    ours      200  2.0
  theirs       50  9.0
  calls/s: ours is 4.00 times theirs
  calls/s: budget 100, aim 200: ours has 200, aim met; theirs has 50, missed
  MB: budget 3.0, aim 1.0: ours has 2.0, met; theirs has 9.0, missed
  MB: budget 2.0: ours has 2.0, met
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

func TestReadings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dev")
	text := "Inter-|   Receive\n face |bytes packets\n    lo: 1 2 0 0 0 0 0 0 1 2 0 0 0 0 0 0\n  eth0: 10 3 0 0 0 0 0 0 20 4 0 0 0 0 0 0\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := passedPackets(path); err != nil || n != 7 {
		t.Errorf("%d packets, %v; want 7", n, err)
	}
	if busy, err := busyTime(); err != nil || busy <= 0 {
		t.Errorf("busy %v, %v", busy, err)
	}
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for x := 1.0; ; x = math.Sqrt(x + 1) {
		if after, err := cpuTime(os.Getpid()); err != nil {
			t.Fatal(err)
		} else if after > before {
			break
		}
	}
}

func TestUntil(t *testing.T) {
	for _, tt := range []struct{ text, want, problem string }{
		{"one\nssh -p 1 host\nmore\n", "ssh -p 1 host", ""},
		{"no root\n", "", "no root"},
	} {
		got, err := until(t.Context(), strings.NewReader(tt.text), func(l string) bool { return strings.HasPrefix(l, "ssh ") })
		switch {
		case tt.problem == "" && (err != nil || got != tt.want):
			t.Errorf("%q, %v; want %q", got, err, tt.want)
		case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)):
			t.Errorf("%v, want %q in it", err, tt.problem)
		}
	}
}

func TestSegmentsOf(t *testing.T) {
	dir := t.TempDir()
	begin := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	for i := range 5 { // of ten minutes each
		name := segment.FileName(uint64(i), begin.Add(time.Duration(i)*10*time.Minute).UnixNano())
		for _, ext := range []string{segment.ExtSegment, segment.ExtIndex} {
			if err := os.WriteFile(filepath.Join(dir, name+ext), []byte("1234567"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		from, until time.Duration
		want        string // numbers of the segments
	}{
		{12 * time.Minute, 17 * time.Minute, "1"},
		{8 * time.Minute, 20 * time.Minute, "01"},
		{-time.Minute, time.Minute, "0"},
		{time.Hour, 2 * time.Hour, "4"},
		{-time.Hour, 0, ""},
	} {
		paths, size, err := segmentsOf(dir, begin.Add(tt.from), begin.Add(tt.until))
		got := ""
		for _, p := range paths {
			got += filepath.Base(p)[7:8]
		}
		if got != tt.want || (err == nil) != (tt.want != "") || size != int64(7*len(tt.want)) {
			t.Errorf("%v to %v: segments %q of %d bytes, %v; want %q", tt.from, tt.until, got, size, err, tt.want)
		}
	}
}

// TestToolMissing: what is missing is told with the package that has it.
func TestToolMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := tool("h2load")
	if !errors.Is(err, errMissing) || !strings.Contains(err.Error(), "apt-get install nghttp2-client") {
		t.Errorf("got %v", err)
	}
	for _, l := range []*load{wrk(1), h2load(1), redisBenchmark(8), dnsperf(1), pgbench("simple", 7)} {
		for _, name := range append(l.tools, "tcpdump") {
			if packages[name] == "" {
				t.Errorf("nobody is told which package has %s", name)
			}
		}
	}
}

func TestPercentile(t *testing.T) {
	var all []time.Duration
	for i := range 100 {
		all = append(all, time.Duration(99-i)*time.Millisecond)
	}
	for p, want := range map[int]float64{0: 0, 50: 50, 95: 95, 100: 99} {
		if got := percentile(all, p); got != want {
			t.Errorf("p%d is %v, want %v", p, got, want)
		}
	}
	if got := percentile(nil, 95); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
