// Package savedfilters keeps the filters that users saved under names, over sessions.
//
// A Library owns one folder, and nobody else writes there. Each user has one file, named by the
// first 32 hexadecimal digits of the SHA-256 of the user's name, so that no name can lead out of
// the folder:
//
//	{"version":1,"user":"anna","filters":[{"name":"slow","filter":"latency > duration(\"1s\")"}]}
//
// A name that can be seen is a complete file: written hidden, synced, renamed. A file of another
// version, or that cannot be read, is left as it is and said (ErrFile); nothing is written over
// it. What one user keeps is bounded (ErrMany, ErrLong), and so is how many users keep something.
//
// A Library is safe for concurrent use; what it writes and reads is small, and not cancelled.
package savedfilters

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/sshark/sshark/tui"
)

// The bounds of what is kept.
const (
	MaxFilters = 100     // of a user
	MaxFilter  = 4 << 10 // bytes of a filter
	MaxName    = 40      // bytes of a name
	MaxUsers   = 1000
	maxFile    = 1 << 20 // bytes of a file that is read
	version    = 1
	hidden     = ".new-"
	ext        = ".json"
)

// Errors for who asks.
var (
	ErrMany = fmt.Errorf("there are %d saved filters already; forget some", MaxFilters)
	ErrLong = fmt.Errorf("a saved filter has at most %d bytes, its name 1 to %d", MaxFilter, MaxName)
	ErrNone = errors.New("there is no saved filter of that name")
	ErrFile = errors.New("the file of saved filters cannot be read; it is left as it is")
	ErrFull = fmt.Errorf("%d users keep filters here already", MaxUsers)
)

// Library is the filters of all users.
type Library struct {
	dir string
	mu  sync.Mutex // of reading a file and writing it again
}

// Open opens a folder, or makes it. What was not finished goes.
func Open(dir string) (*Library, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the saved filters: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open the saved filters: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), hidden) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return nil, fmt.Errorf("open the saved filters: %w", err)
			}
		}
	}
	return &Library{dir: dir}, nil
}

// Of is the filters of one user.
func (l *Library) Of(user string) tui.FilterKeeper { return &keeper{l, user} }

type keeper struct {
	l    *Library
	user string
}

// file is what is written.
type file struct {
	Version int     `json:"version"`
	User    string  `json:"user"`
	Filters []entry `json:"filters"`
}

type entry struct {
	Name   string `json:"name"`
	Filter string `json:"filter"`
}

func (k *keeper) path() string {
	sum := sha256.Sum256([]byte(k.user))
	return filepath.Join(k.l.dir, hex.EncodeToString(sum[:16])+ext)
}

// List implements tui.FilterKeeper.
func (k *keeper) List(context.Context) ([]tui.SavedFilter, error) {
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	f, err := k.read()
	if err != nil {
		return nil, err
	}
	out := make([]tui.SavedFilter, 0, len(f.Filters))
	for _, e := range f.Filters {
		out = append(out, tui.SavedFilter{Name: e.Name, Filter: e.Filter})
	}
	return out, nil
}

// Save implements tui.FilterKeeper.
func (k *keeper) Save(_ context.Context, s tui.SavedFilter) error {
	if len(s.Filter) == 0 || len(s.Filter) > MaxFilter || len(s.Name) == 0 || len(s.Name) > MaxName {
		return ErrLong
	}
	return k.change(func(f *file) error {
		at := slices.IndexFunc(f.Filters, func(e entry) bool { return e.Name == s.Name })
		switch {
		case at >= 0:
			f.Filters[at].Filter = s.Filter
		case len(f.Filters) >= MaxFilters:
			return ErrMany
		default:
			f.Filters = append(f.Filters, entry{s.Name, s.Filter})
		}
		return nil
	})
}

// Delete implements tui.FilterKeeper.
func (k *keeper) Delete(_ context.Context, name string) error {
	return k.change(func(f *file) error {
		n := len(f.Filters)
		if f.Filters = slices.DeleteFunc(f.Filters, func(e entry) bool { return e.Name == name }); len(f.Filters) == n {
			return ErrNone
		}
		return nil
	})
}

func (k *keeper) change(how func(*file) error) error {
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	f, err := k.read()
	if err != nil {
		return err
	}
	if err := how(f); err != nil {
		return err
	}
	return k.write(f)
}

// read reads the user's file; one that there is not is empty. mu is held.
func (k *keeper) read() (*file, error) {
	f := &file{Version: version, User: k.user}
	in, err := os.Open(k.path())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return f, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer in.Close() // it was only read
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrFile, maxFile)
	}
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if f.Version != version || f.User != k.user {
		return nil, fmt.Errorf("%w: it is of version %d and user %q", ErrFile, f.Version, f.User)
	}
	return f, nil
}

// write puts a file in place of the one there is. mu is held.
func (k *keeper) write(f *file) (err error) {
	if _, err := os.Stat(k.path()); errors.Is(err, os.ErrNotExist) {
		if all, err := os.ReadDir(k.l.dir); err == nil && len(all) >= MaxUsers {
			return ErrFull
		}
	}
	text, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("save the filter: %w", err)
	}
	tmp, err := os.CreateTemp(k.l.dir, hidden)
	if err != nil {
		return fmt.Errorf("save the filter: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("save the filter: %w", err)
			_ = os.Remove(tmp.Name()) // it goes with the next Open at the latest
		}
	}()
	_, err = tmp.Write(text)
	if serr := tmp.Sync(); err == nil {
		err = serr
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), k.path()); err != nil {
		return err
	}
	dir, err := os.Open(k.l.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
