package main_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sshark/sshark/sshd"
	"github.com/sshark/sshark/sshd/sourcetest"
)

// hubInProcess serves a console of made-up traffic, and returns where and the ssh options that
// get in.
func hubInProcess(t *testing.T) (addr string, options []string) {
	t.Helper()
	dir := t.TempDir()
	key := func(name string) (file string, public ssh.PublicKey) {
		pub, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		block, err := ssh.MarshalPrivateKey(private, name)
		if err != nil {
			t.Fatal(err)
		}
		file = filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if public, err = ssh.NewPublicKey(pub); err != nil {
			t.Fatal(err)
		}
		return file, public
	}
	host, _ := key("host")
	client, public := key("client")
	authorized := filepath.Join(dir, "authorized_keys")
	if err := os.WriteFile(authorized, ssh.MarshalAuthorizedKey(public), 0o600); err != nil {
		t.Fatal(err)
	}
	srv, err := sshd.New(sshd.Options{Listen: "127.0.0.1:0", HostKeys: []string{host}, AuthorizedKeys: authorized,
		Source: &sourcetest.Source{Kept: 2000}, Log: slog.New(slog.DiscardHandler), Version: "behind a proxy"})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(t.Context()) }()
	t.Cleanup(func() {
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return srv.Addr().String(), []string{"-F", "none", "-i", client, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=" + filepath.Join(dir, "known_hosts")}
}

// TestProxyCommand holds that ssh and scp work through `sshark proxy`, with their exit status
// and all of their output.
func TestProxyCommand(t *testing.T) {
	needs(t, "ssh", "scp")
	bin := program(t)
	addr, options := hubInProcess(t)
	options = append(options, "-o", fmt.Sprintf("ProxyCommand=%s proxy --to %s", bin, addr))
	through := func(tool string, args ...string) answer {
		t.Helper()
		return run(t, exec.CommandContext(t.Context(), tool, append(options[:len(options):len(options)], args...)...))
	}

	if a := through("ssh", "console", "version"); a.status != 0 || !strings.Contains(a.out, "behind a proxy") {
		t.Errorf("version: status %d, %q, %s", a.status, a.out, a.errs)
	}
	if a := through("ssh", "console", "calls", "--all", "-o", "json"); a.status != 0 || strings.Count(a.out, "\n") != 2000 {
		t.Errorf("calls: status %d, %d lines of 2000, %s", a.status, strings.Count(a.out, "\n"), a.errs)
	}
	if a := through("ssh", "console", "no-such-command"); a.status != 2 || !strings.Contains(a.errs, "no-such-command") {
		t.Errorf("no-such-command: status %d, %s", a.status, a.errs)
	}
	file := filepath.Join(t.TempDir(), "last.pcapng")
	if a := through("scp", "console:/last/5m.pcapng", file); a.status != 0 {
		t.Errorf("scp: status %d, %s", a.status, a.errs)
	} else if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Errorf("scp left %v, %v", info, err)
	}
}

// TestProxyEnds holds how the proxy ends: with the console, and with standard input after what
// the console still has to say.
func TestProxyEnds(t *testing.T) {
	bin := program(t)
	listen := func(t *testing.T, serve func(net.Conn)) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			if conn, err := ln.Accept(); err == nil {
				serve(conn)
				conn.Close()
			}
		}()
		return ln.Addr().String()
	}

	t.Run("half close", func(t *testing.T) {
		const size = 4 << 20
		addr := listen(t, func(c net.Conn) {
			all, _ := io.ReadAll(c) // the proxy's half-close ends it
			c.Write(bytes.ToUpper(all))
		})
		cmd := exec.CommandContext(t.Context(), bin, "proxy", "--to", addr)
		cmd.Stdin = bytes.NewReader(bytes.Repeat([]byte("shark"), size/5))
		if a := run(t, cmd); a.status != 0 || a.out != strings.Repeat("SHARK", size/5) {
			t.Errorf("status %d, %d bytes of %d, %s", a.status, len(a.out), size/5*5, a.errs)
		}
	})
	t.Run("the console ends", func(t *testing.T) {
		addr := listen(t, func(c net.Conn) { io.WriteString(c, "bye") })
		cmd := exec.CommandContext(t.Context(), bin, "proxy", "--to", addr)
		in, err := cmd.StdinPipe() // stays open
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if state, err := cmd.Process.Wait(); err != nil || state.ExitCode() != 0 {
			t.Errorf("%v, %v, %s", state, err, &errs)
		}
		in.Close()
		cmd.Wait() // it was waited for; this ends the copying
		if out.String() != "bye" {
			t.Errorf("the console's last word is %q", out.String())
		}
	})
}
