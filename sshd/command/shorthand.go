package command

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sshark/sshark/dissect/filter"
)

// shorthands are the flags that stand for a piece of filter; package filter knows what each
// means. --not turns the flag behind it round.
type shorthands struct {
	text   filter.Shorthand
	negate bool // --not was read, its flag not yet
	named  bool // a namespace was named
	allNS  bool
	proto  []string // protocols that were named
	print  bool
}

// shorthand is one flag.
type shorthand struct {
	set *shorthands
	filter.ShorthandFlag
}

func (s *shorthand) String() string { return "" }
func (s *shorthand) Type() string   { return s.Value }

// Set is called by the flag parser in the order of the words, which --not relies on.
func (s *shorthand) Set(value string) error {
	not := s.set.negate
	s.set.negate = false
	s.set.named = s.set.named || !not && strings.HasSuffix(s.Name, "namespace")
	if s.Name == "protocol" {
		s.set.proto = append(s.set.proto, value)
	}
	// The flag parser names flag and value itself.
	if err := s.set.text.Add(s.Name, value, not); err != nil {
		if why := errors.Unwrap(err); why != nil {
			return why
		}
		return err
	}
	return nil
}

// not is the flag --not.
type not struct{ set *shorthands }

func (n *not) String() string   { return "false" }
func (n *not) Type() string     { return "bool" }
func (n *not) IsBoolFlag() bool { return true }
func (n *not) Set(string) error { n.set.negate = true; return nil }

func (s *shorthands) declare(f *pflag.FlagSet) {
	for _, flag := range filter.ShorthandFlags() {
		f.VarP(&shorthand{s, flag}, flag.Name, flag.Short, flag.Help)
	}
	f.BoolVarP(&s.allNS, "all-namespaces", "A", false, "all namespaces (as without -n)")
	f.VarPF(&not{s}, "not", "", "turns the next flag round: --not --port 443").NoOptDefVal = "true"
	f.BoolVar(&s.print, "print-filter", false, "print the filter that the flags stand for, and do nothing else")
}

// filter joins what was typed and what the flags stand for.
func (s *shorthands) filter(typed string) (string, error) {
	switch {
	case s.negate:
		return "", usagef("--not: want a flag behind it, such as --not --port 443")
	case s.allNS && s.named:
		return "", usagef("-A and -n: choose one")
	}
	return filter.And(typed, s.text.String()), nil
}
