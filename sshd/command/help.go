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
			return e.unknown(root, args[0])
		}
		c = found
	}
	return e.printHelp(c)
}

func (e *Env) printHelp(c *cobra.Command) error {
	o := e.output()
	w := writer{o}
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // into memory
	width := 0
	if e.Terminal && e.Width > 0 {
		width = max(e.Width, minHelp)
	}
	if c == c.Root() {
		p("sshark: what pods say to each other, recorded and told over SSH\n\nCommands\n")
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				p("%s", entry(sub.Use, sub.Short, width))
			}
		}
		p("\n%s", fill("help COMMAND shows the flags of a command and the fields of filters.\n"+
			"Exit status: 0 all answered, 1 failed, 2 wrong usage or filter, 3 a node is missing, 4 refused, 130 cancelled.", width))
		return o.spill(true)
	}
	p("Usage: %s", strings.TrimSuffix(words(c), c.Name())+c.Use)
	if c.HasAvailableFlags() && !strings.Contains(c.Use, "-") {
		p(" [FLAGS]")
	}
	p("\n\n%s", fill(first(c.Long, c.Short), width))
	if c.Example != "" {
		p("\nExamples\n")
		for _, line := range strings.Split(c.Example, "\n") {
			p("  %s\n", line)
		}
	}
	if c.HasSubCommands() {
		p("\nCommands\n")
		for _, sub := range c.Commands() {
			p("%s", entry(c.Name()+" "+sub.Use, sub.Short, width))
		}
	}
	if c.HasAvailableFlags() {
		room := 100
		if width > 0 {
			room = width
		}
		p("\nFlags\n%s", c.LocalFlags().FlagUsagesWrapped(room))
	}
	if strings.Contains(c.Use, "[FILTER]") && e.Language != nil {
		e.helpFields(p, width)
	}
	return o.spill(true)
}

// minHelp is the least that help is wrapped to, in columns.
const minHelp = 60

// entry is a name and what it is, side by side, in lines of at most width columns, 0: in one.
func entry(name, text string, width int) string {
	const at = 2 + 32 + 1
	var b strings.Builder
	if width > 0 && len(name) > 32 { // what it is stands below
		fmt.Fprintf(&b, "  %s\n", name)
		name = ""
	}
	for i, line := range wrap(text, max(0, width-at), "") {
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(&b, "  %-32s %s\n", name, line)
	}
	return b.String()
}

// fill fits a text of whole lines into width columns, 0: as it is. A line that begins with a blank
// keeps its place; the others are one paragraph up to the end of a sentence at the end of a line.
func fill(text string, width int) string {
	var b strings.Builder
	paragraph := ""
	flush := func() {
		if paragraph != "" {
			b.WriteString(strings.Join(wrap(paragraph, width, ""), "\n") + "\n")
		}
		paragraph = ""
	}
	for _, line := range strings.Split(text, "\n") {
		own := strings.TrimLeft(line, " ")
		switch indent := len(line) - len(own); {
		case width == 0, indent > 0 && textWidth(line) <= width:
			flush()
			b.WriteString(line + "\n")
		case indent > 0:
			flush()
			for _, l := range wrap(own, width-indent, "") {
				b.WriteString(line[:indent] + l + "\n")
			}
		default:
			paragraph = strings.TrimSpace(paragraph + " " + line)
			if strings.HasSuffix(line, ".") || strings.HasSuffix(line, ":") {
				flush()
			}
		}
	}
	flush()
	return b.String()
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
func (e *Env) helpFields(p func(string, ...any), width int) {
	p("\n%s", fill("Filters are CEL: &&, ||, !, ==, !=, <, >, in, contains(), startsWith(), endsWith(), matches().\n"+
		"The words left over are joined and are the filter. Quote it for your shell and for the console's:", width))
	p("  ssh console calls \"'http && status_code >= 500'\"\n\nFields\n")
	for _, f := range e.Language.Fields() {
		if width > 0 {
			p("  %s %s\n%s", f.Name, f.Type, indented(printable(f.Help), width))
			if f.Example != "" && f.Example != f.Name {
				p("%s", indented(printable(f.Example), width))
			}
			continue
		}
		p("  %-34s %-20s %s\n", f.Name, f.Type, printable(f.Help))
		if f.Example != "" && f.Example != f.Name {
			p("  %-34s %-20s %s\n", "", "", printable(f.Example))
		}
	}
}

// indented is a text below what it is of.
func indented(text string, width int) string {
	const before = "      "
	return before + strings.Join(wrap(text, width-len(before), ""), "\n"+before) + "\n"
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
