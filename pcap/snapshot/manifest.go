package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Manifest says what a snapshot is. Times are UTC.
type Manifest struct {
	Format     int       `json:"format"` // FormatVersion
	Name       string    `json:"name"`
	CreatedBy  string    `json:"created_by,omitempty"`
	Created    time.Time `json:"created"`
	Program    string    `json:"program,omitempty"` // that made it, with its version
	Since      time.Time `json:"since"`             // the window, half open
	Until      time.Time `json:"until"`
	Filter     string    `json:"filter,omitempty"`     // as typed
	Namespaces []string  `json:"namespaces,omitempty"` // the maker could export no others; none: everything
	Nodes      nodes     `json:"nodes"`
}

// Node is one node's part in a snapshot.
type Node struct {
	Name    string    `json:"node"`
	File    string    `json:"file,omitempty"` // its entry; "": nothing came of it
	Size    int64     `json:"size"`           // bytes of that file
	Packets uint64    `json:"packets"`
	Bytes   uint64    `json:"bytes"`           // of the packets, as captured
	Drops   uint64    `json:"drops"`           // packets lost in the window, as far as the node can tell
	Oldest  time.Time `json:"oldest,omitzero"` // of the packets in the file
	Newest  time.Time `json:"newest,omitzero"`
	Kept    time.Time `json:"kept_from,omitzero"` // the oldest packet that the node kept then
	Missing string    `json:"missing,omitempty"`  // why some or all of it did not come
	Notes   []string  `json:"notes,omitempty"`
}

// nodes bounds how many are read.
type nodes []Node

// UnmarshalJSON implements json.Unmarshaler.
func (n *nodes) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return fmt.Errorf("nodes: want a list")
	}
	for d.More() {
		if len(*n) == maxNodes {
			return fmt.Errorf("nodes: more than %d", maxNodes)
		}
		var one Node
		if err := d.Decode(&one); err != nil {
			return fmt.Errorf("node %d: %w", len(*n)+1, err)
		}
		*n = append(*n, one)
	}
	return nil
}

// Partial says whether something is missing.
func (m *Manifest) Partial() bool {
	return slices.ContainsFunc(m.Nodes, func(n Node) bool { return n.Missing != "" })
}

// Totals are the sums over all nodes: bytes of the files, packets, their bytes, drops.
func (m *Manifest) Totals() (size int64, packets, captured, drops uint64) {
	for i := range m.Nodes {
		n := &m.Nodes[i]
		size += n.Size
		packets += n.Packets
		captured += n.Bytes
		drops += n.Drops
	}
	return size, packets, captured, drops
}

var filePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.pcapng$`)

// FileName is the name of a node's file; taken are those of the others.
func FileName(node string, taken ...string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '-'
	}, node)
	clean = strings.TrimLeft(clean, ".-_")
	if clean = clean[:min(len(clean), 150)]; clean == "" {
		clean = "node"
	}
	// Some file systems do not tell upper case from lower case.
	used := func(f string) bool {
		return slices.ContainsFunc(taken, func(t string) bool { return strings.EqualFold(t, f) })
	}
	name := clean + packetsExt
	for n := 2; used(name); n++ {
		name = clean + "-" + strconv.Itoa(n) + packetsExt
	}
	return name
}

// check says what is wrong with a manifest.
func (m *Manifest) check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrManifest, fmt.Sprintf(format, args...))
	}
	switch {
	case !ValidName(m.Name):
		return wrong("name %q: want %s", cut(m.Name), NameRule)
	case m.Created.IsZero():
		return wrong("it does not say when it was made")
	case !m.Since.Before(m.Until):
		return wrong("its window is empty")
	case len(m.Nodes) == 0:
		return wrong("it names no node")
	case len(m.Nodes) > maxNodes:
		return wrong("it names more than %d nodes", maxNodes)
	}
	files, names := map[string]bool{}, map[string]bool{}
	for i := range m.Nodes {
		n := &m.Nodes[i]
		file := strings.ToLower(n.File)
		switch {
		case n.Name == "" || names[n.Name]:
			return wrong("node %d, %q, is named twice or not at all", i+1, cut(n.Name))
		case n.File == "" && (n.Size != 0 || n.Packets != 0):
			return wrong("node %q has packets and no file", cut(n.Name))
		case n.File == "" && n.Missing == "":
			return wrong("node %q has no file, and nothing says why", cut(n.Name))
		case n.File != "" && !filePattern.MatchString(n.File):
			return wrong("file %q of node %q: want a plain name that ends in %s", cut(n.File), cut(n.Name), packetsExt)
		case n.File != "" && files[file]:
			return wrong("file %q is of two nodes", n.File)
		case n.Size < 0:
			return wrong("file %q has less than no bytes", n.File)
		}
		files[file], names[n.Name] = true, true
	}
	if len(files) == 1 && files[""] {
		return wrong("no node has a file")
	}
	return nil
}

// cut bounds a text that somebody else wrote.
func cut(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// encode writes a manifest for people to read too.
func (m *Manifest) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	if b.Len() > maxManifest {
		return nil, fmt.Errorf("write manifest: %w: it has %d bytes, %d are allowed", ErrTooLarge, b.Len(), maxManifest)
	}
	return b.Bytes(), nil
}

// decodeManifest reads and checks one.
func decodeManifest(b []byte) (*Manifest, error) {
	var version struct {
		Format *int `json:"format"`
	}
	if err := json.Unmarshal(b, &version); err != nil || version.Format == nil {
		return nil, fmt.Errorf("%w: %s is not a snapshot's", ErrFormat, manifestFile)
	}
	if *version.Format != FormatVersion {
		return nil, fmt.Errorf("%w: its format is %d, this program reads %d", ErrVersion, *version.Format, FormatVersion)
	}
	m := &Manifest{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	return m, m.check()
}
