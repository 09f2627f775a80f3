package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"github.com/sshark/sshark/sshd/command"
	"github.com/sshark/sshark/sshd/screen"
	"github.com/sshark/sshark/tui"
	"github.com/sshark/sshark/worker/query"
)

// tapCommand is the screen on a file.
func tapCommand(d *dialect) *cobra.Command {
	var paths, keyLogs []string
	var filter string
	c := &cobra.Command{
		Use:   "tap --pcap FILE",
		Short: "the screen on a capture file: no cluster, no root",
		Args:  flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(paths) == 0 {
				return usageError{errors.New("which file? sshark tap --pcap FILE")}
			}
			if !term.IsTerminal(os.Stdin.Fd()) || !term.IsTerminal(os.Stdout.Fd()) {
				return fmt.Errorf("the screen needs a terminal; for lines: sshark calls --pcap %s", paths[0])
			}
			if _, err := d.language.Compile(filter); err != nil {
				return usageError{err}
			}
			return tap(c.Context(), d, paths, keyLogs, filter)
		},
	}
	c.Flags().StringArrayVarP(&paths, "pcap", "r", nil, command.PcapUsage)
	c.Flags().StringArrayVar(&keyLogs, "keylog", nil, command.KeyLogUsage)
	c.Flags().StringVar(&filter, "filter", "", "the `FILTER` to begin with")
	return c
}

func tap(ctx context.Context, d *dialect, paths, keyLogs []string, filter string) (err error) {
	source, err := query.OpenFiles(paths, d.protocols, d.language)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	for _, path := range keyLogs {
		if err := source.KeyLog(path); err != nil {
			return err
		}
	}
	model := tui.New(tui.Options{
		Backend: screen.New(source, d.language), Replays: screen.NewReplays(replayHere(d)), Context: ctx, Location: time.Local,
		Host: source.Name(), Filter: filter, Window: &tui.Window{},
		Profile: colorprofile.Detect(os.Stdout, os.Environ()),
	})
	_, err = tea.NewProgram(model, tea.WithContext(ctx)).Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil
	}
	return err
}
