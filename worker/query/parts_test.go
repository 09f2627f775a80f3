package query

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/dissect/protocols"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/archive"
	"github.com/sshark/sshark/pcap/pcapng"
)

func openFiles(t testing.TB, paths ...string) *File {
	t.Helper()
	all := protocols.All()
	language, err := filter.New(all)
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenFiles(paths, all, language)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// packetsIn reads a capture's packets; the data is a copy.
func packetsIn(t testing.TB, path string) []pcap.Packet {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r, err := pcapng.NewReader(in, pcapng.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out []pcap.Packet
	for {
		var p pcap.Packet
		switch err := r.Next(&p); {
		case err == io.EOF:
			return out
		case err != nil:
			t.Fatal(err)
		}
		p.Data = bytes.Clone(p.Data)
		out = append(out, p)
	}
}

// bare writes packets as a classic file, which names nobody.
func bare(t testing.TB, path string, packets []pcap.Packet) string {
	t.Helper()
	var out bytes.Buffer
	w := pcapng.NewClassicWriter(&out)
	for i := range packets {
		if err := w.Write(&packets[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// seen keeps what Packets hands out.
type seen struct {
	packets []pcap.Packet
	names   []pcap.Name
	secrets []string
}

func (s *seen) Packet(p *pcap.Packet) error {
	own := *p
	own.Data = bytes.Clone(p.Data)
	s.packets = append(s.packets, own)
	return nil
}
func (s *seen) Name(n pcap.Name) error { s.names = append(s.names, n); return nil }
func (s *seen) Flush() error           { return nil }
func (s *seen) Secrets(kind uint32, data []byte) error {
	s.secrets = append(s.secrets, fmt.Sprintf("%x %s", kind, data))
	return nil
}

func packetsOf(t testing.TB, f *File, r Request) (*seen, *Report) {
	t.Helper()
	s := &seen{}
	report, err := f.Packets(context.Background(), &r, s)
	if err != nil {
		t.Fatal(err)
	}
	return s, report
}

func told(t testing.TB, f *File, r Request) (calls []string, nodes map[string]int, report *Report) {
	t.Helper()
	nodes = map[string]int{}
	report, err := f.Calls(context.Background(), &r, func(c *dissect.Call) error {
		calls = append(calls, string(c.Message.AppendSummary(nil)))
		nodes[c.Flow.Node]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return calls, nodes, report
}

// TestForms: the same capture in all its forms.
func TestForms(t *testing.T) {
	dir := t.TempDir()
	path := capture(t, 40)
	plain, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var gz bytes.Buffer
	g := gzip.NewWriter(&gz)
	if _, err := g.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"x.pcapng": plain, "x.pcapng.gz": gz.Bytes(), "x.pcapng.zst": z.EncodeAll(plain, nil)} {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, _ := urls(t, openFiles(t, p), Request{}); !slices.Equal(got, items(0, 40, 1)) {
			t.Errorf("%s: %d calls", name, len(got))
		}
	}
	// A pipe is read once, and asked twice.
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no named pipes:", err)
	}
	go func() { _ = os.WriteFile(pipe, plain, 0o600) }()
	f := openFiles(t, pipe)
	for range 2 {
		if got, _ := urls(t, f, Request{}); len(got) != 40 {
			t.Errorf("pipe: %d calls", len(got))
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no capture"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := protocols.All()
	language, err := filter.New(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		paths []string
		want  string
	}{
		{nil, "no file was named"}, {[]string{dir}, "is a folder"}, {[]string{filepath.Join(dir, "*.pcap")}, "no file has such a name"},
		{[]string{filepath.Join(dir, "[")}, "syntax error"}, {[]string{text}, "not a pcap or pcapng"}, {[]string{filepath.Join(dir, "none")}, "no such file"},
		{[]string{capture(t, 1), text}, "not a pcap or pcapng"},
	} {
		if _, err := OpenFiles(tt.paths, all, language); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.paths, err, tt.want)
		}
	}
}

// TestRotated: a capture that changed its file is one place: flows go on in the next file.
func TestRotated(t *testing.T) {
	dir := t.TempDir()
	var one []pcap.Packet
	for _, p := range packetsIn(t, capture(t, 40)) { // as one of the pods saw it
		if p.Iface.Pod.Name == "catalog" {
			one = append(one, p)
		}
	}
	third := len(one) / 3
	for i, name := range []string{"a.pcap", "b.pcap", "c.pcap"} {
		bare(t, filepath.Join(dir, name), one[i*third:min(len(one), (i+1)*third+i/2*len(one))])
	}
	f := openFiles(t, filepath.Join(dir, "?.pcap"))
	calls, nodes, report := told(t, f, Request{})
	if !slices.Equal(calls, items(0, 40, 1)) || nodes[""] != 40 || len(report.Nodes) != 3 || report.Nodes[0].Matched != 40 {
		t.Errorf("%d calls at %v, %+v", len(calls), nodes, report)
	}
	flows := 0
	if _, err := f.Flows(context.Background(), &Request{}, func(*dissect.Flow) error { flows++; return nil }); err != nil || flows != 4 {
		t.Errorf("%d flows, %v", flows, err)
	}
	if n := report.Nodes[1]; n.Node != "b.pcap" || n.Oldest != one[third].Time || n.Newest != one[2*third-1].Time {
		t.Errorf("%+v", n)
	}
	nodeList, _, err := f.Nodes(context.Background())
	if err != nil || len(nodeList) != 3 || nodeList[0].Stats.Stored != uint64(third) || nodeList[2].Name != "c.pcap" {
		t.Errorf("%+v %v", nodeList, err)
	}
}

// TestSeveralPlaces: files that overlap are of several places. What two of them saw is told once,
// and the packets of both are there, in the order of time.
func TestSeveralPlaces(t *testing.T) {
	dir := t.TempDir()
	all := packetsIn(t, capture(t, 40))
	by := map[string][]pcap.Packet{}
	for _, p := range all {
		by[p.Iface.Pod.Name] = append(by[p.Iface.Pod.Name], p)
	}
	f := openFiles(t, bare(t, filepath.Join(dir, "client.pcap"), by["gateway"]), bare(t, filepath.Join(dir, "server.pcap"), by["catalog"]))
	calls, _, report := told(t, f, Request{})
	if !slices.Equal(calls, items(0, 40, 1)) {
		t.Errorf("%d calls", len(calls))
	}
	last := report.Nodes[len(report.Nodes)-1]
	if last.Node != "" || len(last.Notes) != 1 || !strings.Contains(last.Notes[0], "overlap in time") {
		t.Errorf("%+v", report.Nodes)
	}
	if calls, nodes, _ := told(t, f, Request{Vantage: Both}); len(calls) != 80 || nodes["client.pcap"] != 40 || nodes["server.pcap"] != 40 {
		t.Errorf("of both: %d calls at %v", len(calls), nodes)
	}
	s, _ := packetsOf(t, f, Request{})
	if len(s.packets) != len(all) {
		t.Fatalf("%d packets, want %d", len(s.packets), len(all))
	}
	for i := range all {
		if s.packets[i].Time != all[i].Time || !bytes.Equal(s.packets[i].Data, all[i].Data) {
			t.Fatalf("packet %d differs", i)
		}
	}
	if a, b := s.packets[0].Iface, s.packets[1].Iface; a.Node != "client.pcap" || b.Node != "server.pcap" || a.Vantage == b.Vantage {
		t.Errorf("%+v %+v", a, b)
	}
}

// TestNamesOfParts: what a file names holds from its own time on, though files are read ahead.
func TestNamesOfParts(t *testing.T) {
	dir := t.TempDir()
	packets := packetsIn(t, capture(t, 40))
	var one []pcap.Packet
	for _, p := range packets {
		if p.Iface.Pod.Name == "catalog" {
			p.Iface = &pcap.Interface{Link: p.Iface.Link}
			one = append(one, p)
		}
	}
	half := len(one) / 2
	var paths []string
	for i, part := range [][]pcap.Packet{one[:half], one[half:]} {
		var out bytes.Buffer
		w, err := pcapng.NewWriter(&out, pcapng.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		name := []string{"before.example", "after.example"}[i]
		if err := errors.Join(w.Name(pcap.Name{Addr: addrs[1], Names: []string{name}}), w.Secrets(7, []byte(name))); err != nil {
			t.Fatal(err)
		}
		for n := range part {
			if err := w.Write(&part[n]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(paths[i], out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := openFiles(t, paths[1], paths[0]) // in any order
	p := f.pass()
	if err := p.read(context.Background(), nil, func(*pcap.Packet) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int64]string{one[1].Time: "before.example", one[half-2].Time: "before.example", one[half+1].Time: "after.example"} {
		if id := p.names.Resolve(netip.AddrPortFrom(addrs[1], 80), at); id == nil || id.DNS != want {
			t.Errorf("at %d: %+v, want %s", at-one[0].Time, id, want)
		}
	}
	s, _ := packetsOf(t, f, Request{})
	if len(s.names) != 2 || len(s.secrets) != 2 || s.names[0].Names[0] != "before.example" {
		t.Errorf("names %v, secrets %q", s.names, s.secrets)
	}
	if s, _ := packetsOf(t, f, Request{Access: Access{Limited: true, Namespaces: []string{"shop"}}}); len(s.secrets) != 0 {
		t.Errorf("secrets are told to who may not see all: %q", s.secrets)
	}
}

// TestDamagedPart: one damaged file of several is told, and the others are whole.
func TestDamagedPart(t *testing.T) {
	good, bad := capture(t, 10), capture(t, 10)
	st, err := os.Stat(bad)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(bad, st.Size()/2+1); err != nil {
		t.Fatal(err)
	}
	s, report := packetsOf(t, openFiles(t, good, bad), Request{})
	if n := len(packetsIn(t, good)); len(s.packets) <= n || len(s.packets) >= 2*n {
		t.Errorf("%d packets", len(s.packets))
	}
	if report.Nodes[0].Missing != "" || !strings.Contains(report.Nodes[1].Missing, "cut off") || !report.Partial() {
		t.Errorf("%+v", report.Nodes)
	}
}

// TestArchive: a folder with captures for each node, and a history of names.
func TestArchive(t *testing.T) {
	dir := t.TempDir()
	packets := packetsIn(t, capture(t, 40))
	by := map[string][]pcap.Packet{}
	for _, p := range packets {
		by[p.Iface.Pod.Name] = append(by[p.Iface.Pod.Name], p)
	}
	second := began / 1e9
	history := fmt.Sprintf(`{"%d":{"10.0.0.2":{"FullAddress":"old.shop","Namespace":"shop"},"old.shop":{"FullAddress":"old.shop","Namespace":"shop"},"10.0.0.9":null},
"%d":{"10.0.0.2:80":{"FullAddress":"catalog.shop","Namespace":"shop"},"10.0.0.1":{"FullAddress":"gateway.example","Namespace":""}}}`, second-3600, second)
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	add := func(name string, b []byte) {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(b)), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	for node, pod := range map[string]string{"node-a": "gateway", "node-b": "catalog"} {
		b, err := os.ReadFile(bare(t, filepath.Join(dir, pod), by[pod]))
		if err != nil {
			t.Fatal(err)
		}
		add("snapshot/"+node+"/1700000000.pcap", b)
		add("snapshot/"+node+"/"+archive.HistoryName, []byte(history))
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "export.tar.gz")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	f := openFiles(t, path)
	var got []string
	if _, err := f.Calls(context.Background(), &Request{Vantage: Both}, func(c *dissect.Call) error {
		src, dst := c.Src(), c.Dst()
		got = append(got, fmt.Sprintf("%s: %s > %s/%s", c.Flow.Node, src.Display(), dst.Namespace, dst.Service))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	got = slices.Compact(got)
	if want := []string{"node-a: gateway.example > shop/catalog", "node-b: gateway.example > shop/catalog"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if calls, _, _ := told(t, f, Request{}); len(calls) != 40 {
		t.Errorf("%d calls", len(calls))
	}
	if calls, _, _ := told(t, f, Request{Filter: `dst.service.name == "catalog" && dst.service.namespace == "shop"`}); len(calls) != 40 {
		t.Errorf("%d calls by service", len(calls))
	}
	// What is exported has the names too, as who exports it saw them.
	var s seen
	if _, err := f.Packets(t.Context(), &Request{}, &s); err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, n := range s.names {
		named = append(named, n.Addr.String()+" "+n.Names[0])
	}
	slices.Sort(named)
	if want := []string{"10.0.0.1 gateway.example", "10.0.0.2 catalog", "10.0.0.2 shop/old"}; !slices.Equal(slices.Compact(named), want) {
		t.Errorf("exported with the names %q, want %q", named, want)
	}
	temp := f.temp
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(temp); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", temp, err)
	}
}

func TestHistoryErrors(t *testing.T) {
	for text, want := range map[string]string{
		"": "unexpected EOF", "[]": "[ where { should be", `{"x":{}}`: "want seconds", `{"1":[]}`: "of 1", `{"1":{}`: "EOF",
		`{"99999999999999":{}}`: "want seconds", `{"-1":{}}`: "want seconds",
	} {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (&File{}).history(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzHistory(f *testing.F) {
	f.Add([]byte(`{"1700000000":{"10.0.0.2:80":{"FullAddress":"catalog.shop","Namespace":"shop"}},"1700000001":{"fd00::1":{"FullAddress":"x"}}}`))
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, in []byte) {
		if err := os.WriteFile(path, in, 0o600); err != nil {
			t.Fatal(err)
		}
		file := &File{}
		if err := file.history(path); err != nil {
			return
		}
		for _, n := range file.names {
			if !n.addr.IsValid() || n.from < 0 {
				t.Fatalf("%+v", n)
			}
		}
	})
}
