package command

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/worker/query"
)

// question is what the commands that query have in common: a window, shorthands, a filter.
type question struct {
	window
	shorthands
	origin
}

func (q *question) declare(e *Env, c *cobra.Command) {
	f := c.Flags()
	f.SortFlags = false
	q.window.declare(f)
	q.shorthands.declare(f)
	q.origin.declare(e, f)
}

// origin is the flags that say what is asked: files, a snapshot, or else what is kept now.
type origin struct {
	files    []string
	keyLogs  []string
	snapshot string
}

func (o *origin) declare(e *Env, f *pflag.FlagSet) {
	if e.Open != nil {
		f.StringArrayVarP(&o.files, "pcap", "r", nil, PcapUsage)
		f.StringArrayVar(&o.keyLogs, "keylog", nil, KeyLogUsage)
	}
	e.declareSnapshot(f, &o.snapshot)
}

// PcapUsage is what --pcap takes.
const PcapUsage = "the capture `FILE` to ask: pcap or pcapng, also .gz or .zst of it, or a .tar.gz of such; - is standard input; given again, or as a pattern ('*.pcapng'): all at once"

// KeyLogUsage is what --keylog takes.
const KeyLogUsage = "the `FILE` of secrets to decrypt TLS with, as SSLKEYLOGFILE has them, besides those in the capture itself"

// keyed is a source that can be given secrets.
type keyed interface{ KeyLog(path string) error }

// ask makes the request of the flags and the words that are left over. It returns nil if
// there is nothing more to do (--print-filter).
func (q *question) ask(e *Env, args []string, verb auth.Verb, cut bool) (*asked, func(), error) {
	done := func() {}
	typed := e.filterOf(args)
	// The text as it was typed goes first, so that line and column are the user's.
	if err := e.compile(typed); err != nil {
		return nil, done, e.unquoted(args, err)
	}
	filter, err := q.filter(typed)
	if err != nil {
		return nil, done, err
	}
	if err := e.compile(filter); err != nil {
		return nil, done, q.unknownProtocol(e, err)
	}
	if q.print {
		o := e.output()
		o.buf = append(AppendPrintable(o.buf, filter), '\n')
		return nil, done, o.spill(true)
	}
	if err := e.allow(verb); err != nil {
		return nil, done, err
	}
	if done, err = q.open(e); err != nil {
		return nil, done, err
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

// open makes what the flags name e's source, until done is called.
func (o *origin) open(e *Env) (done func(), err error) {
	done = func() {}
	if e.Open != nil && e.Source == nil {
		if len(o.files) == 0 {
			return done, usagef("which file? Give --pcap FILE; a cluster is asked over ssh")
		}
		source, closer, err := e.Open(e.ctx, o.files)
		if err != nil {
			return done, err
		}
		if err := o.unlock(source); err != nil {
			closeQuietly(closer)
			return done, err
		}
		e.Source, e.File = source, true
		done = func() { closeQuietly(closer) }
	}
	if o.snapshot == "" {
		return done, nil
	}
	if done, err = e.askSnapshot(o.snapshot); err != nil {
		return func() {}, err
	}
	return done, nil
}

// unlock gives a source the secrets that were named.
func (o *origin) unlock(source query.Source) error {
	for _, path := range o.keyLogs {
		k, ok := source.(keyed)
		if !ok {
			return usagef("--keylog %s: nothing is decrypted here", path)
		}
		if err := k.KeyLog(path); err != nil {
			return err
		}
	}
	return nil
}

// declareSnapshot declares --snapshot where there are snapshots.
func (e *Env) declareSnapshot(f *pflag.FlagSet, name *string) {
	if e.Snapshots != nil {
		f.StringVar(name, "snapshot", "", "ask the snapshot `NAME` (snapshot list), not what is kept now")
	}
}

// askSnapshot makes a snapshot what is asked, until done is called.
func (e *Env) askSnapshot(name string) (done func(), err error) {
	source, closer, err := e.Snapshots.Source(e.ctx, name)
	if err != nil {
		return nil, err
	}
	e.Source, e.File, e.kept = source, true, true
	return func() { closeQuietly(closer) }, nil
}

// unquoted says what a shell did that found files for a pattern, which then stand where the
// filter does.
func (e *Env) unquoted(args []string, err error) error {
	if e.Open == nil || len(args) == 0 {
		return err
	}
	for _, a := range args {
		if st, statErr := os.Stat(a); statErr != nil || st.IsDir() {
			return err
		}
	}
	return usagef("%s is a file, not a filter: quote the pattern (--pcap '*.pcapng'), or give --pcap before each file", args[0])
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
