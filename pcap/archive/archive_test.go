package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/memtest"
	"github.com/sshark/sshark/pcap/pcapng"
)

// file is a member to be packed.
type file struct {
	name string
	body string
	kind byte // tar.TypeReg by default
	link string
}

func packed(t testing.TB, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		if f.kind == 0 {
			f.kind = tar.TypeReg
		}
		if err := w.WriteHeader(&tar.Header{Name: f.name, Size: int64(len(f.body)), Mode: 0o600, Typeflag: f.kind, Linkname: f.link}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func capture(t testing.TB) string {
	t.Helper()
	var out bytes.Buffer
	w := pcapng.NewClassicWriter(&out)
	if err := w.Write(&pcap.Packet{Time: 1, Data: []byte("x"), Length: 1, Iface: &pcap.Interface{Link: pcap.LinkRaw}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestUnpack(t *testing.T) {
	c := capture(t)
	tarred := packed(t, file{name: "node-a/", kind: tar.TypeDir}, file{name: "node-a/1.pcap", body: c}, file{name: "node-a/" + HistoryName, body: "{}"},
		file{name: "../../etc/passwd.pcap", body: c}, file{name: "/abs/2.pcap.gz", body: string(gz(t, []byte(c)))}, file{name: "README", body: "hello, reader"},
		file{name: "out", kind: tar.TypeSymlink, link: "/etc/passwd"}, file{name: "empty.pcap"}, file{name: "last.pcap", body: c})
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string][]byte{"tar": tarred, "gzip": gz(t, tarred), "zstd": z.EncodeAll(tarred, nil)} {
		t.Run(name, func(t *testing.T) {
			if !Is(bytes.NewReader(in)) {
				t.Fatal("it is not known for an archive")
			}
			dir := t.TempDir()
			got, err := Unpack(bytes.NewReader(in), filepath.Join(dir))
			if err != nil || got.Problem != nil {
				t.Fatal(err, got)
			}
			var names []string
			for _, m := range got.Members {
				names = append(names, m.Folder()+":"+m.Name)
				b, err := os.ReadFile(m.Path)
				if err != nil || filepath.Dir(m.Path) != dir {
					t.Errorf("%s: %v", m.Path, err)
				}
				if strings.HasSuffix(m.Name, ".pcap") && string(b) != c {
					t.Errorf("%s differs", m.Name)
				}
			}
			if got, want := strings.Join(names, " "), "node-a:node-a/1.pcap node-a:node-a/"+HistoryName+" etc:etc/passwd.pcap abs:abs/2.pcap.gz :last.pcap"; got != want {
				t.Errorf("members %s, want %s", got, want)
			}
			if got, want := strings.Join(got.Skipped, " "), "README out empty.pcap"; got != want {
				t.Errorf("skipped %s, want %s", got, want)
			}
		})
	}
}

func TestNotAnArchive(t *testing.T) {
	for name, in := range map[string][]byte{"capture": []byte(capture(t)), "zeros": make([]byte, 2000), "short": []byte("x"), "a cut one": packed(t, file{name: "a", body: "b"})[:300]} {
		if Is(bytes.NewReader(in)) {
			t.Errorf("%s is taken for an archive", name)
		}
	}
}

func TestDamaged(t *testing.T) {
	c := capture(t)
	whole := packed(t, file{name: "1.pcap", body: c}, file{name: "2.pcap", body: strings.Repeat(c, 100)}, file{name: "3.pcap", body: c})
	check := func(name string, in []byte, members int, want string) {
		got, err := Unpack(bytes.NewReader(in), t.TempDir())
		if err != nil || len(got.Members) != members || got.Problem == nil || !strings.Contains(got.Problem.Error(), want) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	check("cut in a member", whole[:2048], 2, "cut off")
	check("cut in a header", whole[:1024+100], 1, "cut off")
	bad := bytes.Clone(whole)
	bad[1024+200] ^= 1
	check("a damaged header", bad, 1, "invalid tar header")

	if _, err := Unpack(bytes.NewReader(packed(t, file{name: "README", body: "hello"})), t.TempDir()); !errors.Is(err, ErrEmpty) {
		t.Errorf("without a capture: %v", err)
	}
}

// A small archive that would fill the disk is refused.
func TestBomb(t *testing.T) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	const size, slack = 20 << 20, 4 << 20
	if err := w.WriteHeader(&tar.Header{Name: "1.pcap", Size: size, Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, capture(t)); err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for n := len(capture(t)); n < size; n += len(zeros) {
		if _, err := w.Write(zeros[:min(len(zeros), size-n)]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	whole := out.Bytes()
	if _, err := unpack(bytes.NewReader(whole), t.TempDir(), size); err != nil {
		t.Errorf("within the bound: %v", err)
	}
	if _, err := unpack(bytes.NewReader(whole), t.TempDir(), slack); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

// Whatever comes in: no panic, and nothing is written but in the folder, and
// less than 64 MiB are held.
func FuzzUnpack(f *testing.F) {
	c := capture(f)
	whole := packed(f, file{name: "node-a/1.pcap", body: c}, file{name: "../" + HistoryName, body: "{}"}, file{name: "x", kind: tar.TypeLink, link: "/etc/passwd"})
	f.Add(whole)
	f.Add(gz(f, whole))
	memory := memtest.New(64 << 20)
	f.Fuzz(func(t *testing.T, in []byte) {
		memory.Input()
		parent := t.TempDir()
		dir := filepath.Join(parent, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		Is(bytes.NewReader(in))
		got, err := Unpack(memory.Reader(t, bytes.NewReader(in)), dir)
		if (got == nil) == (err == nil) {
			t.Fatalf("%v and %v", got, err)
		}
		memory.Check(t)
		if left, _ := os.ReadDir(parent); len(left) != 1 {
			t.Fatalf("%v", left)
		}
		if got != nil {
			for _, m := range got.Members {
				if filepath.Dir(m.Path) != dir || strings.HasPrefix(m.Name, "/") || strings.HasPrefix(m.Name, "..") {
					t.Fatalf("%+v", m)
				}
			}
		}
	})
}
