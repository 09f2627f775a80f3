package sshd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sshark/sshark/sshd/sourcetest"
)

// sign makes a certificate of ada's key with ssh-keygen; the client finds it beside the key.
func (c *console) sign(ca, key string, args ...string) {
	c.t.Helper()
	all := append([]string{"-q", "-s", c.file(ca)}, append(args, c.file(key+".pub"))...)
	if out, err := exec.Command(tool(c.t, "ssh-keygen"), all...).CombinedOutput(); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
}

// TestCertificates: what ssh-keygen signs and OpenSSH shows.
func TestCertificates(t *testing.T) {
	c := start(t, &sourcetest.Source{Kept: 8}, func(o *Options) {
		o.UserCA, o.AuthorizedKeys = o.Spool+"/ca.pub", ""
		o.Policy = o.Spool + "/policy.yaml"
		policy := "rules:\n- groups: [dev]\n  verbs: [see]\n  namespaces: ['*']\n"
		if err := os.WriteFile(o.Policy, []byte(policy), 0o600); err != nil {
			t.Fatal(err)
		}
		o.Now = nil // the certificates are made by another program's clock
	})
	writeKey(t, c.file("ca"))
	writeKey(t, c.file("other"))
	login := func(name string, command ...string) result {
		t.Helper()
		return finish(t, c.ssh("ada", []string{"-l", name}, command...))
	}
	for _, tt := range []struct {
		name   string
		ca     string
		args   []string
		login  string
		status int
	}{
		{"no certificate", "", nil, "ada", 255},
		{"good", "ca", []string{"-I", "laptop of ada", "-n", "ada,group:dev", "-V", "+1h", "-z", "42"}, "ada", 0},
		{"another login", "ca", []string{"-I", "x", "-n", "ada,group:dev", "-V", "+1h"}, "root", 255},
		{"no principals", "ca", []string{"-I", "x", "-V", "+1h"}, "ada", 255},
		{"of a host", "ca", []string{"-h", "-I", "x", "-n", "ada,group:dev", "-V", "+1h"}, "ada", 255},
		{"another CA", "other", []string{"-I", "x", "-n", "ada,group:dev", "-V", "+1h"}, "ada", 255},
		{"expired", "ca", []string{"-I", "x", "-n", "ada,group:dev", "-V", "-2h:-1h"}, "ada", 255},
		{"not yet", "ca", []string{"-I", "x", "-n", "ada,group:dev", "-V", "+1h:+2h"}, "ada", 255},
		{"forced command", "ca", []string{"-I", "x", "-n", "ada,group:dev", "-O", "force-command=version"}, "ada", 255},
		{"from elsewhere", "ca", []string{"-I", "x", "-n", "ada,group:dev", "-O", "source-address=192.0.2.0/24"}, "ada", 255},
		{"from here", "ca", []string{"-I", "x", "-n", "ada,group:dev", "-O", "source-address=127.0.0.0/8"}, "ada", 0},
		{"no groups", "ca", []string{"-I", "x", "-n", "ada", "-V", "+1h"}, "ada", 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_ = os.Remove(c.file("ada-cert.pub"))
			if tt.ca != "" {
				c.sign(tt.ca, "ada", tt.args...)
			}
			r := login(tt.login, "calls --all")
			if r.status != tt.status || (tt.status == 0) != strings.Contains(r.out, "shop/") {
				t.Errorf("%+v", r)
			}
		})
	}
	c.logged(`"method":"certificate"`)
	c.logged(`"key_id":"laptop of ada","serial":42`)
	c.sign("ca", "ada", "-I", "laptop of ada", "-n", "ada,group:dev", "-V", "+1h", "-z", "42")
	if r := login("ada", "whoami"); r.status != 0 || !strings.Contains(r.out, "user    ada") || !strings.Contains(r.out, "serial  42") || !strings.Contains(r.out, "may     see in all namespaces") {
		t.Errorf("%+v", r)
	}
}

// tokens is a cluster's tokens.
type tokens map[string]string

func (k tokens) TokenUser(_ context.Context, token string) (string, []string, error) {
	name, ok := k[token]
	if !ok {
		return "", nil, fmt.Errorf("token %s is not known", token)
	}
	return name, []string{"system:authenticated"}, nil
}

const goodToken, badToken = "eyJhbGciOiJSUzI1NiJ9.good.c2ln", "eyJhbGciOiJSUzI1NiJ9.bad.c2ln"

// TestTokens: OpenSSH asks for a token, types it, and it is nowhere in the log.
func TestTokens(t *testing.T) {
	c := start(t, &sourcetest.Source{Kept: 8}, func(o *Options) {
		o.AuthorizedKeys, o.Tokens = "", tokens{goodToken: "ada@example.com"}
		o.Policy = o.Spool + "/policy.yaml"
		policy := "rules:\n- users: ['*', ada@example.com]\n  verbs: [see]\n  namespaces: [shop]\n"
		if err := os.WriteFile(o.Policy, []byte(policy), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	login := func(token string) result {
		t.Helper()
		ask := c.file("askpass")
		if err := os.WriteFile(ask, []byte("#!/bin/sh\necho \"$1\" >>"+c.file("asked")+"\necho "+token+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := c.ssh("missing", []string{"-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1", "-o", "PreferredAuthentications=keyboard-interactive"}, "whoami")
		cmd.Args = append(cmd.Args[:1], append([]string{"-o", "BatchMode=no"}, cmd.Args[1:]...)...) // the first counts
		cmd.Env = append(os.Environ(), "SSH_ASKPASS="+ask, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=none")
		return finish(t, cmd)
	}
	if r := login(goodToken); r.status != 0 || !strings.Contains(r.out, "ada@example.com") || !strings.Contains(r.out, "method  token") || !strings.Contains(r.out, "may     see in shop") {
		t.Errorf("%+v", r)
	}
	if asked, err := os.ReadFile(c.file("asked")); err != nil || !strings.Contains(string(asked), "Kubernetes token: ") {
		t.Errorf("it was asked for %q: %v", asked, err)
	}
	if r := login(badToken); r.status != 255 || !strings.Contains(r.stderr, "Permission denied") || strings.Contains(r.stderr, "not known") {
		t.Errorf("%+v", r)
	}
	c.logged("token is not accepted")
	for _, token := range []string{goodToken, badToken} {
		if strings.Contains(c.log.String(), token) {
			t.Error("the log holds a token")
		}
	}
}

// TestTokenThatIsNoAnswer: clients that do not play by the rules, and one that tried a key
// before.
func TestTokenThatIsNoAnswer(t *testing.T) {
	c := start(t, &sourcetest.Source{}, func(o *Options) { o.Tokens = tokens{goodToken: "ada@example.com"} })
	dial := func(auth ...gossh.AuthMethod) (*gossh.Client, error) {
		return gossh.Dial("tcp", c.server.Addr().String(), &gossh.ClientConfig{User: "ops", HostKeyCallback: gossh.InsecureIgnoreHostKey(), Auth: auth})
	}
	answer := func(answers ...string) gossh.AuthMethod {
		return gossh.KeyboardInteractive(func(_, _ string, questions []string, echos []bool) ([]string, error) {
			if len(questions) == 1 && (questions[0] != "Kubernetes token: " || echos[0]) {
				t.Errorf("asked for %q, shown as it is typed: %v", questions, echos)
			}
			if len(answers) == 0 {
				return nil, errors.New("no answer")
			}
			return answers[:len(questions)], nil
		})
	}
	for name, m := range map[string]gossh.AuthMethod{"empty": answer(""), "bad": answer(badToken), "none": answer(), "long": answer(strings.Repeat("x", 20000))} {
		if client, err := dial(m); err == nil {
			client.Close()
			t.Errorf("%s: it got in", name)
		}
	}
	// eve's key is refused, then the token is ada's: the session is ada's by token.
	eve, err := gossh.ParsePrivateKey(readFile(t, c.file("eve")))
	if err != nil {
		t.Fatal(err)
	}
	client, err := dial(gossh.PublicKeys(eve), answer(goodToken))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Output("whoami -o json")
	var who struct{ User, Method, Key string }
	if err != nil || json.Unmarshal(out, &who) != nil || who.User != "ada@example.com" || who.Method != "token" || who.Key != "" {
		t.Errorf("%s %v", out, err)
	}
	// Everybody with a key may do everything where there is no policy; who has a token may nothing.
	other, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var exit *gossh.ExitError
	if err := other.Run("calls"); !errors.As(err, &exit) || exit.ExitStatus() != 4 {
		t.Errorf("calls: %v", err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAuditOfStrangers: connections and sign-ins that are refused have a line each, and what
// strangers say cannot forge one.
func TestAuditOfStrangers(t *testing.T) {
	audit := &lockedBuffer{}
	c := start(t, &sourcetest.Source{}, func(o *Options) {
		o.Audit = audit
		o.Limits = Limits{Burst: 2, Rate: 0.001}
	})
	_, err := gossh.Dial("tcp", c.server.Addr().String(), &gossh.ClientConfig{User: "x\n{\"audit\":true}\x1b[2J" + strings.Repeat("y", 10000), HostKeyCallback: gossh.InsecureIgnoreHostKey(),
		Auth: []gossh.AuthMethod{gossh.PublicKeys(func() gossh.Signer {
			eve, err := gossh.ParsePrivateKey(readFile(t, c.file("eve")))
			if err != nil {
				t.Fatal(err)
			}
			return eve
		}())}})
	if err == nil {
		t.Fatal("eve got in")
	}
	for range 3 {
		if conn, err := net.Dial("tcp", c.server.Addr().String()); err == nil {
			defer conn.Close()
		}
	}
	until(t, "both are in the log", func() bool {
		return strings.Contains(audit.String(), "sign-in refused") && strings.Contains(audit.String(), "connection refused")
	})
	for line := range strings.Lines(audit.String()) {
		var entry struct {
			Time, Msg, Remote, Login, Reason string
			Audit, Refused                   bool
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || !entry.Audit || !entry.Refused || entry.Time == "" || entry.Remote == "" || entry.Reason == "" {
			t.Errorf("%s: %v", line, err)
		}
		if len(line) > 2*maxAudited || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\n") {
			t.Errorf("a line of %d bytes: %.200q", len(line), line)
		}
	}
	if strings.Contains(c.log.String(), `"audit":true`) {
		t.Error("the audit log is in the other one too")
	}
}
