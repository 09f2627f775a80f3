package demo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// postgres is a PostgreSQL of this machine that can be run: its programs, and as whom, since it
// does not run as root.
type postgres struct {
	bin      string // the folder of initdb and postgres
	uid, gid uint32
	dir      string // its data, which goes with the shop
}

// findPostgres looks where Debian, Fedora and Alpine have it, newest first; nil: there is none.
func findPostgres(prefix string) *postgres {
	var found []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/initdb", "/usr/libexec/postgresql*/initdb", "/usr/bin/initdb"} {
		all, err := filepath.Glob(pattern)
		if err == nil {
			found = append(found, all...)
		}
	}
	if len(found) == 0 {
		return nil
	}
	best := found[0]
	for _, f := range found {
		if version(f) > version(best) {
			best = f
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &postgres{bin: filepath.Dir(best), uid: uint32(uid), gid: uint32(gid), dir: filepath.Join(os.TempDir(), "sshark-demo-"+prefix)}
	}
	return nil
}

// version is the number in a path such as /usr/lib/postgresql/17/bin/initdb, 0: none.
func version(path string) int {
	for _, part := range strings.Split(path, "/") {
		if n, err := strconv.Atoi(strings.TrimPrefix(part, "postgresql")); err == nil {
			return n
		}
	}
	return 0
}

// command is a program of it, run as its user until ctx ends.
func (p *postgres) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true, Credential: &syscall.Credential{Uid: p.uid, Gid: p.gid}}
	return cmd
}

// prepare makes an empty database in place of the one of a shop before, and the command that
// serves it. Everybody of the shop's own network may do everything in it.
func (p *postgres) prepare(ctx context.Context) (*exec.Cmd, error) {
	if err := os.RemoveAll(p.dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chown(p.dir, int(p.uid), int(p.gid)); err != nil {
		return nil, err
	}
	data := filepath.Join(p.dir, "data")
	initdb := p.command(ctx, "initdb", "--pgdata", data, "--username", "shop", "--auth", "trust", "--no-sync", "--encoding", "UTF8", "--no-locale")
	var said bytes.Buffer
	initdb.Stdout, initdb.Stderr = &said, &said
	if err := initdb.Run(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	hba := fmt.Sprintf("host all all %s/%d trust\nhost all all %s/%d trust\n", postgresMember.addr4(), bits4, postgresMember.addr6(), bits6)
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		return nil, err
	}
	cmd := p.command(context.WithoutCancel(ctx), "postgres", "-D", data, "-p", strconv.Itoa(postgresPort), "-c", "listen_addresses=*", "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=20", "-c", "autovacuum=off", "-c", "log_min_messages=panic",
		"-c", "log_min_error_statement=panic", "-c", "logging_collector=off")
	return cmd, nil
}

// remove takes its data away.
func (p *postgres) remove() error { return os.RemoveAll(p.dir) }
