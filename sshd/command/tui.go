package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/tui"
)

// tui opens the screen. Its first word is a view unless the words are a filter with it.
func (e *Env) tui() *cobra.Command {
	var name string
	views := tui.Views()
	var long strings.Builder
	long.WriteString("The screen that comes without a command, opened at a view and with a filter. It needs\na terminal: ssh -t.\nViews:\n")
	for _, v := range views {
		fmt.Fprintf(&long, "  %-10s %s\n", v.Name, v.Help)
	}
	c := &cobra.Command{
		Use:     "tui [VIEW] [FILTER]",
		Short:   "the screen, at a view and with a filter",
		Long:    strings.TrimSuffix(long.String(), "\n"),
		Example: "tui\ntui map\ntui calls 'http && error'\ntui stream 0123456789abc",
		RunE: func(_ *cobra.Command, args []string) error {
			if !e.Terminal {
				return errNoTerminal
			}
			o := Screen{Snapshot: name}
			if len(args) > 0 {
				if i := slices.IndexFunc(views, func(v tui.Named) bool { return v.Name == args[0] }); i >= 0 {
					var err error
					if args, err = o.at(views[i], args); err != nil {
						return err
					}
				}
			}
			o.Filter = strings.TrimSpace(e.filterOf(args))
			if err := e.compile(o.Filter); err != nil {
				if o.View == "" && len(args) == 1 && !strings.ContainsAny(args[0], " .=<>!&|(") {
					return usagef("there is no view %q; there are %s", args[0], viewNames(views))
				}
				return err
			}
			if err := e.allow(auth.See); err != nil {
				return err
			}
			return e.TUI(e.ctx, o)
		},
	}
	e.declareSnapshot(c.Flags(), &name)
	return c
}

// errNoTerminal is what the screen says where there is none.
var errNoTerminal = usagef("the screen needs a terminal: ssh -t; what needs none is listed by: help")

// at takes the words of a view, and returns those behind it. A view of a stream has the name of
// a field, which begins a filter if no ID follows.
func (o *Screen) at(v tui.Named, words []string) (rest []string, err error) {
	rest = words[1:]
	if v.Stream {
		if len(rest) == 0 {
			return nil, usagef("tui %s wants an ID, as in the column STREAM of: flows -o wide", v.Name)
		}
		if _, err := flow.ParseID(rest[0]); err != nil {
			return words, nil
		}
		o.Stream, rest = rest[0], rest[1:]
	}
	o.View = v.Name
	return rest, nil
}

func viewNames(views []tui.Named) string {
	var names []string
	for _, v := range views {
		names = append(names, v.Name)
	}
	return strings.Join(names, ", ")
}
