package command

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/sshd/auth"
)

func (e *Env) whoami() *cobra.Command {
	var l look
	formats := []string{formatTable, formatJSON}
	c := &cobra.Command{
		Use:     "whoami",
		Short:   "the user, groups and permissions of this session",
		Long:    `Who this session belongs to, by what it was proven, and what it may do in which namespaces.`,
		Example: "whoami\nwhoami -o json",
		Args:    noArgs,
	}
	l.declare(c.Flags(), formats...)
	c.RunE = func(*cobra.Command, []string) error {
		if _, err := l.check(e, formats...); err != nil {
			return err
		}
		u := e.User
		if u == nil {
			u = &auth.User{Name: "(this machine's user)", Method: "none: a file is asked, not a cluster"}
		}
		may := []permission{}
		for _, v := range auth.Verbs() {
			where := auth.Scope{All: true}
			if e.Scope != nil {
				var err error
				if where, err = e.Scope(v); err != nil {
					continue
				}
			}
			may = append(may, permission{v, where.Names()})
		}
		if l.output == formatJSON {
			return e.whoamiJSON(u, may)
		}
		return e.whoamiTable(u, may)
	}
	return c
}

// permission is what may be done where; "*" is everywhere.
type permission struct {
	verb       auth.Verb
	namespaces []string
}

func (e *Env) whoamiJSON(u *auth.User, may []permission) error {
	groups, by := u.Groups, map[auth.Verb][]string{}
	if groups == nil {
		groups = []string{}
	}
	verbs := []auth.Verb{}
	for _, p := range may {
		verbs = append(verbs, p.verb)
		by[p.verb] = p.namespaces
	}
	o := e.output()
	enc := json.NewEncoder(writer{o})
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		User        string                 `json:"user"`
		Login       string                 `json:"login,omitempty"`
		Method      auth.Method            `json:"method"`
		Key         string                 `json:"key,omitempty"`
		KeyID       string                 `json:"key_id,omitempty"`
		Serial      uint64                 `json:"serial,omitempty"`
		Groups      []string               `json:"groups"`
		May         []auth.Verb            `json:"may"`
		Permissions map[auth.Verb][]string `json:"permissions"` // namespaces by verb; "*": all
	}{u.Name, u.Login, u.Method, u.Key, u.KeyID, u.Serial, groups, verbs, by})
	if err != nil {
		return err
	}
	return o.spill(true)
}

func (e *Env) whoamiTable(u *auth.User, may []permission) error {
	o := e.output()
	line := func(key, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(writer{o}, "%-7s %s\n", key, printable(value)) // into memory
		}
	}
	line("user", u.Name)
	line("login", u.Login)
	line("method", string(u.Method))
	line("key", u.Key)
	if u.Method == auth.ByCertificate {
		line("key id", u.KeyID)
		line("serial", strconv.FormatUint(u.Serial, 10))
	}
	line("groups", strings.Join(u.Groups, ", "))
	if len(may) == 0 {
		line("may", "nothing: no rule of the policy names this user")
	}
	for i := 0; i < len(may); {
		// Verbs that go together are told together.
		verbs, where := []string{}, strings.Join(may[i].namespaces, ", ")
		for ; i < len(may) && strings.Join(may[i].namespaces, ", ") == where; i++ {
			verbs = append(verbs, string(may[i].verb))
		}
		if where == auth.Every {
			where = "all namespaces"
		}
		line("may", strings.Join(verbs, ", ")+" in "+where)
	}
	return o.spill(true)
}
