// Package command is the console's command tree: what `ssh console COMMAND` and
// `sshark COMMAND --pcap FILE` run. One file holds one command.
//
// Run is one command of one asker: it owns nothing beyond the call, keeps no state between
// calls, and is safe to run many times at once with different Envs. Standard output gets data
// only; everything that is said about the data goes to standard error, one line each. What
// came off the wire reaches a terminal only through AppendPrintable.
//
// The result of Run is the exit status: ExitOK, ExitFailed, ExitUsage, ExitPartial,
// ExitRefused or ExitCancelled.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/doctor"
	"github.com/sshark/sshark/sshd/replay"
	"github.com/sshark/sshark/sshd/snapshots"
	"github.com/sshark/sshark/worker/query"
)

// The exit statuses that scripts rely on.
const (
	ExitOK        = 0
	ExitFailed    = 1
	ExitUsage     = 2 // wrong usage or filter
	ExitPartial   = 3 // a node did not answer
	ExitRefused   = 4 // by policy
	ExitCancelled = 130
)

// Env is where a command runs and who asks.
type Env struct {
	Source   query.Source     // who is asked; nil: Open makes it
	Language *filter.Language // nil: filters are not checked here, and the help names no fields

	// Open reads capture files: commands then have --pcap FILE. closer ends what it opened.
	Open func(ctx context.Context, paths []string) (source query.Source, closer io.Closer, err error)
	// File says that Source is a file: it is read whole where no time is given, and times
	// that are relative count back from its newest packet.
	File bool

	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       bool // Stdout is one
	Width          int  // of the terminal in columns, 0: unknown
	Color          bool // what --color auto means

	Now      func() time.Time
	Location *time.Location // of tables, and of times typed without a zone; nil is UTC

	User *auth.User // who asks; nil: the machine's own user, on a file
	// Scope says where the user may do something, or refuses it; nil allows all.
	Scope   func(v auth.Verb) (auth.Scope, error)
	Refused func(err error) // told of what was refused; nil: nobody
	Told    func(rows int)  // told how many calls, flows or packets were printed; nil: nobody

	// Cluster is what should be captured, as far as the asker may know of it; it returns at
	// once. nil: there is no cluster.
	Cluster func() *doctor.Cluster

	// Snapshots are the console's, as this user may use them; nil: there are none.
	Snapshots *snapshots.Desk

	// Replay is replays as this user may do them; nil: they are turned off.
	Replay *replay.Desk

	// TUI opens the screen; nil: there is none.
	TUI func(ctx context.Context, o Screen) error

	Version string
	// Raw holds the words as they were typed, quotes included, in step with args; nil: as in args.
	Raw []string

	kept  bool            // File is a snapshot of this console
	ctx   context.Context // of Run
	words []string        // of Run, as mended, in step with Raw
	told  *told           // what standard error was told
}

// Screen is what is shown first.
type Screen struct {
	View     string // one of tui.Views; "" is the first
	Stream   string // the ID, of a view that is of a stream
	Filter   string
	Snapshot string // asked instead of what is kept now, if it is not ""
}

// told guards standard error and remembers which nodes were named, since a command may have
// several answers, some of them while others go on.
type told struct {
	mu      sync.Mutex
	missing map[absence]bool
	partial bool // a node was named, be it back by now
}

// absence is what was said of a node.
type absence struct{ node, line string }

// first says whether a line about a missing node is new.
func (t *told) first(node, line string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.partial = true
	if t.missing[absence{node, line}] {
		return false
	}
	t.missing[absence{node, line}] = true
	return true
}

// back says whether a node was named that is there again. It may be named again then.
func (t *told) back(node string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.missing)
	maps.DeleteFunc(t.missing, func(a absence, _ bool) bool { return a.node == node })
	return len(t.missing) < n
}

// any says whether a node was named at all.
func (t *told) any() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.partial
}

// Run runs one command and returns its exit status. It returns within about a second of the
// end of ctx.
func Run(ctx context.Context, env *Env, args []string) int {
	e := *env
	e.ctx, e.told = ctx, &told{missing: map[absence]bool{}}
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.Location == nil {
		e.Location = time.UTC
	}
	if len(e.Raw) != len(args) {
		e.Raw = args
	}
	root := e.root()
	e.words, e.Raw = mend(args, e.Raw)
	root.SetArgs(append([]string{}, e.words...)) // nil would mean os.Args
	return e.finish(root.ExecuteContext(ctx))
}

// finish says what went wrong and turns it into the exit status.
func (e *Env) finish(err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, errPartial):
		return ExitPartial // each missing node was named already
	case e.ctx.Err() != nil && errors.Is(e.ctx.Err(), context.Canceled), errors.Is(err, errGone):
		return ExitCancelled
	case errors.As(err, &usage):
		e.say("%s", usage.Error())
		return ExitUsage
	case errors.Is(err, auth.ErrRefused), errors.Is(err, query.ErrRefused):
		if e.Refused != nil {
			e.Refused(err)
		}
		e.say("%v", err)
		return ExitRefused
	}
	e.say("%v", err)
	return ExitFailed
}

// say writes one line to standard error. Texts of several lines (a filter's caret) keep them.
func (e *Env) say(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), "\n")
	var b []byte
	for i, line := range strings.Split(text, "\n") {
		if i == 0 {
			b = append(b, "sshark: "...)
		}
		b = append(AppendPrintable(b, line), '\n')
	}
	e.told.mu.Lock()
	defer e.told.mu.Unlock()
	// Nobody is left to tell when standard error is gone.
	_, _ = e.Stderr.Write(b)
}

func (e *Env) allow(v auth.Verb) error {
	if e.Scope == nil {
		return nil
	}
	_, err := e.Scope(v)
	return err
}

// forAll says whether a command is for those too who may see nothing.
func forAll(name string) bool {
	switch name {
	case "sshark", "help", "version", "whoami":
		return true
	}
	return false
}

// usageError is wrong usage: exit status 2.
type usageError struct{ err error }

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

var (
	errPartial = errors.New("partial answer")
	errGone    = errors.New("the reader is gone")
)

// unknown says that there is no such command, or none here.
func (e *Env) unknown(root *cobra.Command, word string) error {
	if e.Open != nil {
		switch word {
		case "nodes", "doctor", "whoami", "snapshot":
			return usagef("%s is about a cluster, not about a file: ssh CONSOLE %[1]s", word)
		case "tcpdump":
			return usagef("tcpdump follows a cluster: ssh CONSOLE tcpdump …; of a file: pcap --pcap FILE")
		case "tui":
			return usagef("tui is on the console: ssh -t CONSOLE tui; the screen on a file: sshark tap --pcap FILE")
		}
	}
	hint := "try: help"
	if near := root.SuggestionsFor(word); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("there is no command %q; %s", word, hint)
}

// root is the command tree.
func (e *Env) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "sshark",
		Short:         "What this cluster's pods say to each other",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if forAll(c.Name()) {
				return nil
			}
			return e.allow(auth.See)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return e.help(c.Root(), nil)
			}
			return e.unknown(c, args[0])
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetIn(e.Stdin)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		// The flags of a command that does not exist are not what is wrong.
		if c == root && len(e.words) > 0 && !strings.HasPrefix(e.words[0], "-") {
			return e.unknown(c, e.words[0])
		}
		return usagef("%w; try: %s", FlagError(err), strings.TrimSpace("help "+words(c)))
	})
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { _ = e.printHelp(c) })
	root.AddCommand(e.calls(), e.flows(), e.stream(), e.serviceMap(), e.stats(), e.names(), e.pcap(), e.replay(), e.version())
	if e.Open == nil { // a file has none of it
		root.AddCommand(e.nodes(), e.doctor(), e.whoami(), e.tcpdump())
	}
	if e.Snapshots != nil {
		root.AddCommand(e.snapshot())
	}
	if e.TUI != nil {
		root.AddCommand(e.tui())
	}
	root.SetHelpCommand(e.helpCommand())
	return root
}
