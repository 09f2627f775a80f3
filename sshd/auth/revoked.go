package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// maxRevokedFile bounds a file of revocations.
const maxRevokedFile = 16 << 20

// Revocations is a file of what does not get in any more, in the words of ssh-keygen(1), "KEY
// REVOCATION LISTS": a public key a line (of a user, or of a CA and with it all of its
// certificates), also as `key: …` or `sha256: SHA256:…`, and for certificates `serial: N`,
// `serial: N-M` or `id: KEY-ID`. A file that cannot be read or understood revokes everything: a
// revocation that is overlooked would let somebody in. A nil *Revocations revokes nothing.
type Revocations struct {
	log *slog.Logger

	mu         sync.Mutex
	file       file
	everything bool // the file cannot be relied on
	list       revoked
}

type revoked struct {
	keys    map[string]bool // by fingerprint
	ids     map[string]bool
	serials [][2]uint64
}

// NewRevocations uses the file at path, and reads it again when it changed.
func NewRevocations(path string, log *slog.Logger, now func() time.Time) *Revocations {
	return &Revocations{log: log, file: file{path: path, max: maxRevokedFile, now: now}}
}

// look reads the file again if it changed. The lists are never written after.
func (r *Revocations) look() (list revoked, everything bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, changed, err := r.file.load()
	if changed {
		var list revoked
		if err == nil {
			list, err = parseRevoked(b)
		}
		if err != nil {
			r.log.Error("revocations cannot be read: no key and no certificate gets in", "file", r.file.path, "error", err)
		}
		r.list, r.everything = list, err != nil
	}
	return r.list, r.everything
}

func (r *Revocations) key(key ssh.PublicKey) bool {
	if r == nil {
		return false
	}
	list, everything := r.look()
	return everything || list.keys[ssh.FingerprintSHA256(key)]
}

func (r *Revocations) certificate(c *ssh.Certificate) bool {
	if r == nil {
		return false
	}
	list, everything := r.look()
	if everything || list.keys[ssh.FingerprintSHA256(c.Key)] || list.keys[ssh.FingerprintSHA256(c.SignatureKey)] || list.ids[c.KeyId] {
		return true
	}
	for _, s := range list.serials {
		if s[0] <= c.Serial && c.Serial <= s[1] {
			return true
		}
	}
	return false
}

func parseRevoked(b []byte) (list revoked, err error) {
	list = revoked{keys: map[string]bool{}, ids: map[string]bool{}}
	eachLine(b, func(n int, line []byte) {
		if bad := list.add(string(line)); bad != nil && err == nil {
			err = fmt.Errorf("line %d: %w", n, bad)
		}
	})
	return list, err
}

func (l *revoked) add(line string) error {
	kind, value, ok := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	switch {
	case ok && kind == "serial":
		from, to, span := strings.Cut(value, "-")
		if !span {
			to = from
		}
		first, err := strconv.ParseUint(strings.TrimSpace(from), 0, 64)
		last, err2 := strconv.ParseUint(strings.TrimSpace(to), 0, 64)
		if err = errors.Join(err, err2); err != nil || first > last {
			return fmt.Errorf("serial %q: want a number, or two with - between", value)
		}
		l.serials = append(l.serials, [2]uint64{first, last})
		return nil
	case ok && kind == "id":
		if value == "" {
			return errors.New("id: want a key ID")
		}
		l.ids[value] = true
		return nil
	case ok && kind == "sha256":
		if !strings.HasPrefix(value, "SHA256:") {
			value = "SHA256:" + value
		}
		if len(value) != len("SHA256:")+43 {
			return fmt.Errorf("sha256 %q: want a fingerprint as ssh-keygen -l prints it", value)
		}
		l.keys[value] = true
		return nil
	case ok && kind == "key":
		line = value
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return err
	}
	if c, ok := key.(*ssh.Certificate); ok {
		key = c.Key
	}
	l.keys[ssh.FingerprintSHA256(key)] = true
	return nil
}
