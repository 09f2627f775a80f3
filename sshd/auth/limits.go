package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Limits bound what one user may take; 0 is no limit.
type Limits struct {
	Limit
	// Overrides stand instead of the limits above, as a whole, for those whom they name; the
	// first that names a user counts.
	Overrides []Override `json:"overrides,omitempty"`
}

// Limit is what one user may take.
type Limit struct {
	Sessions int      `json:"sessions,omitempty"`        // at once
	Queries  int      `json:"queries,omitempty"`         // at once
	ExportMB int64    `json:"exportMBPerHour,omitempty"` // MiB of packets and streams
	Idle     Duration `json:"idle,omitempty"`            // of a screen without a key press
	Session  Duration `json:"sessionTime,omitempty"`     // of one session in all
}

// Override is a limit of some users and groups, named as in a Rule.
type Override struct {
	Users  []string `json:"users,omitempty"`
	Groups []string `json:"groups,omitempty"`
	Limit
}

// Of is the limit of a user.
func (l *Limits) Of(u *User) Limit {
	for i := range l.Overrides {
		if o := &l.Overrides[i]; named(u, o.Users, o.Groups) {
			return o.Limit
		}
	}
	return l.Limit
}

// check says which value is wrong.
func (l *Limits) check() error {
	if err := l.Limit.check("limits"); err != nil {
		return err
	}
	for i := range l.Overrides {
		o, at := &l.Overrides[i], fmt.Sprintf("limits.overrides[%d]", i)
		if len(o.Users)+len(o.Groups) == 0 {
			return fmt.Errorf("%s: names nobody: want users or groups", at)
		}
		if err := o.Limit.check(at); err != nil {
			return err
		}
	}
	return nil
}

func (l *Limit) check(at string) error {
	for name, v := range map[string]int64{"sessions": int64(l.Sessions), "queries": int64(l.Queries), "exportMBPerHour": l.ExportMB,
		"idle": int64(l.Idle), "sessionTime": int64(l.Session)} {
		if v < 0 {
			return fmt.Errorf("%s.%s: want 0 (no limit) or more", at, name)
		}
	}
	if l.ExportMB > 1<<40 {
		return fmt.Errorf("%s.exportMBPerHour: that is more than can be counted; 0 is no limit", at)
	}
	return nil
}

// Duration is a time.Duration that is written as text: 30m, 12h.
type Duration time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New(`want a duration as text, such as "30m" or "12h"`)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf(`%q is no duration; want "30m" or "12h"`, s)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }
