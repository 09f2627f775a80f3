package savedfilters

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sshark/sshark/tui"
)

func open(t *testing.T, dir string) *Library {
	t.Helper()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func list(t *testing.T, l *Library, user string) string {
	t.Helper()
	all, err := l.Of(user).List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(all)
}

func TestFiltersOutliveTheLibrary(t *testing.T) {
	dir, ctx := filepath.Join(t.TempDir(), "filters"), context.Background()
	l := open(t, dir)
	for _, f := range []tui.SavedFilter{{Name: "slow", Filter: "latency > 1"}, {Name: "bad", Filter: "error"}, {Name: "slow", Filter: "latency > 2"}} {
		if err := l.Of("anna").Save(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Of("../../etc/passwd\x00").Save(ctx, tui.SavedFilter{Name: "x", Filter: "dns"}); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	if got := list(t, l, "anna"); got != "[{slow latency > 2} {bad error}]" {
		t.Errorf("anna has %s", got)
	}
	if got := list(t, l, "bert"); got != "[]" {
		t.Errorf("bert has %s", got)
	}
	if err := l.Of("anna").Delete(ctx, "slow"); err != nil {
		t.Fatal(err)
	}
	if err := l.Of("anna").Delete(ctx, "slow"); !errors.Is(err, ErrNone) {
		t.Errorf("deleted twice: %v", err)
	}
	if got := list(t, l, "anna"); got != "[{bad error}]" {
		t.Errorf("anna has %s", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%d files, want one for each user (%v)", len(entries), err)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	l, ctx := open(t, t.TempDir()), context.Background()
	k := l.Of("anna")
	for i := range MaxFilters {
		if err := k.Save(ctx, tui.SavedFilter{Name: fmt.Sprint("f", i), Filter: "dns"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		f    tui.SavedFilter
		want error
	}{
		{tui.SavedFilter{Name: "more", Filter: "dns"}, ErrMany}, {tui.SavedFilter{Name: "f1", Filter: "http"}, nil},
		{tui.SavedFilter{Name: "f1", Filter: strings.Repeat("x", MaxFilter+1)}, ErrLong}, {tui.SavedFilter{Name: "", Filter: "x"}, ErrLong},
		{tui.SavedFilter{Name: strings.Repeat("x", MaxName+1), Filter: "x"}, ErrLong}, {tui.SavedFilter{Name: "f1"}, ErrLong},
	} {
		if err := k.Save(ctx, c.f); !errors.Is(err, c.want) {
			t.Errorf("%.20q: %v, want %v", c.f.Name, err, c.want)
		}
	}
}

func TestDamagedFilesAreLeftAsTheyAre(t *testing.T) {
	for name, text := range map[string]string{
		"torn": `{"version":1,"us`, "newer": `{"version":2,"user":"anna"}`, "of another": `{"version":1,"user":"bert","filters":[]}`,
		"huge": `{"version":1,"user":"anna"}` + strings.Repeat(" ", maxFile),
	} {
		t.Run(name, func(t *testing.T) {
			dir, ctx := t.TempDir(), context.Background()
			l := open(t, dir)
			path := l.Of("anna").(*keeper).path()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Of("anna").List(ctx); !errors.Is(err, ErrFile) {
				t.Errorf("listed: %v", err)
			}
			if err := l.Of("anna").Save(ctx, tui.SavedFilter{Name: "a", Filter: "dns"}); !errors.Is(err, ErrFile) {
				t.Errorf("saved: %v", err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != text {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func TestWhatWasNotFinishedGoes(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, hidden+"123"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%d files are left (%v)", len(entries), err)
	}
}

func TestSessionsSaveAtOnce(t *testing.T) {
	l, ctx := open(t, t.TempDir()), context.Background()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := l.Of("anna").Save(ctx, tui.SavedFilter{Name: fmt.Sprint("f", i), Filter: "dns"}); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	if all, err := l.Of("anna").List(ctx); err != nil || len(all) != 20 {
		t.Errorf("%d filters, want 20 (%v)", len(all), err)
	}
}
