package link

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The files of a folder.
const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
	caFile   = "ca.crt"
)

// ErrPeer: the other end is not who it must be.
var ErrPeer = errors.New("peer is not trusted")

// ServerTLS is a worker's side: it shows the certificate of the folder, and takes nobody but
// the hub. log may be nil. What is wrong with the folder now is an error that says what to do.
func ServerTLS(dir string, log *slog.Logger) (*tls.Config, error) {
	f, err := open(dir, log)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		ClientAuth:             tls.RequireAnyClientCert, // judged by VerifyConnection
		SessionTicketsDisabled: true,                     // so each connection is judged by the CA of its time
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.read().pair, nil },
		VerifyConnection:       func(s tls.ConnectionState) error { return f.verify(s, HubName, x509.ExtKeyUsageClientAuth) },
	}, nil
}

// ClientTLS is the hub's side: it shows the certificate of the folder, and takes nobody but a
// worker. log and errors are as for ServerTLS.
func ClientTLS(dir string, log *slog.Logger) (*tls.Config, error) {
	f, err := open(dir, log)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		ServerName:           WorkerName,
		InsecureSkipVerify:   true, // crypto/tls would know only the CA of the start: VerifyConnection judges
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return f.read().pair, nil },
		VerifyConnection:     func(s tls.ConnectionState) error { return f.verify(s, WorkerName, x509.ExtKeyUsageServerAuth) },
	}, nil
}

// stamp tells whether a file is another one than before.
type stamp struct {
	at   time.Time
	size int64
}

// material is what a folder holds.
type material struct {
	pair  *tls.Certificate
	roots *x509.CertPool
}

// folder reads its files again when they changed.
type folder struct {
	dir string
	log *slog.Logger

	mu     sync.Mutex
	now    *material
	stamps [3]stamp
	broken string // what was logged last
}

func open(dir string, log *slog.Logger) (*folder, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &folder{dir: dir, log: log}
	stamps, err := f.look()
	if err != nil {
		return nil, err
	}
	if f.now, err = load(dir); err != nil {
		return nil, err
	}
	f.stamps = stamps
	return f, nil
}

// look says how the files are by now.
func (f *folder) look() (s [3]stamp, err error) {
	for i, name := range []string{certFile, keyFile, caFile} {
		info, err := os.Stat(filepath.Join(f.dir, name))
		if err != nil {
			return s, fmt.Errorf("TLS folder: %w; it must hold %s, %s and %s", err, certFile, keyFile, caFile)
		}
		s[i] = stamp{info.ModTime(), info.Size()}
	}
	return s, nil
}

func load(dir string) (*material, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certFile), filepath.Join(dir, keyFile))
	if err != nil {
		return nil, fmt.Errorf("TLS folder %s: %w", dir, err)
	}
	path := filepath.Join(dir, caFile)
	ca, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("TLS folder: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bytes.TrimSpace(ca)) {
		return nil, fmt.Errorf("TLS folder: %s holds no certificate in PEM", path)
	}
	return &material{&pair, roots}, nil
}

// read is what the folder holds, or held when it was last in order: files that are being
// replaced may not fit together for a moment.
func (f *folder) read() *material {
	f.mu.Lock()
	defer f.mu.Unlock()
	stamps, err := f.look()
	if err == nil && stamps == f.stamps {
		return f.now
	}
	var fresh *material
	if err == nil {
		fresh, err = load(f.dir)
	}
	if err != nil {
		if text := err.Error(); text != f.broken {
			f.broken = text
			f.log.Warn("certificates cannot be read again, the old ones go on to count", "err", err)
		}
		return f.now
	}
	f.now, f.stamps, f.broken = fresh, stamps, ""
	f.log.Info("certificates were read again", "dir", f.dir)
	return fresh
}

// verify judges the other end's certificate by the CA of this moment.
func (f *folder) verify(s tls.ConnectionState, name string, usage x509.ExtKeyUsage) error {
	if len(s.PeerCertificates) == 0 {
		return fmt.Errorf("%w: it shows no certificate", ErrPeer)
	}
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: name, Roots: f.read().roots, Intermediates: between,
		KeyUsages: []x509.ExtKeyUsage{usage}})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPeer, err)
	}
	return nil
}
