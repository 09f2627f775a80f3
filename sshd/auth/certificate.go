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

// maxCAFile bounds a file of CAs.
const maxCAFile = 1 << 20

// groupPrincipal begins the principals of a certificate that are groups, not names.
const groupPrincipal = "group:"

// Certificates are user certificates (PROTOCOL.certkeys of OpenSSH) of trusted CAs, whose public
// keys stand in a file, one a line, as in sshd's TrustedUserCAKeys.
//
// The login name must be among the certificate's principals, and is the user's name; a
// certificate without principals names nobody and does not get in. Principals of the form
// group:NAME are the user's groups, and nobody's login. Options are obeyed as by sshd:
// source-address is enforced, permit-pty allows a terminal, and a force-command, which could not
// be run here, keeps the certificate out like every critical option that is not known.
type Certificates struct {
	revoked *Revocations // nil: none
	now     func() time.Time
	log     *slog.Logger

	mu   sync.Mutex
	file file
	cas  map[string]bool // by the key's wire form
}

// NewCertificates trusts the CAs of the file at path. A file that is missing trusts none, and
// is looked for again at each attempt. revoked may be nil.
func NewCertificates(path string, revoked *Revocations, log *slog.Logger, now func() time.Time) *Certificates {
	return &Certificates{revoked: revoked, now: now, log: log, file: file{path: path, max: maxCAFile, now: now}}
}

// refuseCertificate says why.
func refuseCertificate(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCertificate, fmt.Errorf(format, args...))
}

// Check says who holds a certificate that comes from an address. As Keys.Check it counts when
// the certificate's key was proven.
func (c *Certificates) Check(login string, from netip.Addr, cert *ssh.Certificate) (*User, error) {
	switch {
	case cert.CertType != ssh.UserCert:
		return nil, refuseCertificate("it is not a user's")
	case !c.trusts(cert.SignatureKey):
		return nil, refuseCertificate("its CA is not trusted")
	case cert.Signature == nil, cert.Signature.Format == ssh.KeyAlgoRSA, cert.Signature.Format == "ssh-dss":
		return nil, refuseCertificate("it is signed with SHA-1")
	case c.revoked.certificate(cert):
		return nil, ErrRevoked
	case len(cert.ValidPrincipals) == 0:
		return nil, refuseCertificate("it has no principals")
	case strings.HasPrefix(login, groupPrincipal):
		return nil, refuseCertificate("%s is a group, not a user: log in with the user's name", login)
	}
	// Authority and type were looked at above, and the principal is checked here too: an empty
	// list would mean everybody to CheckCert.
	checker := ssh.CertChecker{Clock: c.now, SupportedCriticalOptions: []string{sourceAddress}}
	if err := checker.CheckCert(login, cert); err != nil {
		return nil, refuseCertificate("%w", err)
	}
	if err := checkOwn(login); err != nil {
		return nil, refuseCertificate("%w", err)
	}
	if list, ok := cert.CriticalOptions[sourceAddress]; ok {
		networks, err := parseFrom(list)
		if err != nil {
			return nil, refuseCertificate("%s: %w", sourceAddress, err)
		}
		if !allowed(networks, from.Unmap()) {
			return nil, ErrAddress
		}
	}
	u := &User{Name: login, Login: login, Method: ByCertificate, Key: ssh.FingerprintSHA256(cert.Key), KeyID: cut(cert.KeyId), Serial: cert.Serial}
	_, pty := cert.Extensions["permit-pty"]
	u.NoPty = !pty
	for _, p := range cert.ValidPrincipals {
		g, ok := strings.CutPrefix(p, groupPrincipal)
		if !ok || slices.Contains(u.Groups, g) {
			continue
		}
		if err := checkOwn(g); err != nil {
			return nil, refuseCertificate("principal %q: %w", p, err)
		}
		if u.Groups = append(u.Groups, g); len(u.Groups) > maxGroups {
			return nil, refuseCertificate("more than %d groups", maxGroups)
		}
	}
	return u, nil
}

const sourceAddress = "source-address"

// cut bounds what a CA wrote into a certificate.
func cut(s string) string {
	if len(s) > maxName {
		return s[:maxName]
	}
	return s
}

// trusts reads the file again if it changed.
func (c *Certificates) trusts(ca ssh.PublicKey) bool {
	if _, ok := ca.(*ssh.Certificate); ok || ca == nil {
		return false // chains are not known to the format
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch b, changed, err := c.file.load(); {
	case !changed:
	case err != nil:
		c.cas = nil
		c.log.Warn("trusted CAs cannot be read: no certificate gets in", "file", c.file.path, "error", err)
	default:
		cas, bad := parseCAs(b)
		for _, err := range bad {
			c.log.Warn("line of trusted CAs is left out", "file", c.file.path, "error", err)
		}
		c.cas = cas
	}
	return c.cas[string(ca.Marshal())]
}

func parseCAs(b []byte) (cas map[string]bool, bad []error) {
	cas = map[string]bool{}
	eachLine(b, func(n int, line []byte) {
		key, _, options, _, err := ssh.ParseAuthorizedKey(line)
		if err == nil && slices.ContainsFunc(options, func(o string) bool { return !strings.EqualFold(o, "cert-authority") }) {
			err = errors.New("options are not known here: the CA is not trusted, since they were meant to limit it")
		}
		if _, ok := key.(*ssh.Certificate); ok {
			err = errors.New("a certificate is no CA")
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("line %d: %w", n, err))
			return
		}
		cas[string(key.Marshal())] = true
	})
	return cas, bad
}
