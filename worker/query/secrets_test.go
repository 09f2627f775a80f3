package query

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/keylog"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
)

// encrypted is a capture of HTTP in TLS, with secrets in front of the packets.
const encrypted = "../../dissect/tls/testdata/keys-old.pcapng"

// secretsIn are those of a capture.
func secretsIn(t *testing.T, path string) (text []byte) {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r, err := pcapng.NewReader(in, pcapng.ReaderOptions{OnSecrets: func(_ uint32, b []byte) { text = append(text, b...) }})
	if err != nil {
		t.Fatal(err)
	}
	var p pcap.Packet
	for r.Next(&p) == nil {
	}
	if len(text) == 0 {
		t.Fatalf("%s has no secrets", path)
	}
	return text
}

// rewrite copies a capture's packets, with secrets behind all or the first of them.
func rewrite(t *testing.T, packets []pcap.Packet, kind uint32, secrets []byte, first ...int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "encrypted.pcapng")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := pcapng.NewWriter(out, pcapng.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := len(packets)
	if len(first) > 0 {
		at = first[0]
	}
	for i := range len(packets) + 1 {
		if i == at && secrets != nil {
			if err := w.Secrets(kind, secrets); err != nil {
				t.Fatal(err)
			}
		}
		if i < len(packets) {
			if err := w.Write(&packets[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSecrets: TLS is decrypted with what a capture brings along, wherever it stands in it, and
// with a key log.
func TestSecrets(t *testing.T) {
	secrets := secretsIn(t, encrypted)
	packets := packetsIn(t, encrypted)
	log := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(log, append([]byte("# of a client\n"), secrets...), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := []string{"GET /tls11/1", "GET /tls11/2", "GET /tls10/1", "GET /tls10/2", "GET /tls10-then-mac/1", "GET /tls10-then-mac/2"}
	for _, test := range []struct {
		name, path, log string
		filter          string
		want            []string
	}{
		{"in front", encrypted, "", "http", plain},
		{"decrypted", encrypted, "", "tls && elapsed_time >= 0", plain},
		{"handshakes", encrypted, "", "tlsx && !tls", []string{"ClientHello shop.example", "ClientHello shop.example", "ClientHello shop.example"}},
		{"behind", rewrite(t, packets, keylog.Kind, secrets), "", "tls", plain},
		{"of something else", rewrite(t, packets, 0x57474b4c, secrets), "", "tls", nil},
		{"none", rewrite(t, packets, 0, nil), "", "tls", nil},
		{"key log", rewrite(t, packets, 0, nil), log, "tls", plain},
	} {
		f := openFiles(t, test.path)
		if test.log != "" {
			if err := f.KeyLog(test.log); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // the second question finds the secrets gathered
			var got []string
			_, err := f.Calls(context.Background(), &Request{Filter: test.filter}, func(c *dissect.Call) error {
				got = append(got, string(c.Message.AppendSummary(nil)))
				return nil
			})
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%s: %q, %v", test.name, got, err)
			}
		}
		flows, want := 0, 3
		if test.want == nil {
			want = 0
		}
		if _, err := f.Flows(context.Background(), &Request{Filter: "tls"}, func(*dissect.Flow) error { flows++; return nil }); err != nil || flows != want {
			t.Errorf("%s: %d flows, %v", test.name, flows, err)
		}
	}
}

// TestSecretsFarBehind: secrets that are not looked for ahead of the packets decrypt the
// connections that begin behind them, in every run the same ones.
func TestSecretsFarBehind(t *testing.T) {
	packets := packetsIn(t, encrypted)
	var second int // packet that opens the second connection
	for i := range packets {
		if packets[i].Time-packets[0].Time > 5e8 && packets[i].Length == packets[0].Length {
			second = i
			break
		}
	}
	secrets := secretsIn(t, encrypted)
	for _, test := range []struct {
		at, want int
	}{{0, 6}, {second, 4}, {len(packets), 0}} {
		path := rewrite(t, packets, keylog.Kind, secrets, test.at)
		for range 3 {
			f := openFiles(t, path)
			f.lookAhead = 0
			got := 0
			_, err := f.Calls(context.Background(), &Request{Filter: "tls"}, func(*dissect.Call) error { got++; return nil })
			if err != nil || got != test.want {
				t.Errorf("secrets before packet %d: %d calls, %v", test.at, got, err)
			}
		}
	}
}

func TestKeyLogErrors(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct{ text, want string }{
		"empty":     {"", "holds none"},
		"no lines":  {strings.Repeat("x", 1<<20), "holds none"},
		"something": {"hello\nworld\n", "SSLKEYLOGFILE"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := openFiles(t, encrypted).KeyLog(path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := openFiles(t, encrypted).KeyLog(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}
