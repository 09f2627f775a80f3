package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
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
	here := []*cobra.Command{upCommand(d), tapCommand(d), demo.Command()}
	inCluster := []*cobra.Command{workerCommand(d), hubCommand(d), proxyCommand()}
	if len(args) == 1 && args[0] == "--version" { // what most programs have
		args = []string{"version"}
	}
	asked, rest := args, []string(nil)
	if len(args) == 2 && args[0] == "help" {
		asked, rest = args[1:], []string{"--help"}
	} else if len(args) > 0 {
		rest = args[1:]
	}
	if len(asked) > 0 {
		for _, c := range slices.Concat(here, inCluster) {
			if c.Name() == asked[0] {
				return runLocal(ctx, c, rest, in, out, errw)
			}
		}
	}
	status := command.Run(ctx, fileEnv(d, in, out, errw), args)
	if status == command.ExitOK && (len(args) == 0 || len(args) == 1 && slices.Contains([]string{"help", "-h", "--help"}, args[0])) {
		helpLocal(out, here, inCluster)
	}
	return status
}

// helpLocal prints what the help says only here, and not over SSH.
func helpLocal(out io.Writer, here, inCluster []*cobra.Command) {
	for _, group := range []struct {
		title    string
		commands []*cobra.Command
	}{{"On this machine", here}, {"In a cluster", inCluster}} {
		fmt.Fprintf(out, "\n%s\n", group.title)
		for _, c := range group.commands {
			if !c.Hidden {
				fmt.Fprintf(out, "  %-32s %s\n", c.Use, c.Short)
			}
		}
	}
	fmt.Fprint(out, "\nHere the commands above ask a file: sshark calls --pcap FILE. Over SSH they ask the console: ssh CONSOLE calls.\n")
}

// usageError: the command was called wrongly.
type usageError struct{ error }

// runLocal runs a command of this machine's.
func runLocal(ctx context.Context, c *cobra.Command, args []string, in io.Reader, out, errw io.Writer) int {
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	c.SetIn(in)
	c.SetOut(out)
	c.SetErr(errw)
	c.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "sshark " + c.Name()}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; try: sshark %s --help", command.FlagError(err), c.Name())}
	})
	err := c.ExecuteContext(ctx)
	if err == nil {
		return command.ExitOK
	}
	fmt.Fprintln(errw, "sshark:", err)
	if wrong := (usageError{}); errors.As(err, &wrong) {
		return command.ExitUsage
	}
	return command.ExitFailed
}

// flagsOnly refuses what is no flag.
func flagsOnly(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("what is %q? %s takes flags only; try: sshark %s --help", args[0], c.Name(), c.Name())}
}

// fileEnv lets the console's commands ask a file.
func fileEnv(d *dialect, in io.Reader, out, errw io.Writer) *command.Env {
	e := &command.Env{Language: d.language, Stdin: in, Stdout: out, Stderr: errw, Location: time.Local, Version: versionText(),
		Open: func(_ context.Context, paths []string) (query.Source, io.Closer, error) {
			f, err := query.OpenFiles(paths, d.protocols, d.language)
			if err != nil {
				return nil, nil, err
			}
			return f, f, nil
		}}
	e.Replay = replayHere(d)
	if f, ok := out.(*os.File); ok && term.IsTerminal(f.Fd()) {
		e.Terminal = true
		e.Width, _, _ = term.GetSize(f.Fd())
		e.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return e
}

// versionText is the version, the commit where the build says it, and Go's version.
func versionText() string {
	text := version
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 && !strings.Contains(version, s.Value[:7]) {
				text += " " + s.Value[:12]
			}
		}
	}
	return text + " " + runtime.Version()
}
