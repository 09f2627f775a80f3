// Package auth says who asks and what they may do.
//
// Keys turns a proven public key into a User, from an authorized_keys file that is read again
// when it changed. Policy turns a User and a Verb into nil or a refusal: a pure function over
// data. Both are safe for concurrent use.
//
// Errors: ErrUnknownKey and its kin say why a key does not get in; they are for the log, a
// stranger is told nothing. ErrRefused (wrapped by a *Refusal) is for the user.
package auth

import (
	"encoding/json"
	"errors"
	"fmt"
)

// User is who asks, as far as it was proven.
type User struct {
	Name   string   // the key's comment, or its fingerprint where it has none
	Login  string   // the name that ssh gave; it proves nothing
	Method string   // how it was proven: "key"
	Key    string   // SHA-256 fingerprint of the key, as ssh-keygen -l prints it
	Groups []string // those of the policy
	NoPty  bool     // the key's options allow no terminal
}

// Marshal and UnmarshalUser carry a User through what crypto/ssh keeps of a proven key.
func (u *User) Marshal() string {
	b, err := json.Marshal(u)
	if err != nil { // strings and a bool: it cannot fail
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

// Why a key does not get in.
var (
	ErrUnknownKey = errors.New("key is not authorized")
	ErrAddress    = errors.New("key is not authorized from this address")
	ErrExpired    = errors.New("key has expired")
	ErrNotAKey    = errors.New("certificates are not accepted")
)
