package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"time"
)

// What is in the image: one program, started as nobody in particular.
const (
	programPath = "/usr/local/bin/sshark"
	searchPath  = "/usr/local/bin" // so that `kubectl exec … -- sshark proxy` finds it
	user        = "65532:65532"
)

// labels of the image (https://specs.opencontainers.org/image-spec/annotations/), besides its
// version and revision.
var labels = map[string]string{
	"org.opencontainers.image.title":       "sshark",
	"org.opencontainers.image.description": "Records the traffic of a Kubernetes cluster and answers questions about it over SSH",
	"org.opencontainers.image.source":      "https://github.com/sshark/sshark",
	"org.opencontainers.image.licenses":    "Apache-2.0",
}

// image is one program, built for several architectures.
type image struct {
	name, version, revision string
	path                    string // of the program, in it
	created                 time.Time
	programs                []program
}

type program struct {
	arch string
	text []byte
}

// The parts of the OCI image format, version 1 (https://specs.opencontainers.org/image-spec/),
// that such an image has.
type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int               `json:"size"`
		Platform    *platform         `json:"platform,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	platform struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	}
	index struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}
	manifest struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}
	config struct {
		Created time.Time `json:"created"`
		platform
		Config struct {
			User       string
			Env        []string
			Entrypoint []string
			Labels     map[string]string
		} `json:"config"`
		RootFS struct {
			Type    string   `json:"type"`
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
)

const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// blobs are an archive's contents by their digest.
type blobs map[string][]byte

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (b blobs) add(mediaType string, text []byte) descriptor {
	d := digest(text)
	b[d] = text
	return descriptor{MediaType: mediaType, Digest: "sha256:" + d, Size: len(text)}
}

func (b blobs) addJSON(mediaType string, v any) (descriptor, error) {
	text, err := json.Marshal(v)
	return b.add(mediaType, text), err
}

// write writes the image as an archive: a layout in which the name leads to an index of
// architectures.
func (im *image) write(w io.Writer) error {
	all := blobs{}
	top := index{SchemaVersion: 2, MediaType: typeIndex}
	for _, p := range im.programs {
		d, err := im.add(all, p)
		if err != nil {
			return fmt.Errorf("make the image for %s: %w", p.arch, err)
		}
		top.Manifests = append(top.Manifests, d)
	}
	named, err := all.addJSON(typeIndex, top)
	if err != nil {
		return err
	}
	// containerd reads the first, the others the second.
	named.Annotations = map[string]string{
		"io.containerd.image.name":          im.name + ":" + im.version,
		"org.opencontainers.image.ref.name": im.version,
	}
	entry, err := json.Marshal(index{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{named}})
	if err != nil {
		return err
	}
	t := tree{w: tar.NewWriter(w), created: im.created}
	t.file("oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`))
	t.file("index.json", 0o644, entry)
	t.folder("blobs")
	t.folder("blobs/sha256")
	for _, d := range slices.Sorted(maps.Keys(all)) {
		t.file("blobs/sha256/"+d, 0o644, all[d])
	}
	return t.close()
}

// add adds one architecture's layer, configuration and manifest.
func (im *image) add(all blobs, p program) (descriptor, error) {
	plain, packed, err := im.layer(p.text)
	if err != nil {
		return descriptor{}, err
	}
	c := config{Created: im.created, platform: platform{p.arch, "linux"}}
	c.Config.User = user
	c.Config.Env = []string{"PATH=" + searchPath}
	c.Config.Entrypoint = []string{im.path}
	c.Config.Labels = map[string]string{"org.opencontainers.image.version": im.version}
	if im.revision != "" {
		c.Config.Labels["org.opencontainers.image.revision"] = im.revision
	}
	maps.Copy(c.Config.Labels, labels)
	c.RootFS.Type = "layers"
	c.RootFS.DiffIDs = []string{"sha256:" + digest(plain)}
	m := manifest{SchemaVersion: 2, MediaType: typeManifest, Layers: []descriptor{all.add(typeLayer, packed)}}
	if m.Config, err = all.addJSON(typeConfig, c); err != nil {
		return descriptor{}, err
	}
	d, err := all.addJSON(typeManifest, m)
	d.Platform = &c.platform
	return d, err
}

// layer is the program in its folders, as it is and compressed.
func (im *image) layer(text []byte) (plain, packed []byte, err error) {
	var b, z bytes.Buffer
	t := tree{w: tar.NewWriter(&b), created: im.created}
	t.folder("usr")
	t.folder("usr/local")
	t.folder(path.Dir(im.path)[1:])
	t.file(im.path[1:], 0o755, text)
	if err := t.close(); err != nil {
		return nil, nil, err
	}
	g := gzip.NewWriter(&z)
	if _, err := g.Write(b.Bytes()); err != nil {
		return nil, nil, err
	}
	if err := g.Close(); err != nil {
		return nil, nil, err
	}
	return b.Bytes(), z.Bytes(), nil
}

// tree writes a tar archive of root's files, all of one time. After an error it writes
// nothing; close tells the error.
type tree struct {
	w       *tar.Writer
	created time.Time
	err     error
}

func (t *tree) folder(name string) {
	t.entry(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}, nil)
}

func (t *tree) file(name string, mode int64, text []byte) {
	t.entry(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(text))}, text)
}

func (t *tree) entry(h tar.Header, text []byte) {
	if t.err != nil {
		return
	}
	h.ModTime, h.Format = t.created, tar.FormatUSTAR
	if t.err = t.w.WriteHeader(&h); t.err == nil {
		_, t.err = t.w.Write(text)
	}
}

func (t *tree) close() error {
	if t.err != nil {
		return t.err
	}
	return t.w.Close()
}
