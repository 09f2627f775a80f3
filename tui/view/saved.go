package view

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/sshark/sshark/tui/component"
)

// FilterKeeper keeps the filters that one user saved under names, over sessions. It is safe
// for concurrent use; a call ends soon after its context.
type FilterKeeper interface {
	List(ctx context.Context) ([]SavedFilter, error)
	// Save keeps a filter, in place of the one of that name if there is one.
	Save(ctx context.Context, f SavedFilter) error
	Delete(ctx context.Context, name string) error
}

// SavedFilter is a filter with a name.
type SavedFilter struct{ Name, Filter string }

// Saved are the filters of a session that have names: those that are kept, and those that were
// saved since it began, which are lost with it where nobody keeps them.
type Saved struct {
	Keeper FilterKeeper // nil: nobody keeps them
	list   []SavedFilter
}

// SavedMsg are the filters that are kept.
type SavedMsg struct {
	List []SavedFilter
	Err  error
}

const (
	maxSaved   = 100
	maxName    = 40 // bytes of a name
	keeperTime = 10 * time.Second
)

// Load asks for those that are kept.
func (s *Saved) Load(ctx context.Context) tea.Cmd {
	keeper := s.Keeper
	if keeper == nil {
		return nil
	}
	return func() tea.Msg {
		var out SavedMsg
		func() {
			defer guard(&out.Err)
			ctx, cancel := context.WithTimeout(ctx, keeperTime)
			defer cancel()
			out.List, out.Err = keeper.List(ctx)
		}()
		return out
	}
}

// Take takes those that are kept; a name that was saved meanwhile stays as it is.
func (s *Saved) Take(msg SavedMsg) tea.Cmd {
	for _, f := range msg.List {
		if _, ok := s.Get(f.Name); !ok && len(s.list) < maxSaved {
			s.list = append(s.list, f)
		}
	}
	s.sort()
	if msg.Err != nil {
		return refuse("the saved filters cannot be read: %v", msg.Err)
	}
	return nil
}

func (s *Saved) sort() {
	slices.SortFunc(s.list, func(a, b SavedFilter) int { return strings.Compare(a.Name, b.Name) })
}

// All are the filters, by name.
func (s *Saved) All() []SavedFilter { return slices.Clone(s.list) }

// Get finds a filter by its name.
func (s *Saved) Get(name string) (string, bool) {
	for _, f := range s.list {
		if f.Name == name {
			return f.Filter, true
		}
	}
	return "", false
}

var errName = errors.New("a name has a-z, A-Z, 0-9, dot and dash, at most 40 of them")

// checkName says whether a name can be typed again.
func checkName(name string) error {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_", r) {
			return errName
		}
	}
	if name == "" || len(name) > maxName {
		return errName
	}
	return nil
}

// Save gives a filter a name, and keeps it.
func (s *Saved) Save(ctx context.Context, name, filter string) tea.Cmd {
	_, old := s.Get(name)
	switch err := checkName(name); {
	case err != nil:
		return refuse("%v", err)
	case filter == "":
		return refuse("there is no filter to save: press / for one")
	case !old && len(s.list) >= maxSaved:
		return refuse("%d filters are saved; :forget NAME makes room", maxSaved)
	}
	f := SavedFilter{name, filter}
	s.list = append(slices.DeleteFunc(s.list, func(o SavedFilter) bool { return o.Name == name }), f)
	s.sort()
	return s.keep(ctx, "saved as "+name, func(ctx context.Context) error { return s.Keeper.Save(ctx, f) })
}

// Forget takes a name away.
func (s *Saved) Forget(ctx context.Context, name string) tea.Cmd {
	if _, ok := s.Get(name); !ok {
		return refuse("there is no saved filter %s", name)
	}
	s.list = slices.DeleteFunc(s.list, func(o SavedFilter) bool { return o.Name == name })
	return s.keep(ctx, name+" is forgotten", func(ctx context.Context) error { return s.Keeper.Delete(ctx, name) })
}

// keep does something at the keeper.
func (s *Saved) keep(ctx context.Context, said string, what func(context.Context) error) tea.Cmd {
	if s.Keeper == nil {
		return flash("%s, until this session ends: nobody keeps filters here", said)
	}
	return func() tea.Msg {
		var err error
		func() {
			defer guard(&err)
			ctx, cancel := context.WithTimeout(ctx, keeperTime)
			defer cancel()
			err = what(ctx)
		}()
		if err != nil {
			return FlashMsg{Text: fmt.Sprintf("%s, until this session ends: %v", said, err), Bad: true}
		}
		return FlashMsg{Text: said}
	}
}

// offered are the filters to begin with: those with names, then those typed before.
func (m *Memory) offered() []component.Item {
	var out []component.Item
	for _, f := range m.Saved.list {
		out = append(out, component.Item{Text: f.Filter, Kind: "saved", Help: f.Name})
	}
	for _, f := range m.Filters.Newest(5) {
		if !slices.ContainsFunc(out, func(o component.Item) bool { return o.Text == f }) {
			out = append(out, component.Item{Text: f, Kind: "typed", Help: "before"})
		}
	}
	return out
}
