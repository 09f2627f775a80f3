package command

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/worker/query"
)

// Formats of stream, besides text and JSON.
const (
	formatHex = "hex"
	formatRaw = "raw"
)

func (e *Env) stream() *cobra.Command {
	var o origin
	var s streamLook
	formats := []string{formatText, formatHex, formatRaw, formatJSON}
	c := &cobra.Command{
		Use:   "stream ID",
		Short: "the bytes of one flow, reassembled",
		Long: `The bytes of one flow, reassembled, both directions in the order of their capture. ID is in
the column STREAM of calls and flows (-o wide), and "stream" in their JSON.
→ is what the client sent, ← what the server sent. Bytes that are missing are a line of their own;
-o raw cannot mark them and says it on standard error. -o json is one object for each piece.`,
		Example: `stream 0123456789abc
stream 0123456789abc --side server -o raw > answer.bin
stream 0123456789abc -o json`,
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&s.side, "side", "both", "`WHICH` bytes: client, server (those that it sent), both")
	s.declare(f, formats...)
	// They are accepted everywhere; nothing of them is shown here.
	_ = f.MarkHidden("utc")
	_ = f.MarkHidden("numeric")
	o.declare(e, f)
	c.RunE = func(_ *cobra.Command, args []string) error {
		id, err := streamID(args)
		if err != nil {
			return err
		}
		color, err := s.check(e, formats...)
		if err != nil {
			return err
		}
		if err := s.wants(e, f.Changed("side")); err != nil {
			return err
		}
		if err := e.allow(auth.Payload); err != nil {
			return err
		}
		done, err := o.open(e)
		if err != nil {
			return err
		}
		defer done()
		p := &streamPrinter{out: e.output(), look: &s, color: color}
		r, err := e.Source.Stream(e.ctx, &query.Request{Stream: id, Vantage: query.Both}, p)
		if errors.Is(err, query.ErrNoSuchFlow) {
			err = fmt.Errorf("stream %s: %w; IDs are in the column STREAM of: flows -o wide", id, query.ErrNoSuchFlow)
		}
		if err == nil && p.n == 0 {
			e.say("stream %s: nothing was said%s, as far as it is kept", id, p.by())
		}
		if p.gaps > 0 && s.output == formatRaw {
			e.say("stream %s: bytes are missing (gaps: %d), %d as far as is known; the first gap is behind byte %d of what was printed", id, p.gaps, p.lost, p.first)
		}
		return e.concluded(&asked{Request: query.Request{Follow: true}}, r, err, p, c.Name())
	}
	return c
}

func streamID(args []string) (flow.ID, error) {
	if len(args) != 1 {
		return 0, usagef("stream wants one ID, as in the column STREAM of: flows -o wide")
	}
	id, err := flow.ParseID(args[0])
	if err != nil {
		return 0, &usageError{err}
	}
	return id, nil
}

// streamLook is how a stream is shown, and which side of it.
type streamLook struct {
	look
	side string
}

// wants checks --side. Bytes without a mark are not mixed unless that was typed, and never
// reach a terminal.
func (s *streamLook) wants(e *Env, typed bool) error {
	switch s.side {
	case "client", "server", "both":
	default:
		return usagef("--side %q: want client, server or both", s.side)
	}
	switch {
	case s.output != formatRaw:
		return nil
	case e.Terminal:
		return usagef("bytes as they are are not for a terminal: redirect them (… stream ID --side server -o raw > file.bin), or leave out -o raw; with ssh -t, leave out the -t")
	case !typed:
		return usagef("-o raw does not tell the two sides apart: give --side client or --side server (or --side both)")
	}
	return nil
}

// streamPrinter prints the bytes of a flow. It implements query.StreamSink.
type streamPrinter struct {
	out   *output
	look  *streamLook
	color bool
	n     int // pieces
	gaps  int
	lost  int64
	first int64 // bytes that were printed before the first gap

	printed int64
	at      [2]int64 // where each side is in what it sent, with what is known to be missing
	side    flow.Dir // of the line that is being printed
	open    bool     // a line is
	held    []byte   // what cannot be printed before the next byte is known, or a row of hex
}

func (p *streamPrinter) count() int { return p.n }

func (p *streamPrinter) by() string {
	if p.look.side == "both" {
		return ""
	}
	return " by the " + p.look.side
}

// sideOf is the word for who sent what goes in a direction.
func sideOf(d flow.Dir) string {
	if d == 0 {
		return "client"
	}
	return "server"
}

func (p *streamPrinter) wanted(d flow.Dir) bool {
	return p.look.side == "both" || p.look.side == sideOf(d)
}

// Data implements query.StreamSink.
func (p *streamPrinter) Data(d flow.Dir, b []byte, at int64) error {
	if !p.wanted(d) || len(b) == 0 {
		return nil
	}
	p.n++
	switch p.look.output {
	case formatRaw:
		p.out.buf = append(p.out.buf, b...)
	case formatJSON:
		p.object(d, at)
		p.out.buf = append(p.out.buf, `,"data":"`...)
		p.out.buf = base64.StdEncoding.AppendEncode(p.out.buf, b)
		p.out.buf = append(p.out.buf, "\"}\n"...)
	case formatHex:
		p.turn(d)
		p.hex(b)
	default:
		p.turn(d)
		if err := p.text(b); err != nil {
			return err
		}
	}
	p.printed += int64(len(b))
	p.at[d] += int64(len(b))
	return p.out.spill(false)
}

// Gap implements query.StreamSink.
func (p *streamPrinter) Gap(d flow.Dir, n, at int64) error {
	if !p.wanted(d) {
		return nil
	}
	if p.gaps == 0 {
		p.first = p.printed
	}
	p.gaps++
	p.lost += n
	switch p.look.output {
	case formatRaw:
		return nil
	case formatJSON:
		p.object(d, at)
		p.out.buf = strconv.AppendInt(append(p.out.buf, `,"gap":`...), n, 10)
		p.out.buf = append(p.out.buf, "}\n"...)
	default:
		p.end()
		what := "bytes are missing here, it is not known how many"
		switch {
		case n == 1:
			what = "1 byte is missing here"
		case n > 1:
			what = strconv.FormatInt(n, 10) + " bytes are missing here"
		}
		p.side = d
		p.mark(yellow, "["+what+"]")
		p.out.buf = append(p.out.buf, '\n')
	}
	p.at[d] += n
	return p.out.spill(false)
}

// object begins a piece in JSON.
func (p *streamPrinter) object(d flow.Dir, at int64) {
	b := append(p.out.buf, `{"time":"`...)
	b = append(dissect.AppendTime(b, at), `","side":"`...)
	p.out.buf = append(append(b, sideOf(d)...), '"')
}

// turn ends the line of the other side.
func (p *streamPrinter) turn(d flow.Dir) {
	if p.side != d {
		p.end()
		p.side = d
	}
}

// mark begins a line of the side whose turn it is; with a text it is the whole line.
func (p *streamPrinter) mark(how style, text string) {
	arrow := "→"
	if p.side != 0 {
		arrow = "←"
	}
	if how == normal {
		how = sideStyle(p.side)
		text = arrow
	} else {
		text = arrow + " " + text
	}
	if p.color {
		text = "\x1b[" + string(how) + "m" + text + "\x1b[0m"
	}
	p.out.buf = append(p.out.buf, text...)
}

func sideStyle(d flow.Dir) style {
	if d == 0 {
		return cyan
	}
	return green
}

// text prints bytes as lines. What came of a character, or of a line's end, is held until the
// rest is there.
func (p *streamPrinter) text(b []byte) error {
	if len(p.held) > 0 {
		b = append(p.held, b...)
		p.held = nil
	}
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		if !whole {
			n := len(b) - unfinished(b)
			p.held = bytes.Clone(b[n:])
			p.say(b[:n])
			return nil
		}
		p.say(bytes.TrimSuffix(line, []byte{'\r'}))
		if !p.open {
			p.mark(normal, "")
		}
		p.out.buf = append(p.out.buf, '\n')
		p.open = false
		b = rest
		if err := p.out.spill(false); err != nil {
			return err
		}
	}
	return nil
}

// say prints a part of a line.
func (p *streamPrinter) say(b []byte) {
	if len(b) == 0 {
		return
	}
	if !p.open {
		p.mark(normal, "")
		p.out.buf = append(p.out.buf, ' ')
		p.open = true
	}
	p.out.buf = AppendPrintable(p.out.buf, string(b))
}

// unfinished is how many bytes at the end may be part of something longer.
func unfinished(b []byte) int {
	if b[len(b)-1] == '\r' {
		return 1
	}
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n:]; utf8.RuneStart(c[0]) {
			if !utf8.FullRune(c) {
				return n
			}
			return 0
		}
	}
	return 0
}

// row is how many bytes a line of hex has, as xxd's.
const row = 16

// hex prints whole rows and holds the rest.
func (p *streamPrinter) hex(b []byte) {
	from := p.at[p.side] - int64(len(p.held))
	for len(b) > 0 {
		n := min(row-len(p.held), len(b))
		p.held = append(p.held, b[:n]...)
		b = b[n:]
		if len(p.held) < row {
			return
		}
		p.dump(from)
		from += row
	}
}

// dump prints the row that is held: from is where it begins in what the side sent.
func (p *streamPrinter) dump(from int64) {
	p.mark(normal, "")
	b := fmt.Appendf(p.out.buf, " %08x: ", from)
	for i := range row {
		switch {
		case i >= len(p.held):
			b = append(b, "  "...)
		default:
			b = fmt.Appendf(b, "%02x", p.held[i])
		}
		if i%2 == 1 {
			b = append(b, ' ')
		}
	}
	b = append(b, ' ')
	for _, c := range p.held {
		if c < 0x20 || c >= 0x7f {
			c = '.'
		}
		b = append(b, c)
	}
	p.out.buf = append(b, '\n')
	p.held = p.held[:0]
}

// end prints what is held, and ends the line.
func (p *streamPrinter) end() {
	switch {
	case len(p.held) > 0 && p.look.output == formatHex:
		p.dump(p.at[p.side] - int64(len(p.held)))
	case len(p.held) > 0:
		p.say(p.held)
		p.held = nil
	}
	if p.open {
		p.out.buf = append(p.out.buf, '\n')
		p.open = false
	}
}

// finish implements printer.
func (p *streamPrinter) finish() error {
	p.end()
	return p.out.spill(true)
}
