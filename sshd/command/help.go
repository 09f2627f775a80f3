package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/sshd/snapshots"
)

func (e *Env) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "this text; help COMMAND: its flags and the fields of filters",
		RunE:  func(c *cobra.Command, args []string) error { return e.help(c.Root(), args) },
	}
}

// help prints the help of a command.
func (e *Env) help(root *cobra.Command, args []string) error {
	c := root
	if len(args) > 0 {
		found, _, err := root.Find(args)
		if err != nil || found == root {
			return usagef("there is no command %q; try: help", args[0])
		}
		c = found
	}
	return e.printHelp(c)
}

func (e *Env) printHelp(c *cobra.Command) error {
	o := e.output()
	w := writer{o}
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // into memory
	if c == c.Root() {
		p("sshark: what pods say to each other, recorded and told over SSH\n\nCommands\n")
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				p("  %-32s %s\n", sub.Use, sub.Short)
			}
		}
		p("\nhelp COMMAND shows the flags of a command and the fields of filters.\n")
		p("Exit status: 0 all answered, 1 failed, 2 wrong usage or filter, 3 a node is missing, 4 refused, 130 cancelled.\n")
		return o.spill(true)
	}
	p("Usage: %s", strings.TrimSuffix(words(c), c.Name())+c.Use)
	if c.HasAvailableFlags() && !strings.Contains(c.Use, "-") {
		p(" [FLAGS]")
	}
	p("\n\n%s\n", first(c.Long, c.Short))
	if c.Example != "" {
		p("\nExamples\n")
		for _, line := range strings.Split(c.Example, "\n") {
			p("  %s\n", line)
		}
	}
	if c.HasSubCommands() {
		p("\nCommands\n")
		for _, sub := range c.Commands() {
			p("  %-32s %s\n", c.Name()+" "+sub.Use, sub.Short)
		}
	}
	if c.HasAvailableFlags() {
		width := 100
		if e.Terminal && e.Width > 0 {
			width = max(e.Width, 60)
		}
		p("\nFlags\n%s", c.LocalFlags().FlagUsagesWrapped(width))
	}
	if strings.Contains(c.Use, "[FILTER]") && e.Language != nil {
		e.helpFields(p)
	}
	return o.spill(true)
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// helpFields prints what a filter may name.
func (e *Env) helpFields(p func(string, ...any)) {
	p("\nFilters are CEL: &&, ||, !, ==, !=, <, >, in, contains(), startsWith(), endsWith(), matches().\n")
	p("The words left over are joined and are the filter. Quote it for your shell and for the console's:\n")
	p("  ssh console calls \"'http && status_code >= 500'\"\n\nFields\n")
	for _, f := range e.Language.Fields() {
		p("  %-34s %-20s %s\n", f.Name, f.Type, printable(f.Help))
		if f.Example != "" && f.Example != f.Name {
			p("  %-34s %-20s %s\n", "", "", printable(f.Example))
		}
	}
}

// Names are the commands of a console, in alphabetical order.
func Names() []string {
	e := Env{TUI: func(context.Context, Screen) error { return nil }, Snapshots: &snapshots.Desk{}}
	names := []string{"help"}
	for _, c := range e.root().Commands() {
		names = append(names, c.Name())
	}
	slices.Sort(names)
	return slices.Compact(names)
}
