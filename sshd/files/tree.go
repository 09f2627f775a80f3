// Package files is the tree that sftp and scp see: captures made when they are read.
//
//	/last/5m.pcapng                     any age; listed: 1m 5m 15m 1h
//	/between/20260102T150405Z_20260102T151000Z.pcapng
//	/namespaces/NS/last/5m.pcapng       and /namespaces/NS/pods/POD/last/5m.pcapng
//	/nodes/NODE/last/5m.pcapng
//	/streams/ID.pcapng                  ID.client.bin and ID.server.bin where Source has bytes
//	/snapshots/NAME.tar.gz              where there are snapshots; files can be put and removed there
//
// A size that is told is exact, or 0 where it is not known: what is closed (a window in the
// past, a flow that ended) is written to a spool file first, what is open is made while it is
// read. A Tree belongs to one session, is safe for concurrent use, and removes its spool files
// at Close. An export that lacks something (a node, an error half way) fails at its end: its
// reader must not take it for whole.
//
// Errors are those of io/fs (ErrNotExist, ErrPermission) wrapped with the path, or the query's.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/command"
	"github.com/sshark/sshark/sshd/snapshots"
	"github.com/sshark/sshark/worker/query"
)

// Options of a Tree.
type Options struct {
	Source query.Source
	// Snapshots are those that the user may use; nil: there are none.
	Snapshots *snapshots.Desk
	Now       func() time.Time
	Spool     string // folder of the spool files, "": the system's
	SpoolMax  int64  // bytes of all spool files of a session together, 0: 256 MiB
	// Say takes what the user must know about an export, one line each; nil: nobody.
	Say func(line string)
	// Done is called once for each file that was opened, at its end; nil: nobody.
	Done func(path string, bytes int64, err error)
	// Missed is called once for each path below streams, namespaces and nodes that was asked for
	// and is not there, or not for this user; nil: nobody.
	Missed func(path string)
}

// Tree is what one session sees.
type Tree struct {
	Options
	ctx  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	spools  map[string]*spool // by path
	spooled int64
	tooBig  map[string]bool // closed, but larger than the spool has room for
	open    int
	uploads map[string]*Upload // on their way, by path

	telling sync.Mutex
	told    map[string]bool // lines that were said
	missed  map[string]bool // paths that were not there
}

// Bounds of a session.
const (
	defaultSpool = 256 << 20
	spoolTime    = 20 * time.Second // to find an exact size; then the size is not known
	maxOpen      = 64               // files
	listedFlows  = 100              // of /streams
)

// NewTree makes the tree of one session, which ends with ctx.
func NewTree(ctx context.Context, o Options) *Tree {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.SpoolMax == 0 {
		o.SpoolMax = defaultSpool
	}
	ctx, stop := context.WithCancel(ctx)
	return &Tree{Options: o, ctx: ctx, stop: stop, spools: map[string]*spool{}, tooBig: map[string]bool{}, uploads: map[string]*Upload{}, told: map[string]bool{}, missed: map[string]bool{}}
}

// Close ends all reading and removes the spool files.
func (t *Tree) Close() error {
	t.stop()
	t.mu.Lock()
	left := slices.Collect(maps.Values(t.uploads))
	t.mu.Unlock()
	for _, u := range left {
		if u.waits() {
			t.say("%s: %v", u.path, errNotNamed)
		}
		_ = u.end(errNotNamed)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	for _, s := range t.spools {
		err = errors.Join(err, s.file.Close())
	}
	t.spools = map[string]*spool{}
	return err
}

// say tells the user one line, once: an export may be made twice, to know its size.
func (t *Tree) say(format string, args ...any) {
	if t.Say == nil {
		return
	}
	line := string(command.AppendPrintable(nil, fmt.Sprintf(format, args...)))
	t.telling.Lock()
	told := t.told[line]
	if len(t.told) >= maxTold {
		clear(t.told)
	}
	t.told[line] = true
	t.telling.Unlock()
	if !told {
		t.Say(line)
	}
}

// maxTold bounds the lines that a session remembers to have said.
const maxTold = 1000

// export is a file of the tree: what has to be asked to make it.
type export struct {
	request query.Request
	side    string // of a stream: "" for packets, else client or server
	closed  bool   // nothing can be added to it any more
	mod     time.Time
	kept    *snapshots.Info // a snapshot instead
}

var lasts = []string{"1m", "5m", "15m", "1h"}

// stampLayout is a time in a file's name, UTC; names hold no colon.
const stampLayout = "20060102T150405Z"

// resolve says what a path is: a folder (nil, nil), or a file.
func (t *Tree) resolve(p string) (*export, error) {
	p = path.Clean("/" + p)
	e, err := t.find(p)
	if errors.Is(err, fs.ErrNotExist) {
		t.miss(p)
	}
	return e, err
}

// miss tells of a path that is not there, once.
func (t *Tree) miss(p string) {
	switch strings.Split(p[1:], "/")[0] {
	case "streams", "namespaces", "nodes":
	default:
		return
	}
	t.telling.Lock()
	told := t.missed[p]
	if len(t.missed) >= maxTold {
		clear(t.missed)
	}
	t.missed[p] = true
	t.telling.Unlock()
	if !told && t.Missed != nil {
		t.Missed(p)
	}
}

func (t *Tree) find(p string) (*export, error) {
	part := strings.Split(p[1:], "/")
	missing := &fs.PathError{Op: "find", Path: p, Err: fs.ErrNotExist}
	if p == "/" {
		return nil, nil
	}
	rest := part[1:]
	switch part[0] {
	case "last":
		return t.last(rest, "", missing)
	case "between":
		if len(rest) == 0 {
			return nil, nil
		}
		if len(rest) == 1 {
			return t.between(rest[0], missing)
		}
	case "streams":
		if len(rest) == 0 {
			return nil, nil
		}
		if len(rest) == 1 {
			return t.stream(rest[0], missing)
		}
	case "nodes":
		switch {
		case len(rest) == 0:
			return nil, nil
		case !t.hasNode(rest[0]):
		case len(rest) == 1:
			return nil, nil
		case rest[1] == "last":
			e, err := t.last(rest[2:], "node_name == "+dissect.Quote(rest[0]), missing)
			if e != nil {
				e.request.Node = rest[0] // that others do not answer is no matter
			}
			return e, err
		}
	case "namespaces":
		return t.namespace(rest, missing)
	case snapshotsDir:
		return t.snapshot(rest, missing)
	}
	return nil, missing
}

// last resolves what is below a folder named last, for packets that match a filter.
func (t *Tree) last(rest []string, filter string, missing error) (*export, error) {
	if len(rest) == 0 {
		return nil, nil
	}
	name, ok := strings.CutSuffix(rest[0], ".pcapng")
	age, err := command.ParseAge(name)
	if len(rest) > 1 || !ok || err != nil {
		return nil, missing
	}
	now := t.Now()
	return &export{request: query.Request{Since: now.Add(-age).UnixNano(), Until: now.UnixNano(), Filter: filter}, mod: now}, nil
}

func (t *Tree) between(name string, missing error) (*export, error) {
	name, ok := strings.CutSuffix(name, ".pcapng")
	from, to, two := strings.Cut(name, "_")
	since, err := time.Parse(stampLayout, from)
	until, err2 := time.Parse(stampLayout, to)
	if !ok || !two || err != nil || err2 != nil || !since.Before(until) {
		return nil, missing
	}
	now := t.Now()
	// Packets may come a little late: a window that has just ended is still open.
	closed := until.Add(query.ReorderWindow).Before(now)
	if until.After(now) {
		until = now
	}
	return &export{request: query.Request{Since: since.UnixNano(), Until: max(until.UnixNano(), since.UnixNano()+1)}, closed: closed, mod: until}, nil
}

func (t *Tree) stream(name string, missing error) (*export, error) {
	id, kind, ok := strings.Cut(name, ".")
	n, err := flow.ParseID(id)
	if !ok || err != nil {
		return nil, missing
	}
	e := &export{request: query.Request{Stream: n, Vantage: query.Both}}
	switch kind {
	case "pcapng":
	case "client.bin", "server.bin":
		e.side = strings.TrimSuffix(kind, ".bin")
	default:
		return nil, missing
	}
	found := false
	_, err = t.Source.Flows(t.ctx, &query.Request{Stream: n, Vantage: query.Both}, func(f *dissect.Flow) error {
		found = true
		e.mod = time.Unix(0, f.Last)
		e.closed = (f.State == dissect.Closed || f.State == dissect.Reset) && e.mod.Add(query.ReorderWindow).Before(t.Now())
		return query.ErrStop
	})
	if err != nil && !errors.Is(err, query.ErrStop) && !errors.Is(err, query.ErrNoSuchFlow) {
		return nil, fmt.Errorf("find flow %s: %w", n, err)
	}
	if !found {
		return nil, missing
	}
	// The bytes up to now, however often they are read.
	e.request.Until = t.Now().UnixNano()
	return e, nil
}

// namespace resolves what is below /namespaces.
func (t *Tree) namespace(rest []string, missing error) (*export, error) {
	if len(rest) == 0 {
		return nil, nil
	}
	pods := t.pods()
	ns := rest[0]
	if _, ok := pods[ns]; !ok || ns == "" {
		return nil, missing
	}
	rest = rest[1:]
	if len(rest) == 0 || len(rest) == 1 && rest[0] == "pods" {
		return nil, nil
	}
	if rest[0] == "last" {
		return t.last(rest[1:], dissect.Quote(ns)+" in namespaces", missing)
	}
	if rest[0] != "pods" || !pods[ns][rest[1]] {
		return nil, missing
	}
	if len(rest) == 2 {
		return nil, nil
	}
	if rest[2] != "last" {
		return nil, missing
	}
	both := []string{}
	for _, end := range []string{"src", "dst"} {
		both = append(both, fmt.Sprintf("%[1]s.pod.namespace == %[2]s && %[1]s.pod.name == %[3]s", end, dissect.Quote(ns), dissect.Quote(rest[1])))
	}
	return t.last(rest[3:], "("+both[0]+") || ("+both[1]+")", missing)
}

// pods are the pods that are captured, by namespace.
func (t *Tree) pods() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	nodes, _, err := t.Source.Nodes(t.ctx)
	if err != nil {
		t.say("namespaces and pods are not known: %v", err)
	}
	for i := range nodes {
		for _, p := range nodes[i].Pods {
			if safeName(p.Pod.Namespace) && safeName(p.Pod.Name) {
				if out[p.Pod.Namespace] == nil {
					out[p.Pod.Namespace] = map[string]bool{}
				}
				out[p.Pod.Namespace][p.Pod.Name] = true
			}
		}
	}
	return out
}

// safeName says whether a name can be one element of a path.
func safeName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/:\x00\n\r")
}

func (t *Tree) nodeNames() (out []string) {
	nodes, _, err := t.Source.Nodes(t.ctx)
	if err != nil {
		t.say("nodes are not known: %v", err)
	}
	for i := range nodes {
		if safeName(nodes[i].Name) {
			out = append(out, nodes[i].Name)
		}
	}
	return out
}

func (t *Tree) hasNode(name string) bool {
	for _, n := range t.nodeNames() {
		if n == name {
			return true
		}
	}
	return false
}

// Stat describes a path. The size of a file is exact, or 0: not known.
func (t *Tree) Stat(p string) (fs.FileInfo, error) {
	p = path.Clean("/" + p)
	if u := t.upload(p); u != nil {
		return u.info(), nil
	}
	e, err := t.resolve(p)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return info{name: path.Base(p), dir: true, mod: t.Now()}, nil
	}
	i := info{name: path.Base(p), mod: e.mod}
	if e.kept != nil {
		i.size = e.kept.Size
	}
	if e.closed {
		s, err := t.spool(p, e)
		if err != nil {
			return nil, err
		}
		if s != nil {
			i.size = s.size
		}
	}
	return i, nil
}

// List lists a folder. Sizes are not told here: each would have to be found by reading all.
func (t *Tree) List(p string) ([]fs.FileInfo, error) {
	p = path.Clean("/" + p)
	e, err := t.resolve(p)
	if err != nil {
		return nil, err
	}
	if e != nil {
		return nil, &fs.PathError{Op: "list", Path: p, Err: errors.New("it is a file")}
	}
	var out []fs.FileInfo
	now := t.Now()
	dir := func(names ...string) {
		for _, n := range names {
			out = append(out, info{name: n, dir: true, mod: now})
		}
	}
	part := strings.Split(p[1:], "/")
	switch {
	case p == "/":
		dir("between", "last", "namespaces", "nodes")
		if t.Snapshots != nil {
			dir(snapshotsDir)
		}
		dir("streams")
	case path.Base(p) == "last":
		for _, l := range lasts {
			out = append(out, info{name: l + ".pcapng", mod: now})
		}
	case p == "/streams":
		return t.listStreams()
	case part[0] == snapshotsDir:
		return t.listSnapshots()
	case p == "/nodes":
		dir(t.nodeNames()...)
	case p == "/namespaces":
		dir(sortedKeys(t.pods())...)
	case part[0] == "nodes":
		dir("last")
	case part[0] == "namespaces" && len(part) == 2:
		dir("last", "pods")
	case part[0] == "namespaces" && len(part) == 3:
		dir(sortedKeys(t.pods()[part[1]])...)
	case part[0] == "namespaces":
		dir("last")
	}
	return out, nil
}

// listStreams lists the newest flows.
func (t *Tree) listStreams() ([]fs.FileInfo, error) {
	var out []fs.FileInfo
	seen := map[flow.ID]bool{}
	_, err := t.Source.Flows(t.ctx, &query.Request{Last: listedFlows}, func(f *dissect.Flow) error {
		if seen[f.ID] {
			return nil
		}
		seen[f.ID] = true
		for _, n := range []string{".pcapng", ".client.bin", ".server.bin"} {
			out = append(out, info{name: f.ID.String() + n, mod: time.Unix(0, f.Last)})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	return out, nil
}

// info is a file or folder.
type info struct {
	name string
	size int64
	dir  bool
	mod  time.Time
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return i.mod }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// produce writes the file. A report that lacks a node is an error at the end.
func (t *Tree) produce(ctx context.Context, e *export, w io.Writer) error {
	var r *query.Report
	var err error
	if e.side != "" {
		r, err = t.produceStream(ctx, e, w)
	} else {
		r, err = t.producePackets(ctx, e, w)
	}
	if errors.Is(err, query.ErrStop) {
		err = nil
	}
	if r == nil {
		return err
	}
	var missing []string
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if n.Missing != "" {
			missing = append(missing, n.Absence())
		}
		for _, note := range n.Notes {
			t.say("%s: %s", n.Node, note)
		}
		if n.Dropped > 0 {
			t.say("packets lost in this window: %d (%s)", n.Dropped, n.Node)
		}
		if e.request.Stream == 0 && n.Oldest > e.request.Since+int64(time.Second) {
			t.say("oldest packet kept: %s %s", n.Node, time.Unix(0, n.Oldest).UTC().Format(time.RFC3339))
		}
	}
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%w: %s", errIncomplete, strings.Join(missing, "; "))
	}
	return err
}
