package main_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/cmd/netlab"
)

// startDemo is `sshark up --demo`.
func startDemo(t *testing.T, state string) *console {
	t.Helper()
	needs(t, "ssh")
	c := launch(t, state, "--demo")
	c.start()
	await(t, "sshark up to be ready, or to end", func() bool { return c.ended() || strings.Contains(c.out.String(), "\nssh ") })
	if said := c.errs.String(); c.ended() && strings.Contains(said, netlab.ErrRunning.Error()) {
		t.Skipf("another shop is open on this machine: %s", said)
	}
	c.ready()
	return c
}

// shell types a line as a person does.
func shell(t *testing.T, line string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+line)
	cmd.WaitDelay = time.Second
	return run(t, cmd)
}

// TestDemo walks through what the README tells people to type.
func TestDemo(t *testing.T) {
	needsRoot(t)
	needs(t, "ssh", "scp", "sftp", "tshark")
	state := t.TempDir()
	c := startDemo(t, state)
	pods := shopPods(t)

	// Both ends have names; those that are asked outside of the shop have addresses only.
	var last answer
	await(t, "calls with the names of both ends", func() bool {
		last = shell(t, c.line+" calls --last 5")
		if last.status != 0 {
			t.Fatalf("calls --last 5: %+v", last)
		}
		table := lines(last.out)
		return len(table) == 6 && !slices.ContainsFunc(table[1:], func(line string) bool { return len(podsIn(line, pods)) != 2 })
	})
	t.Logf("calls --last 5:\n%s", last.out)

	if _, err := exec.LookPath("tmux"); err == nil {
		screen := c.screen(t)
		row := regexp.MustCompile(`shop-\w+ .*shop-\w+.* (HTTP|DNS) `)
		await(t, "the screen to show calls", func() bool { return len(row.FindAllString(screen(), -1)) > 5 })
		await(t, "the screen to show rates", func() bool { return strings.Contains(screen(), "pkt/s") })
	} else {
		t.Log("no tmux: the screen is not looked at")
	}

	words := strings.TrimSuffix(strings.TrimPrefix(c.line, "ssh -p "), " 127.0.0.1")
	for _, mode := range []string{"scp", "scp -O"} {
		path := filepath.Join(t.TempDir(), "1m.pcapng")
		if a := shell(t, mode+" -q -P "+words+" 127.0.0.1:/last/1m.pcapng "+path); a.status != 0 {
			t.Errorf("%s: %+v", mode, a)
			continue
		}
		if out := lines(tshark(t, path, "-Y", "http.request || dns", "-T", "fields", "-e", "frame.number")); len(out) < 10 {
			t.Errorf("%s: %d packets with requests", mode, len(out))
		}
	}
	batch := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(batch, []byte("ls /last\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	listing := shell(t, "sftp -q -b "+batch+" -P "+words+" 127.0.0.1")
	for _, want := range []string{"1m.pcapng", "5m.pcapng", "15m.pcapng", "1h.pcapng"} {
		if !strings.Contains(listing.out, want) {
			t.Errorf("sftp ls /last: no %s: %+v", want, listing)
		}
	}

	other := filepath.Join(state, "other")
	if a := shell(t, "ssh-keygen -q -t ed25519 -N '' -f "+other); a.status != 0 {
		t.Fatalf("ssh-keygen: %+v", a)
	}
	for name, key := range map[string]string{"no key": "none", "another key": other} {
		a := shell(t, "ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityAgent=none -o IdentityFile="+key+
			" -o UserKnownHostsFile="+state+"/known_hosts -p "+c.login[2]+" 127.0.0.1 version")
		if a.status != 255 || !strings.Contains(a.errs, "Permission denied") || a.out != "" {
			t.Errorf("%s: %+v, want to be refused", name, a)
		}
	}
	if a := run(t, c.ssh("calls", "'http && status_cod > 1'")); a.status != 2 || !strings.Contains(a.errs, "^") || !strings.Contains(a.errs, "status_code") || a.out != "" {
		t.Errorf("a typo: %+v, want a caret and status 2", a)
	}
	for _, line := range lines(c.ask("calls", "--last", "50", "-o", "json")) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	c.interrupt()
	if names := shopPods(t); len(names) > 0 {
		t.Errorf("after the end there is still %q", names)
	}
	if info, err := os.Stat(filepath.Join(state, "client_ed25519")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the client's key: %v, %v", info, err)
	}
}

// shopPods are the network namespaces of the shop.
func shopPods(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(netlab.Dir, "shop-*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths
}

// podsIn are the pods that a line names, each once.
func podsIn(line string, pods []string) (found []string) {
	for _, word := range strings.Fields(line) {
		name, _, _ := strings.Cut(word, ":")
		if slices.Contains(pods, name) && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}
