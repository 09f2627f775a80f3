package command

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/sshd/auth"
)

// tui opens the screen. Its first word is a view unless the words are a filter with it.
func (e *Env) tui() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "tui [VIEW] [FILTER]",
		Short: "the screen, at a view and with a filter",
		Long: `The screen that comes without a command, opened at a view (calls, flows, nodes, …) and with a
filter. It needs a terminal: ssh -t.`,
		Example: "tui\ntui calls 'http && error'",
		RunE: func(_ *cobra.Command, args []string) error {
			if !e.Terminal {
				return usagef("the screen needs a terminal: ssh -t")
			}
			view := ""
			if len(args) > 0 && isView(args[0]) {
				view, args = args[0], args[1:]
			}
			filter := e.filterOf(args)
			if err := e.compile(filter); err != nil {
				return err
			}
			if err := e.allow(auth.See); err != nil {
				return err
			}
			return e.TUI(e.ctx, Screen{View: view, Filter: strings.TrimSpace(filter), Snapshot: name})
		},
	}
	e.declareSnapshot(c.Flags(), &name)
	return c
}

// isView tells the names of screens, which are no fields of a filter.
func isView(word string) bool {
	switch word {
	case "calls", "flows", "nodes", "snapshots", "map", "packets", "stats", "names", "help":
		return true
	}
	return false
}
