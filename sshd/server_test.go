package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/sshd/sourcetest"
)

var language = func() *filter.Language {
	l, err := filter.New([]*dissect.Protocol{sourcetest.HTTP})
	if err != nil {
		panic(err)
	}
	return l
}()

// console is a server with a client's keys, and what it takes to reach it with OpenSSH.
type console struct {
	t      testing.TB
	server *Server
	source *sourcetest.Source
	dir    string
	log    *lockedBuffer
	key    gossh.Signer
	port   string
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// writeKey makes a key pair in files, in OpenSSH's form.
func writeKey(t testing.TB, path string) gossh.Signer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := gossh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".pub", gossh.MarshalAuthorizedKey(key), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// start runs a server over a source until the test ends.
func start(t testing.TB, source *sourcetest.Source, change func(*Options)) *console {
	t.Helper()
	c, o := prepare(t)
	c.source = source
	source.Language = language
	o.Source, o.Language = source, language
	if change != nil {
		change(&o)
	}
	t.Cleanup(func() { // after the server has ended
		if n := source.Running(); n != 0 {
			t.Errorf("%d queries are left", n)
		}
	})
	c.serve(o)
	return c
}

// prepare makes the keys of a host, of ada, who gets in, and of eve, who does not.
func prepare(t testing.TB) (*console, Options) {
	t.Helper()
	c := &console{t: t, log: &lockedBuffer{}}
	// A control socket's path must be short.
	dir, err := os.MkdirTemp("", "sshd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c.dir = dir
	writeKey(t, c.file("host"))
	c.key = writeKey(t, c.file("ada"))
	writeKey(t, c.file("eve"))
	c.write("authorized_keys", strings.TrimSpace(string(gossh.MarshalAuthorizedKey(c.key.PublicKey())))+" ada@laptop\n")
	return c, Options{
		Listen: "127.0.0.1:0", HostKeys: []string{c.file("host")}, AuthorizedKeys: c.file("authorized_keys"), Version: "test", Spool: dir,
		Log: slog.New(slog.NewJSONHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now: func() time.Time { return sourcetest.Start.Add(10 * time.Minute) },
	}
}

// write makes a file in the console's folder.
func (c *console) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(c.file(name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// serve runs a server until the test ends.
func (c *console) serve(o Options) {
	c.t.Helper()
	var err error
	if c.server, err = New(o); err != nil {
		c.t.Fatal(err)
	}
	_, c.port, err = net.SplitHostPort(c.server.Addr().String())
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.server.Serve(ctx) }()
	c.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			c.t.Errorf("serve: %v", err)
		}
		if c.t.Failed() {
			c.t.Logf("server's log:\n%s", c.log.String())
		}
	})
}

func (c *console) file(name string) string { return filepath.Join(c.dir, name) }

// options are what every OpenSSH client here is told: nothing of the machine's own settings.
func (c *console) options(key string) []string {
	return []string{
		"-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", c.file(key), "-o", "BatchMode=yes", "-o", "ConnectTimeout=20",
	}
}

// tool skips where an OpenSSH client is missing.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// ssh is a client that has not been started; args follow the host.
func (c *console) ssh(key string, before []string, command ...string) *exec.Cmd {
	c.t.Helper()
	args := append(c.options(key), "-p", c.port)
	args = append(args, before...)
	args = append(args, "ops@127.0.0.1")
	cmd := exec.Command(tool(c.t, "ssh"), append(args, command...)...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	return cmd
}

type result struct {
	status      int
	out, stderr string
}

func finish(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
}

func (c *console) run(command ...string) result {
	c.t.Helper()
	return finish(c.t, c.ssh("ada", nil, command...))
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

func (c *console) logged(what string) {
	c.t.Helper()
	until(c.t, "log has "+what, func() bool { return strings.Contains(c.log.String(), what) })
}

func TestAdmin(t *testing.T) {
	c := start(t, &sourcetest.Source{Kept: 8}, nil)
	for _, tt := range []struct {
		name    string
		command []string
		status  int
		out     string
		lines   int
		stderr  string
	}{
		{"version", []string{"version"}, 0, "sshark test\n", 1, ""},
		{"whoami", []string{"whoami"}, 0, "user    ada@laptop\nlogin   ops\n", 5, ""},
		{"calls", []string{"calls", "--last", "5"}, 0, "shop/gateway-7d9f", 6, ""},
		{"json", []string{"calls", "-o", "json"}, 0, `"status_code":503`, 8, ""},
		{"filter of several words", []string{"calls", "http", "'&&'", "status_code", "'>='", "500", "-o", "json"}, 0, `"status_code":503`, 1, ""},
		{"filter in one word", []string{"calls", "-o", "json", "'http && status_code >= 500'"}, 0, `"status_code":503`, 1, ""},
		{"filter with quotes", []string{`calls -o json path == "/cart/3"`}, 0, `/cart/3`, 1, ""},
		{"time of two words", []string{"calls", "-o", "json", "--since", "2026-01-02 15:04:10"}, 0, `/cart/5`, 3, ""},
		{"less is kept", []string{"calls", "-o", "json", "--since", "2026-01-02 15:00"}, 0, `/cart/0`, 8, "oldest packet kept: node-a 2026-01-02T15:04:05Z"},
		{"wrong filter", []string{"calls", "statuscode"}, 2, "", 0, "line 1, column 1"},
		{"unknown command", []string{"frobnicate"}, 2, "", 0, "no command"},
		{"unclosed quote", []string{"calls 'x"}, 2, "", 0, "not closed"},
		{"help", []string{"help"}, 0, "Exit status", 14, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := c.run(tt.command...)
			if r.status != tt.status || !strings.Contains(r.out, tt.out) || tt.lines != strings.Count(r.out, "\n") && tt.name != "help" || !strings.Contains(r.stderr, tt.stderr) || (tt.stderr == "") != (r.stderr == "") {
				t.Errorf("%+v", r)
			}
		})
	}
	c.logged(`"msg":"session"`)
	for _, want := range []string{`"user":"ada@laptop"`, `"login":"ops"`, `"kind":"command"`, `"what":"calls --last 5"`, `"audit":true`, `"namespaces":["*"]`, `"status":2`, `"key":"SHA256:`} {
		c.logged(want)
	}
}

func TestStrangers(t *testing.T) {
	c := start(t, &sourcetest.Source{Kept: 8}, nil)
	for _, tt := range []struct {
		name string
		cmd  *exec.Cmd
	}{
		{"wrong key", c.ssh("eve", nil, "version")},
		{"no key", c.ssh("missing", []string{"-o", "PubkeyAuthentication=no"}, "version")},
		{"password", c.ssh("missing", []string{"-o", "PreferredAuthentications=password,keyboard-interactive"}, "version")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := finish(t, tt.cmd)
			if r.status != 255 || r.out != "" || !strings.Contains(r.stderr, "Permission denied (publickey)") {
				t.Errorf("%+v", r)
			}
		})
	}
	c.logged("key is not authorized")
	if strings.Contains(c.log.String(), `"msg":"session"`) {
		t.Error("a stranger had a session")
	}
}

// TestKeyThatIsOnlyOffered: a client that shows ada's public key and proves eve's is eve.
func TestKeyThatIsOnlyOffered(t *testing.T) {
	c := start(t, &sourcetest.Source{}, nil)
	text := ""
	for _, name := range []string{"ada", "eve"} {
		b, err := os.ReadFile(c.file(name + ".pub"))
		if err != nil {
			t.Fatal(err)
		}
		text += strings.TrimSpace(string(b)) + " " + name + "@laptop\n"
		// The public key alone, as a client has it that holds the private one elsewhere.
		if name == "ada" {
			if err := os.WriteFile(c.file("shown.pub"), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(c.file("authorized_keys"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := finish(t, c.ssh("shown.pub", []string{"-v", "-o", "LogLevel=DEBUG1", "-i", c.file("eve")}, "whoami"))
	if r.status != 0 || !strings.Contains(r.out, "eve@laptop") {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(r.stderr, "Server accepts key: "+c.file("shown.pub")) {
		t.Errorf("the client did not offer ada's key: %s", r.stderr)
	}
}

func TestNoShell(t *testing.T) {
	c := start(t, &sourcetest.Source{}, nil)
	r := finish(t, c.ssh("ada", nil))
	if r.status != 2 || r.out != "" || !strings.Contains(r.stderr, "no shell") {
		t.Errorf("%+v", r)
	}
	for _, command := range []string{"sh", "/bin/sh -c id", "$(id)", "`id`", "; id", "internal-sftp", "scp -t /tmp/x"} {
		r := c.run(command)
		if r.status == 0 || strings.Contains(r.out, "uid=") {
			t.Errorf("%s: %+v", command, r)
		}
	}
	r = finish(t, c.ssh("ada", []string{"-s"}, "netconf"))
	if r.status != 255 && r.status != 1 {
		t.Errorf("another subsystem: %+v", r)
	}
}

func TestNoForwarding(t *testing.T) {
	c := start(t, &sourcetest.Source{Kept: 1}, nil)
	secret, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	reached := make(chan struct{}, 1)
	go func() {
		if conn, err := secret.Accept(); err == nil {
			conn.Close()
			reached <- struct{}{}
		}
	}()
	r := finish(t, c.ssh("ada", []string{"-W", secret.Addr().String()}))
	if r.status == 0 || !strings.Contains(r.stderr, "forwards nothing") && !strings.Contains(r.stderr, "forwarding failed") {
		t.Errorf("-W: %+v", r)
	}
	r = finish(t, c.ssh("ada", []string{"-o", "ExitOnForwardFailure=yes", "-R", "0:" + secret.Addr().String()}, "version"))
	if r.status != 255 || !strings.Contains(r.stderr, "remote port forwarding failed") {
		t.Errorf("-R: %+v", r)
	}
	// With X11 and an agent asked for, the command runs without either.
	r = finish(t, c.ssh("ada", []string{"-X", "-A"}, "version"))
	if r.status != 0 {
		t.Errorf("-X -A: %+v", r)
	}
	client := c.dial()
	defer client.Close()
	for _, kind := range []string{"direct-tcpip", "direct-streamlocal@openssh.com", "tun@openssh.com", "x11", "auth-agent@openssh.com"} {
		_, _, err := client.OpenChannel(kind, nil)
		var refused *gossh.OpenChannelError
		if !errors.As(err, &refused) || refused.Reason != gossh.Prohibited {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, kind := range []string{"tcpip-forward", "streamlocal-forward@openssh.com"} {
		if ok, _, err := client.SendRequest(kind, true, nil); ok || err != nil {
			t.Errorf("%s: %v %v", kind, ok, err)
		}
	}
	s, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if ok, _ := s.SendRequest("auth-agent-req@openssh.com", true, nil); ok {
		t.Error("an agent was accepted")
	}
	select {
	case <-reached:
		t.Error("the forwarded port was reached")
	default:
	}
}

func (c *console) dial() *gossh.Client {
	c.t.Helper()
	client, err := gossh.Dial("tcp", c.server.Addr().String(), &gossh.ClientConfig{
		User: "ops", HostKeyCallback: gossh.InsecureIgnoreHostKey(), Auth: []gossh.AuthMethod{gossh.PublicKeys(c.key)},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

func TestAlgorithms(t *testing.T) {
	c := start(t, &sourcetest.Source{}, nil)
	client := c.dial()
	defer client.Close()
	if v := string(client.ServerVersion()); v != "SSH-2.0-OpenSSH_9.9 sshark" {
		t.Errorf("version %q", v)
	}
	for _, weak := range []struct{ option, value string }{
		{"KexAlgorithms", "diffie-hellman-group14-sha1"}, {"Ciphers", "aes128-cbc"}, {"MACs", "hmac-sha1"},
	} {
		args := []string{"-o", weak.option + "=" + weak.value}
		if weak.option == "MACs" {
			args = append(args, "-o", "Ciphers=aes128-ctr")
		}
		if r := finish(t, c.ssh("ada", args, "version")); r.status != 255 {
			t.Errorf("%s: %+v", weak.value, r)
		}
		c.logged(`peer offered: [\"` + weak.value)
	}
	cfg := &gossh.ClientConfig{User: "ops", HostKeyCallback: gossh.InsecureIgnoreHostKey(), Auth: []gossh.AuthMethod{gossh.PublicKeys(c.key)}}
	cfg.KeyExchanges = []string{gossh.KeyExchangeMLKEM768X25519}
	pq, err := gossh.Dial("tcp", c.server.Addr().String(), cfg)
	if err != nil {
		t.Fatalf("mlkem768x25519: %v", err)
	}
	pq.Close()
}

func TestLimits(t *testing.T) {
	c := start(t, &sourcetest.Source{Kept: 1}, func(o *Options) {
		o.Limits = Limits{Burst: 3, Rate: 0.001, SessionsOfConn: 2}
	})
	client := c.dial()
	defer client.Close()
	var open []*gossh.Session
	for range 2 {
		s, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
	}
	if _, err := client.NewSession(); err == nil {
		t.Error("a third session on one connection")
	}
	for _, s := range open {
		s.Close()
	}
	until(t, "a place is free again", func() bool {
		s, err := client.NewSession()
		if err == nil {
			s.Close()
		}
		return err == nil
	})
	c.dial().Close()
	c.dial().Close()
	if conn, err := net.Dial("tcp", c.server.Addr().String()); err == nil {
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Error("the fourth connection of a burst of three was served")
		}
		conn.Close()
	}
	c.logged("too many new connections")
}

func TestShutdownEndsSessions(t *testing.T) {
	source := &sourcetest.Source{Kept: 1}
	source.Language = language
	c := start(t, source, nil)
	cmd := c.ssh("ada", nil, "calls", "-f", "-o", "json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, out)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if n := source.Running(); n != 0 {
		t.Errorf("%d queries run after the shutdown", n)
	}
	cmd.Wait()
	if cmd.ProcessState.ExitCode() != 130 || !strings.Contains(stderr.String(), "server is stopping") {
		t.Errorf("status %d, %s", cmd.ProcessState.ExitCode(), stderr.String())
	}
}

func TestBadOptions(t *testing.T) {
	dir := t.TempDir()
	for i, o := range []Options{
		{},
		{Source: &sourcetest.Source{}, Log: slog.Default(), AuthorizedKeys: "x"},
		{Source: &sourcetest.Source{}, Log: slog.Default(), AuthorizedKeys: "x", HostKeys: []string{dir + "/none"}},
		{Source: &sourcetest.Source{}, Log: slog.Default(), AuthorizedKeys: "x", HostKeyPEM: [][]byte{[]byte("rubbish")}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("options %d: no error", i)
		}
	}
}

// authorized is a key as a line of authorized_keys has it.
func authorized(key gossh.Signer) string {
	return strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key.PublicKey())))
}
