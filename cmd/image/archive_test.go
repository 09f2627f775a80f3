package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func testImage() *image {
	return &image{name: "localhost/sshark", version: "v1", revision: "abc", path: programPath, created: time.Unix(1767225600, 0).UTC(),
		programs: []program{{"amd64", []byte("one program")}, {"arm64", []byte("the other program")}}}
}

// untar reads an archive's files, and what their headers say.
func untar(t *testing.T, r io.Reader) (files map[string][]byte, headers map[string]*tar.Header) {
	t.Helper()
	files, headers = map[string][]byte{}, map[string]*tar.Header{}
	for a := tar.NewReader(r); ; {
		h, err := a.Next()
		if errors.Is(err, io.EOF) {
			return files, headers
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(a); err != nil {
			t.Fatal(err)
		}
		headers[h.Name] = h
	}
}

// follow returns what a descriptor leads to, after its size and digest were compared.
func follow(t *testing.T, files map[string][]byte, d descriptor, mediaType string) []byte {
	t.Helper()
	text, ok := files["blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:")]
	if !ok || len(text) != d.Size || "sha256:"+digest(text) != d.Digest || d.MediaType != mediaType {
		t.Fatalf("%+v (wanted: %s) leads to %d bytes, found: %v", d, mediaType, len(text), ok)
	}
	return text
}

func read[T any](t *testing.T, text []byte) (v T) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestArchive(t *testing.T) {
	im := testImage()
	var b bytes.Buffer
	if err := im.write(&b); err != nil {
		t.Fatal(err)
	}
	files, _ := untar(t, &b)
	if got := string(files["oci-layout"]); got != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("oci-layout: %s", got)
	}
	entry := read[index](t, files["index.json"])
	if len(entry.Manifests) != 1 || entry.Manifests[0].Annotations["io.containerd.image.name"] != "localhost/sshark:v1" {
		t.Fatalf("index.json: %+v", entry)
	}
	top := read[index](t, follow(t, files, entry.Manifests[0], typeIndex))
	if len(top.Manifests) != len(im.programs) {
		t.Fatalf("%d architectures, want %d", len(top.Manifests), len(im.programs))
	}
	for i, p := range im.programs {
		t.Run(p.arch, func(t *testing.T) {
			d := top.Manifests[i]
			if d.Platform == nil || *d.Platform != (platform{p.arch, "linux"}) {
				t.Errorf("platform: %+v", d.Platform)
			}
			m := read[manifest](t, follow(t, files, d, typeManifest))
			c := read[config](t, follow(t, files, m.Config, typeConfig))
			if c.Architecture != p.arch || c.Config.Labels["org.opencontainers.image.version"] != "v1" || c.Config.Labels["org.opencontainers.image.revision"] != "abc" {
				t.Errorf("configuration: %+v", c)
			}
			packed, err := gzip.NewReader(bytes.NewReader(follow(t, files, m.Layers[0], typeLayer)))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(packed)
			if err != nil {
				t.Fatal(err)
			}
			if want := "sha256:" + digest(plain); len(c.RootFS.DiffIDs) != 1 || c.RootFS.DiffIDs[0] != want {
				t.Errorf("diff_ids %q, the layer is %s", c.RootFS.DiffIDs, want)
			}
			inside, headers := untar(t, bytes.NewReader(plain))
			name := strings.TrimPrefix(c.Config.Entrypoint[0], "/")
			if !bytes.Equal(inside[name], p.text) || headers[name].Mode != 0o755 || headers[name].Uid != 0 {
				t.Errorf("%s: %q, %+v", name, inside[name], headers[name])
			}
			for name, h := range headers {
				if !h.ModTime.Equal(im.created) {
					t.Errorf("%s is of %v, want %v", name, h.ModTime, im.created)
				}
			}
		})
	}
}

func TestArchiveIsReproducible(t *testing.T) {
	var a, b bytes.Buffer
	if err := errors.Join(testImage().write(&a), testImage().write(&b)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same image gives different archives")
	}
}

// broken fails after some bytes.
type broken struct{ left int }

var errDisk = errors.New("disk full")

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestWriteErrors(t *testing.T) {
	var whole bytes.Buffer
	if err := testImage().write(&whole); err != nil {
		t.Fatal(err)
	}
	for left := 0; left < whole.Len(); left += 512 {
		if err := testImage().write(&broken{left}); !errors.Is(err, errDisk) {
			t.Errorf("with room for %d of %d bytes: %v", left, whole.Len(), err)
		}
	}
}

func TestSourceDate(t *testing.T) {
	for in, want := range map[string]string{"": "1970-01-01T00:00:00Z", "1767225600": "2026-01-01T00:00:00Z"} {
		if got, err := sourceDate(in); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%q: %v, %v, want %s", in, got, err, want)
		}
	}
	if _, err := sourceDate("today"); err == nil || !strings.Contains(err.Error(), "seconds since 1970") {
		t.Errorf("today: %v", err)
	}
}

// TestDockerfile holds the image that an engine builds to the one that is built here.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		fmt.Sprintf("ENTRYPOINT [%q]\n", programPath), "ENV PATH=" + searchPath + "\n", "USER " + user + "\n",
		"-o /out" + programPath + " ./cmd/sshark\n", "\nFROM scratch\n", "CGO_ENABLED=0 ",
	}
	for k, v := range labels {
		want = append(want, fmt.Sprintf("%s=%q", k, v))
	}
	for _, w := range want {
		if !strings.Contains(string(text), w) {
			t.Errorf("the Dockerfile lacks %q", w)
		}
	}
}
