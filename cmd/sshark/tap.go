package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"github.com/sshark/sshark/sshd/screen"
	"github.com/sshark/sshark/tui"
	"github.com/sshark/sshark/worker/query"
)

// tapCommand is the screen on a file.
func tapCommand(d *dialect) *cobra.Command {
	var path, filter string
	c := &cobra.Command{
		Use:   "tap --pcap FILE",
		Short: "the screen on a capture file: no cluster, no root",
		Args:  flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			if path == "" {
				return usageError{errors.New("which file? sshark tap --pcap FILE")}
			}
			if !term.IsTerminal(os.Stdin.Fd()) || !term.IsTerminal(os.Stdout.Fd()) {
				return fmt.Errorf("the screen needs a terminal; for lines: sshark calls --pcap %s", path)
			}
			if _, err := d.language.Compile(filter); err != nil {
				return usageError{err}
			}
			return tap(c.Context(), d, path, filter)
		},
	}
	c.Flags().StringVarP(&path, "pcap", "r", "", "the capture `FILE`: pcap, pcapng, .gz of either")
	c.Flags().StringVar(&filter, "filter", "", "the `FILTER` to begin with")
	return c
}

func tap(ctx context.Context, d *dialect, path, filter string) (err error) {
	source, err := query.OpenFile(path, d.protocols, d.language)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	model := tui.New(tui.Options{
		Backend: screen.New(source, d.language), Context: ctx, Location: time.Local,
		Host: filepath.Base(path), Filter: filter, Window: &tui.Window{},
		Profile: colorprofile.Detect(os.Stdout, os.Environ()),
	})
	_, err = tea.NewProgram(model, tea.WithContext(ctx)).Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil
	}
	return err
}
