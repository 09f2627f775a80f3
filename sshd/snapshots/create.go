package snapshots

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/snapshot"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/export"
	"github.com/sshark/sshark/worker/query"
)

// CreateOptions say what is to be kept. All but Filter and Progress are needed.
type CreateOptions struct {
	Name         string
	By           string
	Holds        auth.Scope   // what the source tells: what the maker may export
	Source       query.Source // asked once for its nodes, and then each node for its packets
	Since, Until int64        // ns, half open; Until may be a moment ago at the latest
	Filter       string
	Progress     func(Progress) // told some times a second by one goroutine; nil: nobody
}

// Progress is how far the making is.
type Progress struct {
	Nodes, Done int
	Packets     uint64
	Bytes       uint64 // of packets
	Packing     bool   // all packets are here
}

const (
	atOnce        = 32 // nodes that are read at the same time
	progressEvery = 200 * time.Millisecond
	maxNotes      = 8   // of a node
	maxText       = 500 // bytes of a reason or note
)

// Create makes a snapshot: it asks all nodes for the packets of a window at once, which hold them
// until they were read, spools them, and packs them. A node that does not answer, or not to the
// end, is missing in the snapshot, which says so. With an error, also that of ctx, nothing is
// left.
func (l *Library) Create(ctx context.Context, o CreateOptions) (*Info, error) {
	release, err := l.reserve(o.Name)
	if err != nil {
		return nil, err
	}
	defer release()
	dir, err := os.MkdirTemp(l.o.Dir, ".make-")
	if err != nil {
		return nil, fmt.Errorf("make snapshot: %w", err)
	}
	m := &making{l: l, o: o, dir: dir}
	defer m.clean()
	info, err := m.make(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("make snapshot %q: %w", o.Name, err)
	}
	return info, nil
}

// making is one snapshot on its way.
type making struct {
	l        *Library
	o        CreateOptions
	dir      string
	mu       sync.Mutex
	files    []*file // spooled; they go when it is done
	archive  *file
	history  snapshot.History // guarded by mu
	done     atomic.Int64
	packets  atomic.Uint64
	bytes    atomic.Uint64
	packing  atomic.Bool
	manifest snapshot.Manifest
}

// clean removes what is no longer needed, and what was not finished.
func (m *making) clean() {
	for _, f := range append(m.files, m.archive) {
		if f != nil {
			_ = f.Close() // its bytes are not needed, or synced
			m.l.give(f.size)
		}
	}
	if err := os.RemoveAll(m.dir); err != nil {
		m.l.o.Log.Error("what was spooled for a snapshot is left", "folder", m.dir, "error", err)
	}
}

// create makes a file that goes when the making ends.
func (m *making) create(name string) (*file, error) {
	f, err := m.l.create(filepath.Join(m.dir, name))
	if err == nil {
		m.mu.Lock()
		m.files = append(m.files, f)
		m.mu.Unlock()
	}
	return f, err
}

func (m *making) make(ctx context.Context) (*Info, error) {
	// What was captured until now may be on its way to the store.
	if err := wait(ctx, min(m.l.o.Settle, time.Unix(0, m.o.Until).Add(m.l.o.Settle).Sub(m.l.o.Now()))); err != nil {
		return nil, err
	}
	nodes, report, err := m.o.Source.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	missing := map[string]string{}
	if report != nil {
		for _, n := range report.Nodes {
			missing[n.Node] = n.Missing
		}
	}
	var names []string
	for i := range nodes {
		name := nodes[i].Name
		m.manifest.Nodes = append(m.manifest.Nodes, snapshot.Node{Name: name, File: snapshot.FileName(name, names...)})
		names = append(names, m.manifest.Nodes[i].File)
		if why := missing[name]; why != "" {
			m.manifest.Nodes[i].File, m.manifest.Nodes[i].Missing = "", bounded(why)
		}
	}
	if len(nodes) == 0 {
		return nil, errors.New("there is no node to ask")
	}
	defer m.report(len(nodes))()
	if err := m.readAll(ctx); err != nil {
		return nil, err
	}
	if err := m.nobody(); err != nil {
		return nil, err
	}
	m.packing.Store(true)
	return m.pack(ctx)
}

// wait waits until packets that were captured by now can be found.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// report tells the progress until the end that it returns is called.
func (m *making) report(nodes int) (end func()) {
	if m.o.Progress == nil {
		return func() {}
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	tell := func() {
		m.o.Progress(Progress{Nodes: nodes, Done: int(m.done.Load()), Packets: m.packets.Load(), Bytes: m.bytes.Load(), Packing: m.packing.Load()})
	}
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				tell()
			}
		}
	}()
	return func() {
		close(stop)
		<-ended
	}
}

// readAll reads the nodes' packets. The first error that is no node's ends it.
func (m *making) readAll(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for i := range m.manifest.Nodes {
		n := &m.manifest.Nodes[i]
		if n.File == "" {
			m.done.Add(1)
			continue
		}
		all.Go(func() {
			select {
			case room <- struct{}{}:
				defer func() { <-room }()
			case <-ctx.Done():
				return
			}
			if err := m.read(ctx, n); err != nil {
				cancel(fmt.Errorf("%s: %w", n.Name, err))
			}
			m.done.Add(1)
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// read spools the packets of one node.
func (m *making) read(ctx context.Context, n *snapshot.Node) error {
	f, err := m.create(n.File)
	if err != nil {
		return err
	}
	w, err := export.New(f, export.Options{Application: m.l.o.Program, Node: n.Name, Comment: m.comment()})
	if err != nil {
		return err
	}
	s := &spool{Writer: w, m: m, n: n}
	report, err := m.o.Source.Packets(ctx, &query.Request{Since: m.o.Since, Until: m.o.Until, Filter: m.o.Filter, Node: n.Name, Hold: true}, s)
	if err == nil || errors.Is(err, query.ErrStop) {
		err = w.End(report)
	}
	if err != nil {
		return err
	}
	n.Size = f.size
	if report != nil {
		for i := range report.Nodes {
			told(n, &report.Nodes[i])
		}
	}
	if n.Packets == 0 && n.Missing != "" {
		n.File, n.Size = "", 0
	}
	return nil
}

// nobody is the error if nothing came of any node.
func (m *making) nobody() error {
	var why []string
	for i := range m.manifest.Nodes {
		n := &m.manifest.Nodes[i]
		if n.File != "" {
			return nil
		}
		if len(why) < maxNotes {
			why = append(why, n.Name+": "+n.Missing)
		}
	}
	return fmt.Errorf("no node answered: %s", strings.Join(why, "; "))
}

func (m *making) comment() string {
	if m.o.Filter == "" {
		return "snapshot " + m.o.Name
	}
	return "snapshot " + m.o.Name + ", filter: " + m.o.Filter
}

// told takes what a node's report says.
func told(n *snapshot.Node, r *query.NodeReport) {
	n.Drops += r.Dropped
	if r.Oldest != 0 {
		n.Kept = time.Unix(0, r.Oldest).UTC()
	}
	switch {
	case r.Missing != "":
		n.Missing = bounded(r.Missing)
	case r.Gone > 0:
		n.Missing = fmt.Sprintf("%d segments of the window had to go while they were read: its store is too small for so large a window", r.Gone)
	}
	for _, note := range r.Notes[:min(len(r.Notes), maxNotes)] {
		n.Notes = append(n.Notes, bounded(note))
	}
}

func bounded(s string) string {
	if len(s) > maxText {
		return s[:maxText] + "…"
	}
	return s
}

// spool takes the packets of one node.
type spool struct {
	*export.Writer
	m       *making
	n       *snapshot.Node
	pending []pcap.Name // told since the last packet: they are for the next
}

// Packet implements query.PacketSink.
func (s *spool) Packet(p *pcap.Packet) error {
	if len(s.pending) > 0 {
		s.m.mu.Lock()
		for _, name := range s.pending {
			s.m.history.Learn(name.Addr, p.Time, name.Names)
		}
		s.m.mu.Unlock()
		s.pending = s.pending[:0]
	}
	s.n.Add(p)
	s.m.packets.Add(1)
	s.m.bytes.Add(uint64(len(p.Data)))
	return s.Writer.Packet(p)
}

// Name implements query.PacketSink.
func (s *spool) Name(n pcap.Name) error {
	s.pending = append(s.pending, n)
	return s.Writer.Name(n)
}

// Flush implements query.PacketSink. Nobody waits for what was written so far.
func (s *spool) Flush() error { return nil }

// pack makes the snapshot of what was spooled.
func (m *making) pack(ctx context.Context) (*Info, error) {
	names, err := m.create(namesFile)
	if err != nil {
		return nil, err
	}
	if _, err := m.history.WriteTo(names); err != nil {
		return nil, err
	}
	now := m.l.o.Now().UTC()
	m.manifest.Name, m.manifest.CreatedBy, m.manifest.Created, m.manifest.Program = m.o.Name, m.o.By, now, m.l.o.Program
	m.manifest.Since, m.manifest.Until, m.manifest.Filter = m.since(), time.Unix(0, m.o.Until).UTC(), m.o.Filter
	m.manifest.Namespaces = m.o.Holds.Namespaces
	if m.archive, err = m.l.create(filepath.Join(m.dir, archiveFile)); err != nil {
		return nil, err
	}
	err = snapshot.Write(&m.manifest, os.DirFS(m.dir), func() (io.Writer, error) {
		m.l.give(m.archive.size)
		m.archive.size = 0
		if _, err := m.archive.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return cancelled{ctx, m.archive}, m.archive.Truncate(0)
	})
	if err == nil {
		err = m.archive.Sync()
	}
	if err != nil {
		return nil, err
	}
	st, err := m.archive.Stat()
	if err != nil {
		return nil, err
	}
	i := &Info{Name: m.o.Name, Size: st.Size(), Modified: now, By: m.o.By, Holds: m.o.Holds}
	i.describe(&m.manifest)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := m.l.keep(m.archive.Name(), i, record{By: m.o.By, At: now}); err != nil {
		return nil, err
	}
	m.archive.size = 0 // it is the snapshot's now
	return i, nil
}

const (
	namesFile   = "names.json"
	archiveFile = "archive"
)

// since is the beginning of the window: for everything that is kept, that of the oldest packet.
func (m *making) since() time.Time {
	since := time.Unix(0, max(m.o.Since, 0)).UTC()
	if m.o.Since > 0 {
		return since
	}
	for i := range m.manifest.Nodes {
		if t := m.manifest.Nodes[i].Oldest; !t.IsZero() && (since.Unix() == 0 || t.Before(since)) {
			since = t
		}
	}
	return since
}

// cancelled is a writer that ends with a context.
type cancelled struct {
	ctx context.Context
	w   io.Writer
}

func (c cancelled) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}
