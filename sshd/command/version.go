package command

import (
	"github.com/spf13/cobra"
)

func (e *Env) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "version, commit, Go version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			o := e.output()
			v := e.Version
			if v == "" {
				v = "unknown"
			}
			o.buf = append(AppendPrintable(append(o.buf, "sshark "...), v), '\n')
			return o.spill(true)
		},
	}
}
