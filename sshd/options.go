// Package sshd is the console's SSH server: who has an authorized key, a certificate of a trusted
// CA, or a Kubernetes token gets commands, the screen, and files over SFTP and scp; nobody gets a
// shell, a forwarded port or an agent.
//
// Each session asks through a guard, which tells what the policy lets its user see: nothing here
// asks Options.Source itself.
//
// A Server serves one listener once. It ends with the context of Serve: it stops accepting,
// ends what runs, and closes what is left after Limits.Grace. Everything of one session ends
// with its channel, also over a connection that is shared with others: a query does not
// outlive its asker. A panic ends one session.
//
// What users are told and what is logged differ: the audit log (see trail) has a line for each
// connection and sign-in that was refused, each session, question of a screen and file, with who,
// from where, what, how much and how it ended.
package sshd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	gossh "golang.org/x/crypto/ssh"

	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/doctor"
	"github.com/sshark/sshark/sshd/replay"
	"github.com/sshark/sshark/sshd/snapshots"
	"github.com/sshark/sshark/worker/query"
)

// Options of a Server. Listen or Listener, HostKeys, one of AuthorizedKeys, UserCA and Tokens,
// Source and Log are needed. Files are read again when they changed.
type Options struct {
	Listen         string       // TCP address, such as 127.0.0.1:2222
	Listener       net.Listener // instead of Listen; a server that New returned closes it
	HostKeys       []string     // paths of private keys in PEM
	HostKeyPEM     [][]byte     // or the keys themselves
	AuthorizedKeys string       // path of the keys that get in, "": none
	UserCA         string       // path of the CAs whose user certificates get in, "": none
	Revoked        string       // path of keys and certificates that get in no more (auth.Revocations), "": none
	Tokens         auth.Tokens  // who asks the cluster whose a token is; nil: tokens do not get in
	Source         query.Source // of everything: each session gets the part that its user may see
	Language       *filter.Language
	Policy         string       // path of who may do what (auth.ParsePolicy), "": who gets in by a key or certificate may all
	Reviews        auth.Reviews // asks the cluster's RBAC, where the policy says so; nil: there is none
	// Audit gets a JSON line for each thing that users did or were refused (see trail); nil: the
	// lines go to Log.
	Audit io.Writer
	// Cluster is what should be captured, for doctor; nil: nobody knows. It returns at once.
	Cluster  func() *doctor.Cluster
	Observer Observer // nil: nobody
	// Replay is how connections are opened for replays; nil: replay is turned off.
	Replay *ReplayOptions
	// Snapshots are kept until the server has ended; nil: there are none.
	Snapshots *snapshots.Library
	// TUI makes the screen of one session; nil: there is none.
	TUI     func(ctx context.Context, s *TUISession) (tea.Model, error)
	Version string
	Spool   string // folder for exports whose size must be known first, "": the system's
	Log     *slog.Logger
	Limits  Limits
	Now     func() time.Time
}

// TUISession is what a screen knows of its session.
type TUISession struct {
	User         *auth.User
	Source       query.Source    // what its user may see: a screen asks no other
	Remote       string          // address of the client
	View, Filter string          // of `tui VIEW FILTER`, "" otherwise
	Stream       string          // of `tui stream ID`
	Snapshot     string          // of `tui --snapshot NAME`: Source is that
	Snapshots    *snapshots.Desk // nil: there are none
	Replay       *replay.Desk    // nil: they are turned off
	// Doctor examines what its user may see; nil for a snapshot.
	Doctor        *doctor.Asker
	Term          string   // TERM of the client
	Environ       []string // TERM, COLORTERM, NO_COLOR, LANG and LC_… as far as the client sent them
	Width, Height int
	Allow         func(auth.Verb) error
}

// Limits bound what strangers and users may take. A field that is 0 has the default.
type Limits struct {
	Rate           float64       // new connections a second and address, in the long run; 20
	Burst          int           // and at once; 100
	Connections    int           // 512
	Handshakes     int           // connections that are not signed in yet; 64
	Handshake      time.Duration // until they must be; 20s
	Sessions       int           // of all connections; 1024
	SessionsOfConn int           // of one connection; 32
	Idle           time.Duration // a screen without a key press ends; 2h
	Grace          time.Duration // for sessions to end when the server does; 5s
}

func (l Limits) withDefaults() Limits {
	or := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	long := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	if l.Rate == 0 {
		l.Rate = 20
	}
	or(&l.Burst, 100)
	or(&l.Connections, 512)
	or(&l.Handshakes, 64)
	or(&l.Sessions, 1024)
	or(&l.SessionsOfConn, 32)
	long(&l.Handshake, 20*time.Second)
	long(&l.Idle, 2*time.Hour)
	long(&l.Grace, 5*time.Second)
	return l
}

// signers reads the host keys.
func (o *Options) signers() ([]gossh.Signer, error) {
	pems := o.HostKeyPEM
	var out []gossh.Signer
	for _, path := range o.HostKeys {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read host key: %w", err)
		}
		pems = append(pems[:len(pems):len(pems)], b)
	}
	for _, b := range pems {
		s, err := gossh.ParsePrivateKey(b)
		if err != nil {
			return nil, fmt.Errorf("parse host key: %w", err)
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, errors.New("start ssh server: no host key is given")
	}
	return out, nil
}

// serverConfig is how connections are encrypted. The first key exchange is safe against what
// is recorded today and broken by a quantum computer later; SHA-1 and CBC are not offered.
func serverConfig() *gossh.ServerConfig {
	c := &gossh.ServerConfig{MaxAuthTries: 6}
	c.Rand = rand.Reader
	c.KeyExchanges = []string{
		gossh.KeyExchangeMLKEM768X25519, gossh.KeyExchangeCurve25519,
		gossh.KeyExchangeECDHP256, gossh.KeyExchangeECDHP384, gossh.KeyExchangeECDHP521,
	}
	c.Ciphers = []string{
		gossh.CipherAES128GCM, gossh.CipherAES256GCM, gossh.CipherChaCha20Poly1305,
		gossh.CipherAES256CTR, gossh.CipherAES192CTR, gossh.CipherAES128CTR,
	}
	c.MACs = []string{gossh.HMACSHA256ETM, gossh.HMACSHA512ETM}
	return c
}
