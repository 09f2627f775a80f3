package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
)

// Formats of several commands.
const (
	formatTable   = "table"
	formatWide    = "wide"
	formatJSON    = "json"
	formatText    = "text"
	formatCompact = "compact"
	formatDict    = "dict"
)

// look is the flags that say how the answer is shown.
type look struct {
	output, color string
	utc, numeric  bool
}

func (l *look) declare(f *pflag.FlagSet, formats ...string) {
	f.StringVarP(&l.output, "output", "o", formats[0], "`FORMAT`: "+strings.Join(formats, ", "))
	f.StringVar(&l.color, "color", "auto", "`WHEN`: auto (on a terminal, unless NO_COLOR is set), always, never")
	f.BoolVar(&l.utc, "utc", false, "times in UTC")
	f.BoolVar(&l.numeric, "numeric", false, "addresses and ports, no names")
}

// check says what is wrong with the flags, and reads --color.
func (l *look) check(e *Env, formats ...string) (color bool, err error) {
	known := false
	for _, f := range formats {
		known = known || l.output == f
	}
	if !known {
		return false, usagef("-o %q: want %s", l.output, strings.Join(formats, ", "))
	}
	switch l.color {
	case "auto":
		return e.Color, nil
	case "always":
		return true, nil
	case "never":
		return false, nil
	}
	return false, usagef("--color %q: want auto, always or never", l.color)
}

// outputBuffer is when what was printed is handed on at the latest.
const outputBuffer = 64 << 10

// output buffers standard output. Its first error is final.
type output struct {
	w   io.Writer
	buf []byte
	err error
}

func (e *Env) output() *output { return &output{w: e.Stdout, buf: make([]byte, 0, outputBuffer+4096)} }

// spill hands on what is buffered if it is enough, or if now.
func (o *output) spill(now bool) error {
	if o.err == nil && (now && len(o.buf) > 0 || len(o.buf) >= outputBuffer) {
		o.err = writeAll(o.w, o.buf)
		o.buf = o.buf[:0]
	}
	return o.err
}

func writeAll(w io.Writer, b []byte) error {
	n, err := w.Write(b)
	switch {
	case err == nil && n < len(b):
		return fmt.Errorf("write output: %w", io.ErrShortWrite)
	case err == nil:
		return nil
	case gone(err):
		return fmt.Errorf("write output: %w: %w", errGone, err)
	}
	return fmt.Errorf("write output: %w", err)
}

// gone says whether an error of writing means that the reader went away.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, syscall.EPIPE) || errors.Is(err, fs.ErrClosed)
}

// writer makes an output an io.Writer, for what prints little.
type writer struct{ *output }

func (w writer) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	return len(p), w.spill(false)
}
