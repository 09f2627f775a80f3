package screen

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/sshd/snapshots"
	"github.com/sshark/sshark/tui"
)

// Snapshots is what the screen asks about snapshots.
type Snapshots struct {
	desk     *snapshots.Desk
	language *filter.Language
	now      func() time.Time
}

// NewSnapshots makes a keeper of what a user may do with snapshots; nil if there are none.
func NewSnapshots(desk *snapshots.Desk, language *filter.Language, now func() time.Time) tui.SnapshotKeeper {
	if desk == nil {
		return nil
	}
	return &Snapshots{desk, language, now}
}

// List implements tui.SnapshotKeeper.
func (s *Snapshots) List(context.Context) ([]tui.Snapshot, error) {
	list, err := s.desk.List()
	out := make([]tui.Snapshot, 0, len(list))
	for _, i := range list {
		out = append(out, tui.Snapshot{Name: i.Name, By: i.By, Filter: i.Filter, Made: i.Created.UnixNano(), Since: i.Since.UnixNano(), Until: i.Until.UnixNano(),
			Nodes: i.Nodes, Missing: len(i.Missing), Packets: i.Packets, Size: uint64(i.Size)})
	}
	return out, err
}

// Create implements tui.SnapshotKeeper. A snapshot whose end is open, or yet to come, ends now.
func (s *Snapshots) Create(ctx context.Context, name string, q tui.Query) (string, error) {
	now := s.now().UnixNano()
	if q.Until == 0 || q.Until > now {
		q.Until = now
	}
	i, err := s.desk.Create(ctx, snapshots.CreateOptions{Name: name, Since: q.Since, Until: q.Until, Filter: q.Filter})
	switch {
	case err != nil:
		return "", err
	case len(i.Missing) > 0:
		return "", fmt.Errorf("snapshot %s is kept, with %d packets, and lacks all or some of %s", name, i.Packets, strings.Join(i.Missing, ", "))
	}
	nodes := "1 node"
	if i.Nodes != 1 {
		nodes = fmt.Sprintf("%d nodes", i.Nodes)
	}
	return fmt.Sprintf("snapshot %s is kept: %d packets of %s; scp CONSOLE:/snapshots/%s%s .", name, i.Packets, nodes, name, snapshots.Ext), nil
}

// Delete implements tui.SnapshotKeeper.
func (s *Snapshots) Delete(_ context.Context, name string) error { return s.desk.Delete(name) }

// Open implements tui.SnapshotKeeper.
func (s *Snapshots) Open(ctx context.Context, name string) (tui.Backend, func(), error) {
	source, closer, err := s.desk.Source(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	return New(source, s.language), func() { _ = closer.Close() }, nil // it was only read
}
