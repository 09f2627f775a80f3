package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// maxKeysFile bounds an authorized_keys file.
const maxKeysFile = 4 << 20

// Keys is an authorized_keys file (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"). Options that only
// forbid what is never offered here are accepted; from=, expiry-time=, no-pty and restrict are
// obeyed; a key with any other option does not get in, since the option was meant to limit it.
//
// Who holds a key is its comment, or what its options say, in a form that is legal everywhere:
//
//	environment="SSHARK_USER=ada",environment="SSHARK_GROUPS=dev,ops" ssh-ed25519 AAAA… ada@laptop
type Keys struct {
	revoked *Revocations // nil: none
	now     func() time.Time
	log     *slog.Logger

	mu   sync.Mutex
	file file
	keys map[string]*entry // by the key's wire form
}

// entry is one line of the file.
type entry struct {
	name    string
	groups  []string
	from    []pattern
	expires time.Time
	noPty   bool
}

// pattern is one element of from=: addresses only, since names can be forged.
type pattern struct {
	prefix netip.Prefix
	not    bool
}

// NewKeys uses the file at path. A file that is missing lets nobody in, and is looked for
// again at each attempt. revoked may be nil.
func NewKeys(path string, revoked *Revocations, log *slog.Logger, now func() time.Time) *Keys {
	return &Keys{revoked: revoked, now: now, log: log, file: file{path: path, max: maxKeysFile, now: now}}
}

// Check says who holds a key that comes from an address. It is called for keys that are only
// offered too: what it returns counts when the key was proven.
func (k *Keys) Check(login string, from netip.Addr, key ssh.PublicKey) (*User, error) {
	if _, ok := key.(*ssh.Certificate); ok {
		return nil, ErrCertificate // it proves nothing here but that its key is held
	}
	e := k.lookup(key)
	if e == nil {
		return nil, ErrUnknownKey
	}
	if k.revoked.key(key) {
		return nil, ErrRevoked
	}
	if !e.expires.IsZero() && !k.now().Before(e.expires) {
		return nil, ErrExpired
	}
	if !allowed(e.from, from.Unmap()) {
		return nil, ErrAddress
	}
	u := &User{Name: e.name, Login: login, Method: ByKey, Key: ssh.FingerprintSHA256(key), Groups: e.groups, NoPty: e.noPty}
	if u.Name == "" {
		u.Name = u.Key
	}
	return u, nil
}

func allowed(from []pattern, a netip.Addr) bool {
	if len(from) == 0 {
		return true
	}
	ok := false
	for _, p := range from {
		if p.prefix.Contains(a) {
			if p.not {
				return false
			}
			ok = true
		}
	}
	return ok
}

// Look reads the file again if it changed, and returns how many keys are in it that count. What is
// wrong with it is in the log then, before somebody is kept out by it.
func (k *Keys) Look() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.look()
	return len(k.keys)
}

func (k *Keys) lookup(key ssh.PublicKey) *entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.look()
	return k.keys[string(key.Marshal())]
}

// look reads the file again if it changed; mu is held.
func (k *Keys) look() {
	switch b, changed, err := k.file.load(); {
	case !changed:
	case err != nil:
		k.keys = nil
		k.log.Warn("authorized keys cannot be read: no key gets in", "file", k.file.path, "error", err)
	default:
		keys, bad := parseKeys(b)
		for _, err := range bad {
			k.log.Warn("line of authorized keys is left out", "file", k.file.path, "error", err)
		}
		if len(keys) == 0 {
			k.log.Warn("there is no key among the authorized keys: no key gets in", "file", k.file.path)
		}
		k.keys = keys
	}
}

// parseKeys reads a file's lines; bad holds what is wrong with those that are left out.
func parseKeys(b []byte) (keys map[string]*entry, bad []error) {
	keys = map[string]*entry{}
	eachLine(b, func(n int, line []byte) {
		key, comment, options, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil {
			bad = append(bad, fmt.Errorf("line %d: %w", n, err))
			return
		}
		e := &entry{}
		if err := e.options(options); err != nil {
			bad = append(bad, fmt.Errorf("line %d: %w", n, err))
			return
		}
		if e.name == "" && comment != "" {
			if err := checkOwn(comment); err != nil {
				bad = append(bad, fmt.Errorf("line %d: comment: %w", n, err))
				return
			}
			e.name = comment
		}
		keys[string(key.Marshal())] = e
	})
	return keys, bad
}

func (e *entry) options(options []string) error {
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		value = strings.Trim(value, `"`)
		switch strings.ToLower(name) {
		case "no-agent-forwarding", "no-port-forwarding", "no-x11-forwarding", "no-user-rc",
			"agent-forwarding", "port-forwarding", "x11-forwarding", "user-rc", "permitopen", "permitlisten", "tunnel":
			// None of it is offered here, whatever a key may have elsewhere.
		case "no-pty", "restrict":
			e.noPty = true
		case "pty":
			e.noPty = false
		case "from":
			from, err := parseFrom(value)
			if err != nil {
				return err
			}
			e.from = append(e.from, from...)
		case "expiry-time":
			t, err := parseExpiry(value)
			if err != nil {
				return err
			}
			e.expires = t
		case "environment":
			if err := e.environment(value); err != nil {
				return err
			}
		case "cert-authority":
			return errors.New("a certificate authority belongs into the file of CAs, not here")
		default:
			return fmt.Errorf("option %s is not known here: the key does not get in, since it was meant to limit it", name)
		}
	}
	return nil
}

// environment takes the variables that say who holds a key. Others set nothing here.
func (e *entry) environment(value string) error {
	name, value, _ := strings.Cut(value, "=")
	switch {
	case name == "SSHARK_USER":
		if err := checkOwn(value); err != nil {
			return fmt.Errorf("SSHARK_USER: %w", err)
		}
		e.name = value
	case name == "SSHARK_GROUPS":
		for _, g := range strings.Split(value, ",") {
			g = strings.TrimSpace(g)
			if err := checkOwn(g); err != nil {
				return fmt.Errorf("SSHARK_GROUPS: %w", err)
			}
			if !slices.Contains(e.groups, g) {
				e.groups = append(e.groups, g)
			}
		}
		if len(e.groups) > maxGroups {
			return fmt.Errorf("SSHARK_GROUPS: more than %d groups", maxGroups)
		}
	case strings.HasPrefix(name, "SSHARK_"):
		return fmt.Errorf("environment %s is not known here: want SSHARK_USER or SSHARK_GROUPS", name)
	}
	return nil
}

func parseFrom(value string) (out []pattern, err error) {
	for _, one := range strings.Split(value, ",") {
		one = strings.TrimSpace(one)
		text, not := strings.CutPrefix(one, "!")
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, err2 := netip.ParseAddr(text)
			if err2 != nil {
				return nil, fmt.Errorf("from=%q: want addresses or networks such as 10.0.0.0/8", one)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, pattern{p.Masked(), not})
	}
	return out, nil
}

// parseExpiry reads YYYYMMDD[HHMM[SS]][Z]. OpenSSH means local time without a Z.
func parseExpiry(s string) (time.Time, error) {
	zone := time.Local
	t, utc := strings.CutSuffix(s, "Z")
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(layout) == len(t) {
			at, err := time.ParseInLocation(layout, t, zone)
			if err == nil {
				return at, nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("expiry-time=%q: want YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS", s)
}
