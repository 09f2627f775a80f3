package command

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/worker/query"
)

// question is what the commands that query have in common: a window, shorthands, a filter.
type question struct {
	window
	shorthands
	file string
}

func (q *question) declare(e *Env, c *cobra.Command) {
	f := c.Flags()
	f.SortFlags = false
	q.window.declare(f)
	q.shorthands.declare(f)
	if e.Open != nil {
		f.StringVarP(&q.file, "pcap", "r", "", "the capture `FILE` to ask: pcap, pcapng, .gz of either")
	}
}

// ask makes the request of the flags and the words that are left over. It returns nil if
// there is nothing more to do (--print-filter).
func (q *question) ask(e *Env, args []string, verb auth.Verb, cut bool) (*asked, func(), error) {
	done := func() {}
	typed := e.filterOf(args)
	// The text as it was typed goes first, so that line and column are the user's.
	if err := e.compile(typed); err != nil {
		return nil, done, err
	}
	filter, err := q.filter(typed)
	if err != nil {
		return nil, done, err
	}
	if err := e.compile(filter); err != nil {
		return nil, done, err
	}
	if q.print {
		o := e.output()
		o.buf = append(AppendPrintable(o.buf, filter), '\n')
		return nil, done, o.spill(true)
	}
	if err := e.allow(verb); err != nil {
		return nil, done, err
	}
	if e.Open != nil && e.Source == nil {
		if q.file == "" {
			return nil, done, usagef("which file? Give --pcap FILE; a cluster is asked over ssh")
		}
		source, closer, err := e.Open(e.ctx, q.file)
		if err != nil {
			return nil, done, err
		}
		e.Source, e.File = source, true
		done = func() { closeQuietly(closer) }
	}
	a, err := q.request(e, filter, cut)
	if err != nil {
		done()
		return nil, func() {}, err
	}
	if a.Follow {
		a.Notice = e.notice // never a file
	}
	return a, done, nil
}

// closeQuietly ends a source that was only read: its error would change nothing.
func closeQuietly(c io.Closer) {
	if c != nil {
		_ = c.Close()
	}
}

// compile checks a filter; wrong ones are wrong usage.
func (e *Env) compile(filter string) error {
	if e.Language == nil || strings.TrimSpace(filter) == "" {
		return nil
	}
	if _, err := e.Language.Compile(filter); err != nil {
		return &usageError{err}
	}
	return nil
}

// askBefore asks for what is older than the following begins.
func (e *Env) askBefore(a *asked, ask asker) error {
	if a.before == nil {
		return nil
	}
	r, err := ask(a.before)
	if r != nil {
		e.sayMissing(r)
		a.partial = r.Partial()
	}
	return enough(err)
}

// enough turns the end that a command itself asked for into success.
func enough(err error) error {
	if errors.Is(err, query.ErrStop) {
		return nil
	}
	return err
}
