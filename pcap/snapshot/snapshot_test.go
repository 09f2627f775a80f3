package snapshot

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
)

var start = time.Date(2026, 1, 2, 15, 4, 5, 6, time.UTC)

// capture is a node's file of n packets.
func capture(t testing.TB, node string, n int, payload []byte) ([]byte, Node) {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapng.NewWriter(&b, pcapng.WriterOptions{Node: node})
	if err != nil {
		t.Fatal(err)
	}
	iface := &pcap.Interface{Name: "eth0", Link: pcap.LinkRaw, Node: node, Pod: pcap.Pod{Namespace: "shop", Name: "cart-0"}}
	of := Node{Name: node, File: FileName(node)}
	for i := range n {
		p := &pcap.Packet{Time: start.Add(time.Duration(i) * time.Millisecond).UnixNano(), Data: payload, Length: uint32(len(payload)), Iface: iface}
		of.Add(p)
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	of.Size = int64(b.Len())
	return b.Bytes(), of
}

// sample is a snapshot of two nodes and a third that is missing.
func sample(t testing.TB) (*Manifest, fstest.MapFS) {
	t.Helper()
	files := fstest.MapFS{}
	m := &Manifest{Name: "checkout", CreatedBy: "ada", Created: start.Add(time.Minute), Program: "sshark test", Since: start, Until: start.Add(time.Minute), Filter: `http && "x"`}
	for _, node := range []string{"node-a", "node-b"} {
		b, n := capture(t, node, 3, []byte("some bytes of a packet"))
		files[n.File] = &fstest.MapFile{Data: b}
		m.Nodes = append(m.Nodes, n)
	}
	m.Nodes = append(m.Nodes, Node{Name: "node-c", Missing: "connection refused"})
	var h History
	h.Learn(netip.MustParseAddr("10.0.0.1"), start.UnixNano(), []string{"shop/cart-0", "pod=cart-0"})
	h.Learn(netip.MustParseAddr("10.0.0.1"), start.Add(time.Second).UnixNano(), []string{"shop/cart-1", "pod=cart-1"})
	h.Learn(netip.MustParseAddr("::1"), start.UnixNano(), []string{"me"})
	var b bytes.Buffer
	if _, err := h.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	files[namesFile] = &fstest.MapFile{Data: b.Bytes()}
	return m, files
}

// written is a snapshot as bytes.
func written(t testing.TB, m *Manifest, files fstest.MapFS) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(m, files, func() (io.Writer, error) { b.Reset(); return &b, nil }); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read reads all of a snapshot.
func read(b []byte, l Limits) (m *Manifest, names []Named, files map[string][]byte, err error) {
	rd, err := NewReader(bytes.NewReader(b), l)
	if err != nil {
		return nil, nil, nil, err
	}
	files = map[string][]byte{}
	err = Extract(rd, func(n Named) error { names = append(names, n); return nil }, func(n *Node) (io.WriteCloser, error) {
		return &sink{files, n.File}, nil
	})
	return rd.Manifest(), names, files, err
}

type sink struct {
	files map[string][]byte
	name  string
}

func (s *sink) Write(b []byte) (int, error) {
	s.files[s.name] = append(s.files[s.name], b...)
	return len(b), nil
}
func (s *sink) Close() error { return nil }

func TestRoundTrip(t *testing.T) {
	m, files := sample(t)
	b := written(t, m, files)
	got, names, nodes, err := read(b, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, m) {
		t.Errorf("manifest\n%+v, want\n%+v", got, m)
	}
	for _, n := range m.Nodes {
		if n.File != "" && !bytes.Equal(nodes[n.File], files[n.File].Data) {
			t.Errorf("%s differs", n.File)
		}
	}
	var text []string
	for _, n := range names {
		text = append(text, n.Addr.String()+" "+n.From.Sub(start).String()+" "+strings.Join(n.Names, ","))
	}
	want := []string{"10.0.0.1 0s shop/cart-0,pod=cart-0", "10.0.0.1 1s shop/cart-1,pod=cart-1", "::1 0s me"}
	if !reflect.DeepEqual(text, want) {
		t.Errorf("names %q", text)
	}
	if !got.Partial() {
		t.Error("nothing says that a node is missing")
	}
}

// TestWellCompressed: traffic of nothing but zeros is written so that it can be read.
func TestWellCompressed(t *testing.T) {
	m, files := sample(t)
	b, n := capture(t, "node-a", 600, make([]byte, 60000))
	files[n.File], m.Nodes[0] = &fstest.MapFile{Data: b}, n
	if _, _, _, err := read(written(t, m, files), Limits{}); err != nil {
		t.Error(err)
	}
}

func TestHistory(t *testing.T) {
	a := netip.MustParseAddr("10.0.0.1")
	for _, tt := range []struct {
		name string
		told []string // in turn: "second name"
		want string
	}{
		{"once", []string{"1 a"}, "1 a"},
		{"again", []string{"1 a", "2 a"}, "1 a"},
		{"changed and back", []string{"1 a", "2 b", "3 a"}, "1 a, 2 b, 3 a"},
		{"known earlier by another node", []string{"2 a", "1 a"}, "1 a"},
		{"between", []string{"1 a", "3 c", "2 b"}, "1 a, 2 b, 3 c"},
		{"at once by two", []string{"1 a", "1 b", "1 b"}, "1 a, 1 b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var h History
			for _, told := range tt.told {
				h.Learn(a, int64(told[0]-'0')*1e9, []string{told[2:]})
			}
			var b bytes.Buffer
			if _, err := h.WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			var got []string
			err := readNames(&b, func(n Named) error {
				got = append(got, string(rune('0'+n.From.Unix()))+" "+n.Names[0])
				return nil
			})
			if text := strings.Join(got, ", "); err != nil || text != tt.want {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

// entry is one of a hostile archive.
type entry struct {
	tar.Header
	body []byte
}

// entries takes a snapshot apart.
func entries(t testing.TB, b []byte) []entry {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var all []entry
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry{*h, body})
	}
}

// archive puts one together.
func archive(t testing.TB, all []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range all {
		if e.Typeflag == tar.TypeReg {
			e.Size = int64(len(e.body))
		}
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// manifest changes the manifest of a snapshot.
func manifest(all []entry, change func(m map[string]any)) []entry {
	var m map[string]any
	if json.Unmarshal(all[0].body, &m) != nil {
		panic("the manifest is no JSON")
	}
	change(m)
	all[0].body, _ = json.Marshal(m)
	return all
}

func node(m map[string]any, n int) map[string]any { return m["nodes"].([]any)[n].(map[string]any) }

func plainFile(name string, body []byte) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, body}
}

func TestHostile(t *testing.T) {
	m, files := sample(t)
	good := written(t, m, files)
	zeros := make([]byte, 40<<20)
	for _, tt := range []struct {
		name   string
		make   func(all []entry) []entry
		limits Limits
		want   error
		says   string
	}{
		{"absolute path", func(a []entry) []entry { a[2].Name = "/etc/passwd"; return a }, Limits{}, ErrUnsafe, "/etc/passwd"},
		{"path out of the folder", func(a []entry) []entry { a[2].Name = "../node-a.pcapng"; return a }, Limits{}, ErrUnsafe, "is a path"},
		{"folder of its own", func(a []entry) []entry { a[2].Name = "x/node-a.pcapng"; return a }, Limits{}, ErrUnsafe, "is a path"},
		{"backslashes", func(a []entry) []entry { a[2].Name = `..\node-a.pcapng`; return a }, Limits{}, ErrUnsafe, "is a path"},
		{"path in the manifest", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { node(m, 0)["file"] = "../../x.pcapng" })
		}, Limits{}, ErrManifest, "plain name"},
		{"hidden file in the manifest", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { node(m, 0)["file"] = ".x.pcapng" })
		}, Limits{}, ErrManifest, "plain name"},
		{"symbolic link", func(a []entry) []entry {
			a[2] = entry{tar.Header{Typeflag: tar.TypeSymlink, Name: "node-a.pcapng", Linkname: "/etc/passwd"}, nil}
			return a
		}, Limits{}, ErrUnsafe, "is a link"},
		{"hard link", func(a []entry) []entry {
			a[2] = entry{tar.Header{Typeflag: tar.TypeLink, Name: "node-a.pcapng", Linkname: "manifest.json"}, nil}
			return a
		}, Limits{}, ErrUnsafe, "is a link"},
		{"device", func(a []entry) []entry {
			a[2] = entry{tar.Header{Typeflag: tar.TypeBlock, Name: "node-a.pcapng", Devmajor: 8}, nil}
			return a
		}, Limits{}, ErrUnsafe, "no plain file"},
		{"pipe", func(a []entry) []entry {
			a[2] = entry{tar.Header{Typeflag: tar.TypeFifo, Name: "node-a.pcapng"}, nil}
			return a
		}, Limits{}, ErrUnsafe, "no plain file"},
		{"folder", func(a []entry) []entry {
			return append([]entry{{tar.Header{Typeflag: tar.TypeDir, Name: "x/"}, nil}}, a...)
		}, Limits{}, ErrUnsafe, "is a folder"},
		{"file twice", func(a []entry) []entry { return append(a[:3:3], a[2], a[3]) }, Limits{}, ErrUnsafe, "comes where"},
		{"file twice at the end", func(a []entry) []entry { return append(a, a[3]) }, Limits{}, ErrUnsafe, "twice"},
		{"manifest twice", func(a []entry) []entry { return append(a, a[0]) }, Limits{}, ErrUnsafe, "manifest.json"},
		{"file of two nodes", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { node(m, 1)["file"] = "NODE-A.pcapng" })
		}, Limits{}, ErrManifest, "two nodes"},
		{"node twice", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { node(m, 1)["node"] = "node-a" })
		}, Limits{}, ErrManifest, "twice"},
		{"something else too", func(a []entry) []entry { return append(a, plainFile("run.sh", []byte("rm -rf /"))) }, Limits{}, ErrUnsafe, "run.sh"},
		{"file missing", func(a []entry) []entry { return a[:3] }, Limits{}, ErrTruncated, ""},
		{"no names", func(a []entry) []entry { return append(a[:1:1], a[2:]...) }, Limits{}, ErrUnsafe, "names.json"},
		{"empty", func([]entry) []entry { return nil }, Limits{}, ErrFormat, "empty"},
		{"no manifest", func(a []entry) []entry { return a[1:] }, Limits{}, ErrFormat, "names.json"},
		{"manifest of something else", func(a []entry) []entry { a[0].body = []byte(`{"layers":[]}`); return a }, Limits{}, ErrFormat, "manifest.json"},
		{"manifest that is no JSON", func(a []entry) []entry { a[0].body = []byte(`{`); return a }, Limits{}, ErrFormat, "manifest.json"},
		{"later version", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { m["format"] = 2 })
		}, Limits{}, ErrVersion, "format is 2"},
		{"wrong name", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { m["name"] = "../x" })
		}, Limits{}, ErrManifest, "name"},
		{"window that ends before it begins", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { m["until"] = "2020-01-01T00:00:00Z" })
		}, Limits{}, ErrManifest, "window"},
		{"no nodes", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { m["nodes"] = []any{} })
		}, Limits{}, ErrManifest, "no node"},
		{"too many nodes", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) {
				many := make([]any, maxNodes+1)
				for i := range many {
					many[i] = map[string]any{}
				}
				m["nodes"] = many
			})
		}, Limits{}, ErrManifest, "more than"},
		{"wrong size", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { node(m, 0)["size"] = 17 })
		}, Limits{}, ErrManifest, "17"},
		{"negative size", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { node(m, 0)["size"] = -1 })
		}, Limits{}, ErrManifest, "less than no bytes"},
		{"wrong count of packets", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { node(m, 0)["packets"] = 4 })
		}, Limits{}, ErrManifest, "4 packets"},
		{"wrong times", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { node(m, 0)["newest"] = "2026-01-02T15:04:06Z" })
		}, Limits{}, ErrManifest, "times"},
		{"packets without a file", func(a []entry) []entry {
			return manifest(a, func(m map[string]any) { node(m, 2)["packets"] = 4 })
		}, Limits{}, ErrManifest, "no file"},
		{"no capture", func(a []entry) []entry {
			a[2].body = bytes.Repeat([]byte("x"), len(a[2].body))
			return a
		}, Limits{}, ErrFormat, "node-a.pcapng"},
		{"compressed capture within", func(a []entry) []entry {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write(zeros)
			_ = z.Close()
			a[2].body = b.Bytes()
			return manifest(a, func(m map[string]any) { node(m, 0)["size"] = b.Len() })
		}, Limits{}, ErrFormat, "plain pcapng"},
		{"damaged capture", func(a []entry) []entry {
			a[2].body[len(a[2].body)-3] ^= 0xff
			return a
		}, Limits{}, ErrFormat, "node-a.pcapng"},
		{"more than is allowed, by the manifest", nil, Limits{Bytes: 500}, ErrTooLarge, "500 bytes"},
		{"a bomb", func(a []entry) []entry {
			b, n := capture(t, "node-a", 700, make([]byte, 60000))
			a[2].body = b
			return manifest(a, func(m map[string]any) {
				node(m, 0)["size"], node(m, 0)["packets"], node(m, 0)["bytes"] = n.Size, n.Packets, n.Bytes
			})
		}, Limits{}, ErrTooLarge, "come out of"},
		{"a bomb of names", func(a []entry) []entry {
			a[1].body = append([]byte("["), bytes.Repeat([]byte(" "), 10<<20)...)
			return a
		},
			Limits{}, ErrManifest, "too long"},
		{"too many names", func(a []entry) []entry {
			a[1].body = append(a[1].body, bytes.Repeat([]byte(" "), maxNames)...)
			return a
		}, Limits{}, ErrTooLarge, "names.json"},
		{"names that are none", func(a []entry) []entry { a[1].body = []byte(`{"a":1}`); return a }, Limits{}, ErrManifest, "names.json"},
		{"names cut off", func(a []entry) []entry { a[1].body = a[1].body[:40]; return a }, Limits{}, ErrManifest, "names.json"},
		{"name without an address", func(a []entry) []entry { a[1].body = []byte(`[{"names":["x"]}]`); return a }, Limits{}, ErrManifest, "names.json"},
		{"large manifest", func(a []entry) []entry {
			a[0].body = append(a[0].body, bytes.Repeat([]byte(" "), maxManifest)...)
			return a
		},
			Limits{}, ErrTooLarge, "manifest.json"},
		{"what other tars add", func(a []entry) []entry {
			a[2].Format, a[2].PAXRecords = tar.FormatPAX, map[string]string{"SCHILY.xattr.x": "y"}
			return a
		}, Limits{}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := entries(t, good)
			if tt.make != nil {
				all = tt.make(all)
			}
			_, _, _, err := read(archive(t, all), tt.limits)
			if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %v with %q", err, tt.want, tt.says)
			}
		})
	}
}

// TestHoles: a file may claim bytes that are not there, in the ways of GNU tar.
func TestHoles(t *testing.T) {
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeGNUSparse, Name: "node-a.pcapng", Size: 1 << 40},
		{Typeflag: tar.TypeReg, Name: "node-a.pcapng", Size: 1 << 40, PAXRecords: map[string]string{"GNU.sparse.major": "1"}},
	} {
		if unsafe(h) == "" {
			t.Errorf("%+v is taken", h)
		}
	}
}

// TestDamage: a snapshot that was cut off or changed at any byte is refused.
func TestDamage(t *testing.T) {
	m, files := sample(t)
	good := written(t, m, files)
	for n := range good {
		if _, _, _, err := read(good[:n], Limits{}); err == nil {
			t.Fatalf("cut off at %d of %d: it is taken", n, len(good))
		}
		if n < 10 { // what gzip says of itself: time, system
			continue
		}
		bad := bytes.Clone(good)
		bad[n] ^= 0x20
		// A bit of padding changes nothing.
		if got, _, nodes, err := read(bad, Limits{}); err == nil && (!reflect.DeepEqual(got, m) || !bytes.Equal(nodes["node-a.pcapng"], files["node-a.pcapng"].Data)) {
			t.Fatalf("changed at %d of %d: it is taken", n, len(good))
		}
	}
	for name, more := range map[string][]byte{"two in a row": good, "bytes behind the end": []byte("x"), "another gzip": archive(t, nil)} {
		if _, _, _, err := read(append(bytes.Clone(good), more...), Limits{}); (err == nil) != (name == "another gzip") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(m *Manifest, files fstest.MapFS)
	}{
		{"name", func(m *Manifest, _ fstest.MapFS) { m.Name = "A" }},
		{"size", func(m *Manifest, _ fstest.MapFS) { m.Nodes[0].Size++ }},
		{"file", func(m *Manifest, files fstest.MapFS) { delete(files, m.Nodes[1].File) }},
		{"names", func(_ *Manifest, files fstest.MapFS) { delete(files, namesFile) }},
		{"a node without a reason", func(m *Manifest, _ fstest.MapFS) { m.Nodes[2].Missing = "" }},
	} {
		m, files := sample(t)
		tt.change(m, files)
		if err := Write(m, files, func() (io.Writer, error) { return io.Discard, nil }); err == nil {
			t.Errorf("%s: it is written", tt.name)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{"a": true, "0.b_c-d": true, "": false, ".a": false, "-a": false, "A": false, "a/b": false, "a b": false,
		strings.Repeat("a", 63): true, strings.Repeat("a", 64): false, "a\n": false} {
		if ValidName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
	taken := []string{}
	for _, node := range []string{"node-a", "NODE-A", "node/a", "../../x", "", strings.Repeat("n", 300), "ünode"} {
		f := FileName(node, taken...)
		if !filePattern.MatchString(f) {
			t.Errorf("%q: %q", node, f)
		}
		for _, other := range taken {
			if strings.EqualFold(f, other) {
				t.Errorf("%q: %q again", node, f)
			}
		}
		taken = append(taken, f)
	}
}
