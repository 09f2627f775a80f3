package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// FlagError says what a flag wants, where the flag parser has only Go's words for what is wrong
// with its value. Other errors are returned as they are.
func FlagError(err error) error {
	var bad *pflag.InvalidValueError
	var number *strconv.NumError
	if !errors.As(err, &bad) {
		return err
	}
	want := ""
	switch kind := bad.GetFlag().Value.Type(); {
	case kind == "bool":
		want = "true or false, or no value"
	case kind == "duration":
		want = "a time such as 500ms, 5s or 1m30s"
	case errors.As(err, &number) && errors.Is(number.Err, strconv.ErrRange):
		want = "a smaller number"
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		want = "a whole number"
	default:
		return err
	}
	return fmt.Errorf("--%s %q: want %s", bad.GetFlag().Name, bad.GetValue(), want)
}

// unknownProtocol explains why the filter that the flags stand for is none: --protocol alone takes
// names that only the language knows.
func (s *shorthands) unknownProtocol(e *Env, err error) error {
	for _, name := range s.proto {
		if e.compile(strings.ToLower(name)) != nil {
			return usagef("--protocol %s: there is no protocol of that name; help calls lists what there is", name)
		}
	}
	return err
}
