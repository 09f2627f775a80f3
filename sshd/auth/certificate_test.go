package auth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func newSigner(t testing.TB, seed byte) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var certTime = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// certificate is one that gets in as ada, before a change.
func certificate(t testing.TB, ca byte, change func(*ssh.Certificate)) *ssh.Certificate {
	t.Helper()
	c := &ssh.Certificate{
		Key: newKey(t.(*testing.T), 1), Serial: 7, CertType: ssh.UserCert, KeyId: "ada's laptop",
		ValidPrincipals: []string{"ada", "group:dev", "group:ops", "group:dev"},
		ValidAfter:      uint64(certTime.Add(-time.Hour).Unix()), ValidBefore: uint64(certTime.Add(time.Hour).Unix()),
		Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": ""}},
	}
	if change != nil {
		change(c)
	}
	if err := c.SignCert(rand.Reader, newSigner(t, ca)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCertificates(t *testing.T) {
	home := netip.MustParseAddr("10.0.0.7")
	options := func(name, value string) func(*ssh.Certificate) {
		return func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{name: value} }
	}
	principals := func(p ...string) func(*ssh.Certificate) {
		return func(c *ssh.Certificate) { c.ValidPrincipals = p }
	}
	const ca, other = 9, 8
	for _, tt := range []struct {
		name   string
		ca     byte
		login  string
		change func(*ssh.Certificate)
		want   error
		groups []string
	}{
		{"good", ca, "ada", nil, nil, []string{"dev", "ops"}},
		{"no groups", ca, "ada", principals("ada"), nil, nil},
		{"of another CA", other, "ada", nil, ErrCertificate, nil},
		{"signed by its own key", 1, "ada", nil, ErrCertificate, nil},
		{"of a host", ca, "ada", func(c *ssh.Certificate) { c.CertType = ssh.HostCert }, ErrCertificate, nil},
		{"of no kind", ca, "ada", func(c *ssh.Certificate) { c.CertType = 0 }, ErrCertificate, nil},
		{"another login", ca, "root", nil, ErrCertificate, nil},
		{"no login", ca, "", nil, ErrCertificate, nil},
		{"no principals", ca, "ada", principals(), ErrCertificate, nil},
		{"an empty principal", ca, "", principals(""), ErrCertificate, nil},
		{"a group as login", ca, "group:dev", nil, ErrCertificate, nil},
		{"only groups", ca, "ada", principals("group:ada"), ErrCertificate, nil},
		{"a login of Kubernetes", ca, "system:admin", principals("system:admin"), ErrCertificate, nil},
		{"a group of Kubernetes", ca, "ada", principals("ada", "group:system:masters"), ErrCertificate, nil},
		{"a group without a name", ca, "ada", principals("ada", "group:"), ErrCertificate, nil},
		{"expired", ca, "ada", func(c *ssh.Certificate) { c.ValidBefore = uint64(certTime.Unix()) }, ErrCertificate, nil},
		{"not yet", ca, "ada", func(c *ssh.Certificate) { c.ValidAfter = uint64(certTime.Unix()) + 1 }, ErrCertificate, nil},
		{"for ever", ca, "ada", func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }, nil, []string{"dev", "ops"}},
		{"source fits", ca, "ada", options("source-address", "192.0.2.1,10.0.0.0/8"), nil, []string{"dev", "ops"}},
		{"source does not fit", ca, "ada", options("source-address", "192.0.2.0/24"), ErrAddress, nil},
		{"source is rubbish", ca, "ada", options("source-address", "home"), ErrCertificate, nil},
		{"source is empty", ca, "ada", options("source-address", ""), ErrCertificate, nil},
		{"forced command", ca, "ada", options("force-command", "version"), ErrCertificate, nil},
		{"unknown option", ca, "ada", options("verify-required", ""), ErrCertificate, nil},
		{"unknown extension", ca, "ada", func(c *ssh.Certificate) { c.Extensions["x@example.com"] = "y" }, nil, []string{"dev", "ops"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "user_ca")
			text := "# our CA\n" + line(t, "", ca, "ca") + "rubbish\n" + line(t, `from="10.0.0.0/8"`, other, "limited")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			c := NewCertificates(path, nil, slog.New(slog.DiscardHandler), func() time.Time { return certTime })
			u, err := c.Check(tt.login, home, certificate(t, tt.ca, tt.change))
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || (u == nil) != (err != nil) {
				t.Fatalf("%+v, error %v, want %v", u, err, tt.want)
			}
			if err == nil && (u.Name != "ada" || u.Method != ByCertificate || u.KeyID != "ada's laptop" || u.Serial != 7 || u.NoPty || !slices.Equal(u.Groups, tt.groups)) {
				t.Errorf("%+v", u)
			}
		})
	}
}

// TestForgedCertificates: what was changed after it was signed does not get in.
func TestForgedCertificates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "user_ca")
	if err := os.WriteFile(path, []byte(line(t, "cert-authority", 9, "ca")), 0o600); err != nil {
		t.Fatal(err)
	}
	c := NewCertificates(path, nil, slog.New(slog.DiscardHandler), func() time.Time { return certTime })
	if _, err := c.Check("ada", netip.Addr{}, certificate(t, 9, nil)); err != nil {
		t.Fatal(err)
	}
	for name, forge := range map[string]func(*ssh.Certificate){
		"principals": func(c *ssh.Certificate) { c.ValidPrincipals = append(c.ValidPrincipals, "group:root") },
		"validity":   func(c *ssh.Certificate) { c.ValidBefore++ },
		"key":        func(c *ssh.Certificate) { c.Key = newKey(t, 2) },
		"signature":  func(c *ssh.Certificate) { c.Signature.Blob[0]++ },
		"none":       func(c *ssh.Certificate) { c.Signature = nil },
		"SHA-1":      func(c *ssh.Certificate) { c.Signature.Format = ssh.KeyAlgoRSA },
		"authority":  func(c *ssh.Certificate) { c.SignatureKey = newKey(t, 8) },
		"no one's":   func(c *ssh.Certificate) { c.SignatureKey = nil },
	} {
		forged := certificate(t, 9, nil)
		forge(forged)
		if _, err := c.Check("ada", netip.Addr{}, forged); !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A CA that is taken out is not trusted any more.
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Check("ada", netip.Addr{}, certificate(t, 9, nil)); !errors.Is(err, ErrCertificate) {
		t.Error(err)
	}
}

func TestRevocations(t *testing.T) {
	plain := strings.TrimSpace(line(t, "", 1, "ada"))
	for _, tt := range []struct {
		name, file string
		key, cert  bool // they get in
	}{
		{"nothing", "# nothing\n", true, true},
		{"the key", plain + "\n", false, false},
		{"the key, in words", "key: " + plain, false, false},
		{"its fingerprint", "sha256: " + ssh.FingerprintSHA256(newKey(t, 1)), false, false},
		{"the CA", line(t, "", 9, "ca"), true, false},
		{"the serial", "serial: 7", true, false},
		{"in a range", "serial: 0x5-9", true, false},
		{"out of a range", "serial: 8-9\nserial: 1", true, true},
		{"the key ID", "id: ada's laptop", true, false},
		{"another", line(t, "", 3, "eve") + "id: eve\nserial: 70", true, true},
		{"rubbish", "id: eve\nserial: x\n", false, false},
		{"a binary list", "SSHKRL\n\x00\x00", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			log, clock := slog.New(slog.DiscardHandler), func() time.Time { return certTime }
			list := write("revoked", tt.file)
			r := NewRevocations(list, log, clock)
			keys := NewKeys(write("keys", plain), r, log, clock)
			certs := NewCertificates(write("ca", line(t, "", 9, "ca")), r, log, clock)
			check := func(key, cert bool) {
				t.Helper()
				if _, err := keys.Check("ada", netip.Addr{}, newKey(t, 1)); (err == nil) != key || err != nil && !errors.Is(err, ErrRevoked) {
					t.Errorf("key: %v", err)
				}
				if _, err := certs.Check("ada", netip.Addr{}, certificate(t, 9, nil)); (err == nil) != cert || err != nil && !errors.Is(err, ErrRevoked) {
					t.Errorf("certificate: %v", err)
				}
			}
			check(tt.key, tt.cert)
			if err := os.Remove(list); err != nil {
				t.Fatal(err)
			}
			check(false, false) // a list that is gone lets nobody in
		})
	}
}

// FuzzAuthorizedKeys: a file is read or left out line by line; no option makes a name of Kubernetes.
func FuzzAuthorizedKeys(f *testing.F) {
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)).Public())
	if err != nil {
		f.Fatal(err)
	}
	text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	for _, options := range []string{"", "restrict", `environment="SSHARK_USER=ada",environment="SSHARK_GROUPS=dev,ops"`, `from="10.0.0.0/8,!10.1.0.0/16"`,
		`expiry-time="20260101Z"`, `environment="SSHARK_GROUPS=system:masters"`, `command="x"`, `environment=""`, `from="\"`} {
		f.Add(options, "ada@laptop")
	}
	f.Fuzz(func(t *testing.T, options, comment string) {
		keys, bad := parseKeys([]byte(options + " " + text + " " + comment + "\n"))
		if strings.ContainsAny(options+comment, "\n") {
			return
		}
		if len(keys)+len(bad) > 1 {
			t.Fatalf("%d keys and %d errors of one line", len(keys), len(bad))
		}
		for _, e := range keys {
			for _, name := range append([]string{e.name}, e.groups...) {
				if strings.HasPrefix(name, reserved) || len(name) > maxName {
					t.Fatalf("the name %q", name)
				}
			}
		}
		_, _ = parseCAs([]byte(options + " " + text))
		_, _ = parseRevoked([]byte(options + comment))
	})
}
