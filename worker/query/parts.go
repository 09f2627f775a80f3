package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/archive"
	"github.com/sshark/sshark/pcap/pcapng"
)

// maxParts is how many captures are read at once.
const maxParts = 4096

// part is one capture of a File.
type part struct {
	label string // how messages name it; no two parts of a file have one label
	path  string // it can be read here again and again
	// place is the node that its packets are told to be from where they name none, "": nothing
	// is told.
	place string
	size  int64
}

// add takes what a path stands for: a capture, an archive of them, or a pattern of names.
func (f *File) add(path string) error {
	if path != "-" && strings.ContainsAny(path, "*?[") {
		if _, err := os.Lstat(path); err != nil { // not the name of a file that is there
			found, err := filepath.Glob(path)
			switch {
			case err != nil:
				return fmt.Errorf("%s: %w", path, err)
			case len(found) == 0:
				return fmt.Errorf("%s: no file has such a name", path)
			}
			for _, p := range found {
				if err := f.addOne(p); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return f.addOne(path)
}

func (f *File) addOne(path string) error {
	in, where := os.Stdin, path
	if path != "-" {
		var err error
		if in, err = os.Open(path); err != nil {
			return err
		}
		defer in.Close()
	} else if f.stdin {
		return errors.New("- is standard input, and can be read once only")
	}
	st, err := in.Stat()
	if err != nil {
		return err
	}
	if st.IsDir() {
		return fmt.Errorf("%s is a folder; for the files in it: --pcap '%s'", path, filepath.Join(path, "*"))
	}
	if !st.Mode().IsRegular() || path == "-" {
		f.stdin = f.stdin || path == "-"
		if where, err = f.spool(in); err != nil {
			return fmt.Errorf("copy %s: %w", path, err)
		}
	}
	again, err := os.Open(where)
	if err != nil {
		return err
	}
	defer again.Close()
	if archive.Is(again) {
		return f.addArchive(path, again)
	}
	return f.addPart(part{label: path, path: where})
}

// addArchive takes the captures of an archive, which may be a snapshot.
func (f *File) addArchive(path string, in io.ReadSeeker) error {
	for _, take := range []func(string, io.Reader) (bool, error){f.takeSnapshot, f.unpack} {
		if _, err := in.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if taken, err := take(path, in); taken || err != nil {
			return err
		}
	}
	return nil
}

// addPart makes sure that a part is a capture.
func (f *File) addPart(p part) error {
	if len(f.parts) == maxParts {
		return fmt.Errorf("more than %d captures at once; put some together first: mergecap -w all.pcapng …", maxParts)
	}
	in, err := os.Open(p.path)
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := pcapng.NewReader(in, pcapng.ReaderOptions{Buffer: minBuffer}); err != nil {
		return fmt.Errorf("read %s: %w", p.label, err)
	}
	if st, err := in.Stat(); err == nil {
		p.size = st.Size()
	}
	f.parts = append(f.parts, p)
	return nil
}

// folder is where the copies are.
func (f *File) folder() (string, error) {
	if f.temp == "" {
		var err error
		if f.temp, err = os.MkdirTemp("", "sshark-*"); err != nil {
			return "", err
		}
	}
	return f.temp, nil
}

// spool copies what can be read once.
func (f *File) spool(in io.Reader) (path string, err error) {
	dir, err := f.folder()
	if err != nil {
		return "", err
	}
	out, err := os.CreateTemp(dir, "*.pcap")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, in)
	return out.Name(), errors.Join(err, out.Close())
}

// unpack takes the captures of an archive. Those in a folder are from the node that it is
// named for.
func (f *File) unpack(path string, in io.Reader) (taken bool, err error) {
	dir, err := f.folder()
	if err == nil {
		dir, err = os.MkdirTemp(dir, "")
	}
	if err != nil {
		return false, err
	}
	c, err := archive.Unpack(in, dir)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	if c.Problem != nil {
		f.problems = append(f.problems, NodeReport{Node: path, Missing: fmt.Sprintf("%v; what comes before is complete", c.Problem)})
	}
	for _, m := range c.Members {
		if m.History {
			err = f.history(m.Path)
		} else {
			err = f.addPart(part{label: path + "/" + m.Name, path: m.Path, place: m.Folder()})
			if errors.Is(err, pcapng.ErrFormat) { // a compressed text
				f.notes = append(f.notes, fmt.Sprintf("%s/%s is no capture", path, m.Name))
				err = nil
			}
		}
		if err != nil {
			return false, fmt.Errorf("read %s/%s: %w", path, m.Name, err)
		}
	}
	if len(f.parts) == 0 {
		return false, fmt.Errorf("read %s: %w", path, archive.ErrEmpty)
	}
	return true, nil
}

// name gives the parts their labels: as short as tells them apart.
func (f *File) name() {
	count := map[string]int{}
	for i := range f.parts {
		count[filepath.Base(f.parts[i].label)]++
	}
	used := map[string]bool{}
	for i := range f.parts {
		p := &f.parts[i]
		if b := filepath.Base(p.label); count[b] == 1 {
			p.label = b
		}
		for n, l := 2, p.label; used[p.label]; n++ {
			p.label = fmt.Sprintf("%s (%d)", l, n)
		}
		used[p.label] = true
	}
}

// settle finds out, once, whether the files that do not say where they were captured are of
// several places. Such that follow each other, as a capture that changes its file does, are
// of one: a flow may go on in the next. Where any two of them overlap, each is a place of
// its own, so that what two of them saw is not taken for sent twice.
func (f *File) settle(ctx context.Context) error {
	if len(f.parts) == 1 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.settled {
		return nil
	}
	type span struct {
		part        *part
		first, last int64
	}
	var spans []span
	for i := range f.parts {
		p := &f.parts[i]
		if p.place != "" {
			continue
		}
		first, last, nameless, err := p.span(ctx)
		if err != nil {
			return err
		}
		if nameless {
			spans = append(spans, span{p, first, last})
		}
	}
	slices.SortStableFunc(spans, func(a, b span) int {
		switch {
		case a.first < b.first:
			return -1
		case a.first > b.first:
			return 1
		}
		return 0
	})
	overlap := false
	for i := 1; i < len(spans); i++ {
		overlap = overlap || spans[i].first < spans[i-1].last
		spans[i].last = max(spans[i].last, spans[i-1].last)
	}
	if overlap {
		for _, s := range spans {
			s.part.place = s.part.label
		}
		f.notes = append(f.notes, fmt.Sprintf("%d of the files overlap in time and do not say where they are from: each is taken for a place of its own", len(spans)))
	}
	f.settled = true
	return nil
}

// span is when the first and the last packet of a part are of. It stops at a packet that says
// where it was captured.
func (p *part) span(ctx context.Context) (first, last int64, nameless bool, err error) {
	in, err := os.Open(p.path)
	if err != nil {
		return 0, 0, false, err
	}
	defer in.Close()
	rd, err := pcapng.NewReader(in, pcapng.ReaderOptions{})
	if err != nil {
		return 0, 0, false, fmt.Errorf("read %s: %w", p.label, err)
	}
	var packet pcap.Packet
	for n := 0; ; n++ {
		if n&1023 == 0 && ctx.Err() != nil {
			return 0, 0, false, ctx.Err()
		}
		if rd.Next(&packet) != nil { // what is wrong with it is told when it is read
			return first, last, n > 0, nil
		}
		if packet.Iface.Pod != (pcap.Pod{}) || packet.Iface.Node != "" {
			return 0, 0, false, nil
		}
		if n == 0 || packet.Time < first {
			first = packet.Time
		}
		last = max(last, packet.Time)
	}
}
