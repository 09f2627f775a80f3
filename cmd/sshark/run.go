package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"github.com/sshark/sshark/cmd/sshark/demo"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/dissect/protocols"
	"github.com/sshark/sshark/sshd/command"
	"github.com/sshark/sshark/worker/query"
)

// version is set by the Makefile.
var version = "dev"

// dialect is what this program can dissect, and the filter language that speaks of it.
type dialect struct {
	protocols []*dissect.Protocol
	language  *filter.Language
}

func newDialect() (*dialect, error) {
	all := protocols.All()
	language, err := filter.New(all)
	if err != nil {
		return nil, fmt.Errorf("declare the filter language: %w", err)
	}
	return &dialect{all, language}, nil
}

// run is the whole program but for the process's end; it returns the exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	d, err := newDialect()
	if err != nil {
		fmt.Fprintln(errw, "sshark:", err)
		return command.ExitFailed
	}
	local := []*cobra.Command{upCommand(d), tapCommand(d), demo.Command()}
	if len(args) > 0 {
		for _, c := range local {
			if c.Name() == args[0] {
				return runLocal(ctx, c, args[1:], in, out, errw)
			}
		}
	}
	return command.Run(ctx, fileEnv(d, in, out, errw), args)
}

// runLocal runs a command of this machine's.
func runLocal(ctx context.Context, c *cobra.Command, args []string, in io.Reader, out, errw io.Writer) int {
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	c.SetIn(in)
	c.SetOut(out)
	c.SetErr(errw)
	status := command.ExitFailed
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		status = command.ExitUsage
		return fmt.Errorf("%w; try: sshark %s --help", err, c.Name())
	})
	if err := c.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(errw, "sshark:", err)
		return status
	}
	return command.ExitOK
}

// fileEnv lets the console's commands ask a file.
func fileEnv(d *dialect, in io.Reader, out, errw io.Writer) *command.Env {
	e := &command.Env{Language: d.language, Stdin: in, Stdout: out, Stderr: errw, Location: time.Local, Version: versionText(),
		Open: func(_ context.Context, path string) (query.Source, io.Closer, error) {
			f, err := query.OpenFile(path, d.protocols, d.language)
			if err != nil {
				return nil, nil, err
			}
			return f, nil, nil
		}}
	if f, ok := out.(*os.File); ok && term.IsTerminal(f.Fd()) {
		e.Terminal = true
		e.Width, _, _ = term.GetSize(f.Fd())
		e.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return e
}

// versionText is the version and the commit, where the build says it.
func versionText() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "dev" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "dev " + s.Value[:12]
			}
		}
	}
	return version
}
