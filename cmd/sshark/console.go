package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"
	_ "time/tzdata" // the console's image has no time zones, and operators name theirs

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/term"

	"github.com/sshark/sshark/sshd"
	"github.com/sshark/sshark/sshd/savedfilters"
	"github.com/sshark/sshark/sshd/screen"
	"github.com/sshark/sshark/tui"
)

// screens makes the screen of each session of a console; saved keeps its users' filters.
func screens(d *dialect, host string, saved *savedfilters.Library) func(context.Context, *sshd.TUISession) (tea.Model, error) {
	shared := tui.NewShared()
	return func(ctx context.Context, s *sshd.TUISession) (tea.Model, error) {
		o := tui.Options{Backend: screen.New(s.Source, d.language), Snapshots: screen.NewSnapshots(s.Snapshots, d.language, time.Now),
			Filters: saved.Of(s.User.Name), Console: true, Replays: screen.NewReplays(s.Replay), Shared: shared,
			Context: ctx, User: s.User.Name, Host: host, View: s.View, Stream: s.Stream, Filter: s.Filter, Profile: colorprofile.Env(s.Environ)}
		if s.Doctor != nil {
			o.Doctor = &screen.Examiner{Asker: *s.Doctor}
		}
		if s.Snapshot != "" {
			o.Host, o.Window = "snapshot "+s.Snapshot, &tui.Window{}
		}
		return tui.New(o), nil
	}
}

// newLog writes lines for a person on a terminal, and JSON for whatever else reads them.
func newLog(w io.Writer) *slog.Logger {
	if f, ok := w.(*os.File); ok && term.IsTerminal(f.Fd()) {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}

// nodeName is what this machine calls itself.
func nodeName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}
