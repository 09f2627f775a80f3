package keylog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap/memtest"
)

var (
	one    = strings.Repeat("01", 32)
	secret = strings.Repeat("ab", 48)
)

func TestAdd(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want int
	}{
		"one":               {"CLIENT_RANDOM " + one + " " + secret + "\n", 1},
		"no line end":       {"CLIENT_RANDOM " + one + " " + secret, 1},
		"of Windows":        {"CLIENT_RANDOM " + one + " " + secret + "\r\n", 1},
		"capital digits":    {"CLIENT_RANDOM " + one + " " + strings.ToUpper(secret), 1},
		"three":             {"# by a browser\n\nCLIENT_TRAFFIC_SECRET_0 " + one + " " + secret + "\nSERVER_TRAFFIC_SECRET_0 " + one + " " + secret + "\nSERVER_HANDSHAKE_TRAFFIC_SECRET " + one + " " + secret, 3},
		"nothing":           {"", 0},
		"not for TLS":       {"EXPORTER_SECRET " + one + " " + secret, 0},
		"old":               {"RSA 0102030405060708 " + secret, 0},
		"text":              {"hello", 0},
		"label":             {"CLIENT_RANDOM", 0},
		"no secret":         {"CLIENT_RANDOM " + one, 0},
		"short random":      {"CLIENT_RANDOM " + one[2:] + " " + secret, 0},
		"short secret":      {"CLIENT_RANDOM " + one + " abcd", 0},
		"long secret":       {"CLIENT_RANDOM " + one + " " + strings.Repeat("ab", 65), 0},
		"half a byte":       {"CLIENT_RANDOM " + one + " " + secret + "a", 0},
		"no digits":         {"CLIENT_RANDOM " + one + " " + strings.Repeat("xy", 48), 0},
		"no digits, random": {"CLIENT_RANDOM " + strings.Repeat("xy", 32) + " " + secret, 0},
	} {
		s := New()
		if got := s.Add([]byte(test.text)); got != test.want || s.Connections() != min(1, test.want) {
			t.Errorf("%s: %d secrets of %d connections", name, got, s.Connections())
		}
	}
}

func TestOf(t *testing.T) {
	s := New()
	s.Add([]byte("CLIENT_RANDOM " + one + " " + secret))
	s.Add([]byte("SERVER_TRAFFIC_SECRET_0 " + one + " " + secret[32:]))
	random := bytes.Repeat([]byte{1}, 32)
	got, ok := s.Of(random)
	if !ok || fmt.Sprintf("%x", got[Master]) != secret || fmt.Sprintf("%x", got[ServerTraffic]) != secret[32:] || got[ClientTraffic] != nil {
		t.Errorf("%x, %v", got, ok)
	}
	for name, missing := range map[string][]byte{"other": make([]byte, 32), "short": random[:31], "none": nil} {
		if _, ok := s.Of(missing); ok {
			t.Error(name)
		}
	}
	var none *Store
	if _, ok := none.Of(random); ok || none.Connections() != 0 || none.LeftOut() != 0 {
		t.Error("no store has secrets")
	}
}

// TestBounded: of too many connections the first are kept, and the rest are counted.
func TestBounded(t *testing.T) {
	s := New()
	var random [32]byte
	add := func(n int) {
		binary.BigEndian.PutUint64(random[:], uint64(n))
		s.Add(fmt.Appendf(nil, "CLIENT_RANDOM %x %s\n", random, secret))
	}
	for n := range MaxConnections + 3 {
		add(n)
	}
	add(0)
	if s.Connections() != MaxConnections || s.LeftOut() != 3 {
		t.Errorf("%d connections, %d left out", s.Connections(), s.LeftOut())
	}
}

func FuzzAdd(f *testing.F) {
	f.Add([]byte("CLIENT_RANDOM " + one + " " + secret + "\r\n\n# text\nCLIENT_TRAFFIC_SECRET_0  " + one + " " + secret))
	memory := memtest.New(16 << 20)
	f.Fuzz(func(t *testing.T, text []byte) {
		memory.Input()
		defer memory.Check(t)
		s := New()
		n := s.Add(text)
		if s.Connections() > n || n > bytes.Count(text, []byte{'\n'})+1 {
			t.Errorf("%d secrets of %d connections", n, s.Connections())
		}
		for _, secrets := range s.of {
			for _, secret := range secrets {
				if n := len(secret); n != 0 && (n < minSecret || n > maxSecret) {
					t.Errorf("a secret of %d bytes", n)
				}
			}
		}
	})
}
