package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
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
type Keys struct {
	path string
	now  func() time.Time
	log  *slog.Logger

	mu    sync.Mutex
	stamp fileStamp
	keys  map[string]*entry // by the key's wire form
}

// fileStamp tells whether a file changed.
type fileStamp struct {
	mod  time.Time
	size int64
	ok   bool
}

// entry is one line of the file.
type entry struct {
	comment string
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
// again at each attempt.
func NewKeys(path string, log *slog.Logger, now func() time.Time) *Keys {
	return &Keys{path: path, now: now, log: log}
}

// Check says who holds a key that comes from an address. It is called for keys that are only
// offered too: what it returns counts when the key was proven.
func (k *Keys) Check(login string, from netip.Addr, key ssh.PublicKey) (*User, error) {
	if _, ok := key.(*ssh.Certificate); ok {
		return nil, ErrNotAKey
	}
	e := k.lookup(key)
	if e == nil {
		return nil, ErrUnknownKey
	}
	if !e.expires.IsZero() && !k.now().Before(e.expires) {
		return nil, ErrExpired
	}
	if !allowed(e.from, from.Unmap()) {
		return nil, ErrAddress
	}
	u := &User{Name: e.comment, Login: login, Method: "key", Key: ssh.FingerprintSHA256(key), NoPty: e.noPty}
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

// lookup reads the file again if it changed.
func (k *Keys) lookup(key ssh.PublicKey) *entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	var now fileStamp
	st, err := os.Stat(k.path)
	if err == nil {
		now = fileStamp{st.ModTime(), st.Size(), true}
	}
	// A file that was written in the last two seconds may change again within one tick of
	// its file system's clock.
	fresh := now.ok && k.now().Sub(now.mod) < 2*time.Second
	if k.keys == nil || now != k.stamp || fresh {
		k.read(err)
		k.stamp = now
	}
	return k.keys[string(key.Marshal())]
}

// read fills the table. What cannot be read lets nobody in.
func (k *Keys) read(statErr error) {
	first := k.keys == nil
	k.keys = map[string]*entry{}
	if statErr != nil {
		if !errors.Is(statErr, fs.ErrNotExist) || first || k.stamp.ok {
			k.log.Warn("authorized keys cannot be read: nobody gets in", "file", k.path, "error", statErr)
		}
		return
	}
	f, err := os.Open(k.path)
	if err != nil {
		k.log.Warn("authorized keys cannot be read: nobody gets in", "file", k.path, "error", err)
		return
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeysFile+1))
	if err != nil || len(b) > maxKeysFile {
		k.log.Warn("authorized keys cannot be read: nobody gets in", "file", k.path, "error", err, "bytes", len(b))
		return
	}
	keys, bad := parseKeys(b)
	for _, err := range bad {
		k.log.Warn("line of authorized keys is left out", "file", k.path, "error", err)
	}
	k.keys = keys
}

// parseKeys reads a file's lines; bad holds what is wrong with those that are left out.
func parseKeys(b []byte) (keys map[string]*entry, bad []error) {
	keys = map[string]*entry{}
	for n := 1; len(b) > 0; n++ {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, comment, options, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil {
			bad = append(bad, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		e := &entry{comment: comment}
		if err := e.options(options); err != nil {
			bad = append(bad, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		keys[string(key.Marshal())] = e
	}
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
		case "cert-authority":
			return errors.New("certificate authorities are not accepted")
		default:
			return fmt.Errorf("option %s is not known here: the key does not get in, since it was meant to limit it", name)
		}
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
