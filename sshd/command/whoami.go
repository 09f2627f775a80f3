package command

import (
	"encoding/json"
	"fmt"
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
		Long:    `Who this session belongs to, by what it was proven, and what it may do.`,
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
		may := []string{}
		for _, v := range auth.Verbs() {
			if e.allow(v) == nil {
				may = append(may, string(v))
			}
		}
		o := e.output()
		if l.output == formatJSON {
			enc := json.NewEncoder(writer{o})
			enc.SetEscapeHTML(false)
			groups := u.Groups
			if groups == nil {
				groups = []string{}
			}
			err := enc.Encode(struct {
				User   string   `json:"user"`
				Login  string   `json:"login,omitempty"`
				Method string   `json:"method"`
				Key    string   `json:"key,omitempty"`
				Groups []string `json:"groups"`
				May    []string `json:"may"`
			}{u.Name, u.Login, u.Method, u.Key, groups, may})
			if err != nil {
				return err
			}
			return o.spill(true)
		}
		line := func(key, value string) {
			if value != "" {
				_, _ = fmt.Fprintf(writer{o}, "%-7s %s\n", key, printable(value)) // into memory
			}
		}
		line("user", u.Name)
		line("login", u.Login)
		line("method", u.Method)
		line("key", u.Key)
		line("groups", strings.Join(u.Groups, ", "))
		line("may", strings.Join(may, ", "))
		return o.spill(true)
	}
	return c
}
