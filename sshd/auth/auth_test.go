package auth

import (
	"bytes"
	"crypto/ed25519"
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

func newKey(t *testing.T, seed byte) ssh.PublicKey {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	key, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func line(t *testing.T, options string, seed byte, comment string) string {
	t.Helper()
	text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(newKey(t, seed)))) + " " + comment + "\n"
	if options != "" {
		text = options + " " + text
	}
	return text
}

func TestKeys(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	home := netip.MustParseAddr("10.0.0.7")
	for _, tt := range []struct {
		name string
		file string
		from netip.Addr
		want error
		user string
	}{
		{"known", line(t, "", 1, "ada@laptop"), home, nil, "ada@laptop"},
		{"without a comment", line(t, "", 1, ""), home, nil, ssh.FingerprintSHA256(newKey(t, 1))},
		{"unknown", line(t, "", 2, "eve"), home, ErrUnknownKey, ""},
		{"empty file", "", home, ErrUnknownKey, ""},
		{"among comments and rubbish", "# keys\n\nrubbish\n" + line(t, "", 2, "eve") + line(t, "", 1, "ada"), home, nil, "ada"},
		{"harmless options", line(t, `no-port-forwarding,no-agent-forwarding`, 1, "ada"), home, nil, "ada"},
		{"from fits", line(t, `from="10.0.0.0/8,192.0.2.1"`, 1, "ada"), home, nil, "ada"},
		{"from fits, mapped", line(t, `from="10.0.0.0/8"`, 1, "ada"), netip.MustParseAddr("::ffff:10.0.0.7"), nil, "ada"},
		{"from does not fit", line(t, `from="192.0.2.0/24"`, 1, "ada"), home, ErrAddress, ""},
		{"from excludes", line(t, `from="10.0.0.0/8,!10.0.0.7"`, 1, "ada"), home, ErrAddress, ""},
		{"from with a name", line(t, `from="*.example.com"`, 1, "ada"), home, ErrUnknownKey, ""},
		{"not expired", line(t, `expiry-time="20260103Z"`, 1, "ada"), home, nil, "ada"},
		{"expired", line(t, `expiry-time="202601021504Z"`, 1, "ada"), home, ErrExpired, ""},
		{"bad expiry", line(t, `expiry-time="soon"`, 1, "ada"), home, ErrUnknownKey, ""},
		{"forced command", line(t, `command="/bin/true"`, 1, "ada"), home, ErrUnknownKey, ""},
		{"authority", line(t, `cert-authority`, 1, "ada"), home, ErrUnknownKey, ""},
		{"named by an option", line(t, `environment="SSHARK_USER=ada",environment="LANG=C"`, 1, "somebody"), home, nil, "ada"},
		{"empty name", line(t, `environment="SSHARK_USER="`, 1, "ada"), home, ErrUnknownKey, ""},
		{"a name of Kubernetes", line(t, `environment="SSHARK_USER=system:admin"`, 1, "ada"), home, ErrUnknownKey, ""},
		{"a comment of Kubernetes", line(t, ``, 1, "system:admin"), home, ErrUnknownKey, ""},
		{"a group of Kubernetes", line(t, `environment="SSHARK_GROUPS=dev,system:masters"`, 1, "ada"), home, ErrUnknownKey, ""},
		{"an empty group", line(t, `environment="SSHARK_GROUPS=dev,,ops"`, 1, "ada"), home, ErrUnknownKey, ""},
		{"misspelt", line(t, `environment="SSHARK_GROUP=dev"`, 1, "ada"), home, ErrUnknownKey, ""},
		{"unknown option", line(t, `frobnicate`, 1, "ada"), home, ErrUnknownKey, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "authorized_keys")
			if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			k := NewKeys(path, nil, slog.New(slog.DiscardHandler), func() time.Time { return now })
			u, err := k.Check("root", tt.from, newKey(t, 1))
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if err == nil && (u.Name != tt.user || u.Login != "root" || u.Method != ByKey) {
				t.Errorf("%+v", u)
			}
			if (u == nil) != (err != nil) {
				t.Error("want exactly one of user and error")
			}
		})
	}
}

func TestKeysChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authorized_keys")
	k := NewKeys(path, nil, slog.New(slog.DiscardHandler), time.Now)
	check := func(want error) {
		t.Helper()
		if _, err := k.Check("x", netip.Addr{}, newKey(t, 1)); !errors.Is(err, want) {
			t.Fatalf("error %v, want %v", err, want)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check(ErrUnknownKey) // no file
	write(line(t, "", 1, "ada"))
	check(nil)
	write(line(t, "", 2, "ada")) // the same size, perhaps the same time
	check(ErrUnknownKey)
	write(line(t, "", 1, "ada"))
	check(nil)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check(ErrUnknownKey)
}

// TestKeysTellWhatIsWrong: a file that lets nobody in is told when it is looked at, not when the
// first stands before the door.
func TestKeysTellWhatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authorized_keys")
	for _, tt := range []struct {
		text string
		keys int
		says string
	}{
		{"", 0, "there is no key among the authorized keys"},
		{"# nobody yet\n", 0, "no key gets in"},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\n", 0, "line of authorized keys is left out"},
		{line(t, "", 1, "ada") + line(t, "", 2, "bob"), 2, ""},
	} {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		n := NewKeys(path, nil, slog.New(slog.NewTextHandler(&log, nil)), time.Now).Look()
		if n != tt.keys || !strings.Contains(log.String(), tt.says) || (tt.says == "") != (log.Len() == 0) {
			t.Errorf("%q: %d keys, want %d: %s", tt.text, n, tt.keys, &log)
		}
	}
}

func TestGroupsOfKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authorized_keys")
	text := line(t, `environment="SSHARK_GROUPS=dev, ops",environment="SSHARK_GROUPS=dev,sre"`, 1, "ada")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := NewKeys(path, nil, slog.New(slog.DiscardHandler), time.Now).Check("x", netip.Addr{}, newKey(t, 1))
	if err != nil || !slices.Equal(u.Groups, []string{"dev", "ops", "sre"}) {
		t.Errorf("%+v %v", u, err)
	}
}

func TestCertificatesAreNoKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authorized_keys")
	if err := os.WriteFile(path, []byte(line(t, "", 1, "ada")), 0o600); err != nil {
		t.Fatal(err)
	}
	k := NewKeys(path, nil, slog.New(slog.DiscardHandler), time.Now)
	if _, err := k.Check("x", netip.Addr{}, &ssh.Certificate{Key: newKey(t, 1)}); !errors.Is(err, ErrCertificate) {
		t.Error(err)
	}
}

func TestUserCarried(t *testing.T) {
	u := &User{Name: "a\"d\x00a", Login: "root", Method: ByKey, Key: "SHA256:x", NoPty: true}
	got, err := UnmarshalUser(u.Marshal())
	if err != nil || got.Name != u.Name || got.Key != u.Key || !got.NoPty {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []string{"", "{}", "x"} {
		if _, err := UnmarshalUser(bad); err == nil {
			t.Errorf("%q is a user", bad)
		}
	}
}
