package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/ssh"
	"github.com/charmbracelet/colorprofile"

	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/command"
	"github.com/sshark/sshark/sshd/doctor"
	"github.com/sshark/sshark/sshd/snapshots"
)

// screen runs the TUI where there is a terminal and no command.
func (s *Server) screen(next ssh.Handler) ssh.Handler {
	return func(sess ssh.Session) {
		if _, _, ok := sess.Pty(); !ok || s.o.TUI == nil {
			next(sess)
			return
		}
		is := of(sess)
		if _, err := is.allowed(auth.See); err != nil {
			is.refused(err)
			return
		}
		if err := s.runScreen(is.Context(), is, command.Screen{}); err != nil {
			tell(sess, "%v", err)
			_ = sess.Exit(command.ExitFailed)
			return
		}
		_ = sess.Exit(command.ExitOK)
	}
}

// errScreen is what users are told; the log has more.
var errScreen = errors.New("the screen failed; it was logged")

// The size where a client says none.
const (
	defaultWidth  = 80
	defaultHeight = 24
	maxSide       = 1000 // columns or rows: a larger terminal is a client that lies
)

// runScreen runs one TUI until its user or its channel ends it. A panic in the model or in one
// of its commands ends it too; the terminal is restored in any case.
func (s *Server) runScreen(ctx context.Context, is *session, o command.Screen) (err error) {
	is.kind = "screen"
	source := is.source
	examiner := &doctor.Asker{Source: source, Cluster: s.cluster(is), Version: s.o.Version, Now: time.Now}
	if o.Snapshot != "" {
		if is.desk == nil {
			return snapshots.ErrNone
		}
		var closer io.Closer
		if source, closer, err = is.desk.Source(ctx, o.Snapshot); err != nil {
			return err
		}
		defer closer.Close() // it was only read
		examiner = nil
	}
	pty, _, _ := is.Pty()
	environ := append(is.Environ(), "TERM="+pty.Term)
	w, h := side(pty.Window.Width, defaultWidth), side(pty.Window.Height, defaultHeight)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer unblock(ctx, is)()
	defer func() {
		if r := recover(); r != nil {
			is.log.Error("panic in the screen", "panic", fmt.Sprint(r))
			err = errScreen
		}
	}()
	model, err := s.o.TUI(ctx, &TUISession{
		User: is.user, Source: source, Remote: is.RemoteAddr().String(), View: o.View, Stream: o.Stream, Filter: o.Filter, Snapshot: o.Snapshot, Snapshots: is.desk, Replay: s.replay(is), Doctor: examiner,
		Term: pty.Term, Environ: environ, Width: w, Height: h,
		Allow: func(v auth.Verb) error {
			_, err := is.scope(v)
			return err
		},
	})
	if err != nil {
		is.log.Error("screen", "error", err.Error())
		return errScreen
	}
	idle := s.o.Limits.Idle
	if d := time.Duration(is.limit.Idle); d > 0 {
		idle = min(idle, d)
	}
	keys := newKeyReader(is, idle, func() { cancel(errIdle) })
	defer keys.stop()
	p := tea.NewProgram(model,
		tea.WithContext(ctx),
		tea.WithInput(keys), tea.WithOutput(is),
		tea.WithEnvironment(environ),
		tea.WithColorProfile(colorprofile.Env(environ)),
		tea.WithWindowSize(w, h),
		tea.WithoutSignalHandler(), // signals are the server's
		// There is no shell to go back to.
		tea.WithFilter(func(_ tea.Model, m tea.Msg) tea.Msg {
			if _, ok := m.(tea.SuspendMsg); ok {
				return tea.ResumeMsg{}
			}
			return m
		}),
	)
	go func() {
		sizes := is.channel().sizes
		for {
			select {
			case <-ctx.Done():
				return
			case w := <-sizes:
				p.Send(tea.WindowSizeMsg{Width: side(w.Width, defaultWidth), Height: side(w.Height, defaultHeight)})
			}
		}
	}()
	_, err = p.Run()
	p.Kill() // nothing if it has ended well; otherwise the terminal is given back
	return s.screenEnd(ctx, is, err)
}

// screenEnd turns the end of a program into what the user is told.
func (s *Server) screenEnd(ctx context.Context, is *session, err error) error {
	why, told := cancelled(ctx)
	switch {
	case errors.Is(err, tea.ErrProgramPanic):
		is.log.Error("panic in the screen", "error", err.Error())
		return errScreen
	case told:
		return errors.New(why)
	case err == nil, why != "", errors.Is(err, tea.ErrInterrupted):
		return nil
	case errors.Is(err, io.EOF), is.Context().Err() != nil:
		return nil // the terminal is gone
	}
	is.log.Error("screen", "error", err.Error())
	return errScreen
}

func side(n, unknown int) int {
	switch {
	case n <= 0:
		return unknown
	case n > maxSide:
		return maxSide
	}
	return n
}

// escapeWait is how long what follows an escape character is waited for: a terminal sends the
// sequence of a key at once, and a packet of SSH keeps it together.
const escapeWait = 10 * time.Millisecond

// escapeKey is the key itself as nobody can take it for a sequence's beginning (the Kitty
// keyboard protocol, CSI 27 u). Without it, bubbletea waits 50 ms to see.
const escapeKey = "\x1b[27u"

// keyReader hands on what the user types, and notices when nothing is typed for long. Output
// is no sign of life: a screen that is left alone draws for ever. It reads ahead until its
// input ends.
type keyReader struct {
	idle   time.Duration
	typed  chan []byte // closed when the input has ended, for the reason err
	err    error
	rest   []byte // typed, not handed on yet
	ended  chan struct{}
	mu     sync.Mutex
	timer  *time.Timer
	closed sync.Once
}

func newKeyReader(in io.Reader, idle time.Duration, expired func()) *keyReader {
	k := &keyReader{idle: idle, typed: make(chan []byte), ended: make(chan struct{}), timer: time.AfterFunc(idle, expired)}
	go k.fill(in)
	return k
}

// fill reads ahead.
func (k *keyReader) fill(in io.Reader) {
	defer close(k.typed)
	for {
		p := make([]byte, 1024)
		n, err := in.Read(p)
		if n > 0 {
			select {
			case k.typed <- p[:n]:
			case <-k.ended:
				return
			}
		}
		if err != nil {
			k.err = err
			return
		}
	}
}

// Read implements io.Reader.
func (k *keyReader) Read(p []byte) (int, error) {
	if len(k.rest) == 0 {
		typed, ok := <-k.typed
		if !ok {
			return 0, k.err
		}
		k.mu.Lock()
		k.timer.Reset(k.idle)
		k.mu.Unlock()
		if k.rest = typed; string(typed) == "\x1b" {
			k.rest = k.afterEscape()
		}
	}
	n := copy(p, k.rest)
	k.rest = k.rest[n:]
	return n, nil
}

// afterEscape is what was typed if it began with an escape character alone.
func (k *keyReader) afterEscape() []byte {
	late := time.NewTimer(escapeWait)
	defer late.Stop()
	select {
	case more, ok := <-k.typed:
		if ok {
			return append([]byte{0x1b}, more...)
		}
	case <-late.C:
	}
	return []byte(escapeKey)
}

func (k *keyReader) stop() {
	k.mu.Lock()
	k.timer.Stop()
	k.mu.Unlock()
	k.closed.Do(func() { close(k.ended) })
}
