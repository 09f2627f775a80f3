// Package keylog keeps the secrets of TLS connections, by the random of their ClientHello, as they
// are written by SSLKEYLOGFILE: text, a secret a line (draft-ietf-tls-keylogfile-05), also inside of
// a pcapng's Decryption Secrets Block. Lines that are no secrets, or are of a kind that nothing is
// decrypted with, are passed over.
package keylog

import (
	"bytes"
	"encoding/hex"
	"sync"
)

// Kind is the Secrets Type of a pcapng's Decryption Secrets Block that holds such a text
// (draft-ietf-opsawg-pcapng, 4.7): "TLSK".
const Kind = 0x544c534b

// MaxConnections is how many connections a Store remembers; secrets of further ones are counted
// and left out.
const MaxConnections = 1 << 17

// Sizes of a random and of secrets, in bytes.
const (
	randomSize = 32
	minSecret  = 32
	maxSecret  = 64
)

// Secret says what a secret is for.
type Secret uint8

// The secrets. Master is that of TLS 1.2 and before, the others are traffic secrets of TLS 1.3
// (RFC 8446, 7.1).
const (
	Master Secret = iota
	ClientEarly
	ClientHandshake
	ServerHandshake
	ClientTraffic
	ServerTraffic
	secrets
)

var labels = map[string]Secret{
	"CLIENT_RANDOM":                   Master,
	"CLIENT_EARLY_TRAFFIC_SECRET":     ClientEarly,
	"CLIENT_HANDSHAKE_TRAFFIC_SECRET": ClientHandshake,
	"SERVER_HANDSHAKE_TRAFFIC_SECRET": ServerHandshake,
	"CLIENT_TRAFFIC_SECRET_0":         ClientTraffic,
	"SERVER_TRAFFIC_SECRET_0":         ServerTraffic,
}

// Secrets are those of one connection. They are not to be changed.
type Secrets [secrets][]byte

// Store holds secrets. It is safe for concurrent use; a nil Store has none.
type Store struct {
	mu      sync.RWMutex
	of      map[[randomSize]byte]*Secrets
	leftOut uint64
}

// New makes an empty store.
func New() *Store { return &Store{of: map[[randomSize]byte]*Secrets{}} }

// Add takes a text, which is borrowed, and returns how many secrets it holds.
func (s *Store) Add(text []byte) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		if s.line(line) {
			n++
		}
	}
	return n
}

// line takes a line: label, random and secret, the last two in hexadecimal.
func (s *Store) line(line []byte) bool {
	label, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte{' '})
	of, ok := labels[string(label)]
	if !ok {
		return false
	}
	first, second, _ := bytes.Cut(bytes.TrimSpace(rest), []byte{' '})
	second = bytes.TrimSpace(second)
	var random [randomSize]byte
	if len(first) != 2*randomSize || len(second) < 2*minSecret || len(second) > 2*maxSecret {
		return false
	}
	if _, err := hex.Decode(random[:], first); err != nil {
		return false
	}
	secret := make([]byte, hex.DecodedLen(len(second)))
	if _, err := hex.Decode(secret, second); err != nil {
		return false
	}
	known := s.of[random]
	if known == nil {
		if len(s.of) >= MaxConnections {
			s.leftOut++
			return true
		}
		known = &Secrets{}
		s.of[random] = known
	}
	known[of] = secret
	return true
}

// Of returns the secrets of the connection whose ClientHello has this random; ok is false if
// none is known.
func (s *Store) Of(random []byte) (secrets Secrets, ok bool) {
	if s == nil || len(random) != randomSize {
		return Secrets{}, false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	known := s.of[[randomSize]byte(random)]
	if known == nil {
		return Secrets{}, false
	}
	return *known, true
}

// Connections is how many connections have secrets here.
func (s *Store) Connections() int {
	if s == nil {
		return 0
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.of)
}

// LeftOut is how many secrets were left out because there were too many connections.
func (s *Store) LeftOut() uint64 {
	if s == nil {
		return 0
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.leftOut
}
