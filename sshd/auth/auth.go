// Package auth says who asks and what they may do.
//
// Three doors prove a User: Keys (an authorized_keys file), Certificates (of a trusted CA), and
// TokenDoor (Kubernetes tokens). An Authority turns a User and a Verb into a Scope, the
// namespaces in which the user may do it, or a refusal: by the rules of a Policy, which are data
// and judged by a pure function, and where the policy says so by asking the cluster. Files are
// read again when they changed. All of it is safe for concurrent use.
//
// A user is a name; whoever can give out names is trusted with what the policy lets those names
// do: the writer of authorized_keys, the CA, the cluster. Names and groups that begin with
// "system:" are Kubernetes' own: only a token proves them.
//
// Errors: ErrUnknownKey and its kin say why somebody does not get in; they are for the log, a
// stranger is told nothing. ErrRefused (wrapped by a *Refusal) is for the user.
package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// User is who asks, as far as it was proven.
type User struct {
	// Name is that of a key's SSHARK_USER or comment (its fingerprint where it has neither),
	// the login of a certificate, or the cluster's name of a token.
	Name   string
	Login  string   // the name that ssh gave; it proves nothing but a certificate's principal
	Method Method   // how it was proven
	Key    string   // SHA-256 fingerprint of the key, as ssh-keygen -l prints it; "" for a token
	KeyID  string   // of a certificate: what its CA wrote into it
	Serial uint64   // of a certificate
	Groups []string // those of the policy
	NoPty  bool     // the key's options allow no terminal
}

// Method is how a user was proven.
type Method string

// The methods.
const (
	ByKey         Method = "key"
	ByCertificate Method = "certificate"
	ByToken       Method = "token"
)

// Marshal and UnmarshalUser carry a User through what crypto/ssh keeps of a proven key.
func (u *User) Marshal() string {
	b, err := json.Marshal(u)
	if err != nil { // strings, a number and a bool: it cannot fail
		panic(err)
	}
	return string(b)
}

// UnmarshalUser reads what Marshal wrote.
func UnmarshalUser(s string) (*User, error) {
	var u User
	if err := json.Unmarshal([]byte(s), &u); err != nil {
		return nil, fmt.Errorf("read user of the session: %w", err)
	}
	if u.Name == "" {
		return nil, errors.New("read user of the session: no name")
	}
	return &u, nil
}

// Why somebody does not get in.
var (
	ErrUnknownKey  = errors.New("key is not authorized")
	ErrAddress     = errors.New("not authorized from this address")
	ErrExpired     = errors.New("key has expired")
	ErrRevoked     = errors.New("key or certificate is revoked")
	ErrCertificate = errors.New("certificate is not accepted")
	ErrToken       = errors.New("token is not accepted")
	ErrBusy        = errors.New("too many tokens are tried")
)

// Bounds on what a user may be called.
const (
	maxName   = 256 // bytes
	maxGroups = 256
)

// reserved begins the names that are Kubernetes' own.
const reserved = "system:"

// checkName says what is wrong with the name of a user or group.
func checkName(s string) error {
	switch {
	case s == "":
		return errors.New("the name is empty")
	case len(s) > maxName:
		return fmt.Errorf("the name is longer than %d bytes", maxName)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("the name %q has characters that are no text", s)
	}
	return nil
}

// checkOwn is checkName for a name that the cluster did not prove.
func checkOwn(s string) error {
	if strings.HasPrefix(s, reserved) {
		return fmt.Errorf("the name %q is Kubernetes' own: only a token proves it", s)
	}
	return checkName(s)
}
