package sshd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// channel serves one session channel. The library's own context is that of the connection,
// which other sessions share; here each channel gets one that ends with it. Requests that
// would harm (agents) or that the library handles with a race (window-change, signal) are
// answered here and do not reach it.
func (s *Server) channel(srv *ssh.Server, conn *gossh.ServerConn, nc gossh.NewChannel, ctx ssh.Context) {
	ctx.Lock() // each channel is handled in a goroutine of its own
	count, _ := ctx.Value(countKey{}).(*tally)
	if count == nil {
		count = newTally(s.o.Limits.SessionsOfConn)
		ctx.SetValue(countKey{}, count)
	}
	ctx.Unlock()
	if err := count.enter(); err != nil {
		_ = nc.Reject(gossh.ResourceShortage, err.Error())
		return
	}
	defer count.leave()
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	unhook := context.AfterFunc(s.stopping, func() { cancel(context.Cause(s.stopping)) })
	defer unhook()
	c := &channelContext{Context: ctx, ctx: inner, values: map[any]any{}, sizes: make(chan ssh.Window, 1), cancel: cancel}
	ssh.DefaultSessionHandler(srv, conn, &newChannel{nc, c}, c)
}

type countKey struct{}

// channelContext is an ssh.Context whose end and values are of one channel.
type channelContext struct {
	ssh.Context
	ctx    context.Context
	cancel context.CancelCauseFunc
	sizes  chan ssh.Window // the newest size of the terminal, if nobody has taken it yet

	mu     sync.Mutex
	values map[any]any
}

func (c *channelContext) Done() <-chan struct{} { return c.ctx.Done() }
func (c *channelContext) Err() error            { return c.ctx.Err() }

func (c *channelContext) Value(k any) any {
	if k == (channelKey{}) {
		return c
	}
	c.mu.Lock()
	v, ok := c.values[k]
	c.mu.Unlock()
	if ok {
		return v
	}
	return c.ctx.Value(k)
}

func (c *channelContext) SetValue(k, v any) {
	c.mu.Lock()
	c.values[k] = v
	c.mu.Unlock()
}

// resized keeps the newest size only.
func (c *channelContext) resized(w ssh.Window) {
	select {
	case <-c.sizes:
	default:
	}
	select {
	case c.sizes <- w:
	default:
	}
}

type channelKey struct{}

// Why a session ends before its command does.
var (
	errHangup = errors.New("the client went away")
	errSignal = errors.New("interrupted")
	errIdle   = errors.New("no key was pressed for too long")
)

// patience is how long a session may take to end once it was told to, before what it writes
// to is closed: first its channel, then the whole connection.
const patience = 2 * time.Second

// unblock ends a session whose client does not read any more: a write that waits for it ends
// with its channel only. stop is called when the session has ended by itself.
func unblock(ctx context.Context, is *session) (stop func()) {
	ended := make(chan struct{})
	go func() {
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		for _, end := range []func(){
			func() { _ = is.Session.Close() },
			func() {
				if conn, ok := is.Context().Value(ssh.ContextKeyConn).(*gossh.ServerConn); ok {
					_ = conn.Close()
				}
			},
		} {
			timer := time.NewTimer(patience)
			select {
			case <-ended:
				timer.Stop()
				return
			case <-timer.C:
				end()
			}
		}
	}()
	return func() { close(ended) }
}

// eow is what OpenSSH sends when whoever read its output is gone (OpenSSH's PROTOCOL, 2.1).
const eow = "eow@openssh.com"

// newChannel sees the requests of a channel before the library.
type newChannel struct {
	gossh.NewChannel
	c *channelContext
}

// Accept implements gossh.NewChannel.
func (n *newChannel) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	ch, requests, err := n.NewChannel.Accept()
	if err != nil {
		n.c.cancel(err)
		return nil, nil, err
	}
	out := make(chan *gossh.Request, 32)
	go func() {
		defer close(out)
		env := 0
		for r := range requests {
			pass := false
			switch r.Type {
			case "pty-req", "shell", "exec", "subsystem":
				pass = true
			case "env":
				env++
				pass = env <= maxEnv && wanted(r.Payload)
			case eow:
				n.c.cancel(errHangup)
			case "window-change":
				if len(r.Payload) >= 8 {
					n.c.resized(ssh.Window{Width: int(binary.BigEndian.Uint32(r.Payload) & 0xffff), Height: int(binary.BigEndian.Uint32(r.Payload[4:]) & 0xffff)})
				}
			case "signal":
				var s struct{ Name string }
				if gossh.Unmarshal(r.Payload, &s) == nil {
					switch ssh.Signal(s.Name) {
					case ssh.SIGINT, ssh.SIGTERM, ssh.SIGHUP, ssh.SIGQUIT:
						n.c.cancel(fmt.Errorf("%w: signal %s", errSignal, s.Name))
					}
				}
			}
			if pass {
				select {
				case out <- r:
					continue
				default: // the library does not keep up with what no client sends
				}
			}
			_ = r.Reply(false, nil)
		}
		// No more requests can come: the client closed the channel, or is gone.
		n.c.cancel(errHangup)
	}()
	return ch, out, nil
}

// Bounds of what a client may set.
const (
	maxEnv      = 32
	maxEnvValue = 256
)

// wanted says whether a variable is one that screens look at.
func wanted(payload []byte) bool {
	var kv struct{ Name, Value string }
	if gossh.Unmarshal(payload, &kv) != nil || len(kv.Value) > maxEnvValue || strings.ContainsAny(kv.Value, "\x00\n\x1b") {
		return false
	}
	switch kv.Name {
	case "TERM", "COLORTERM", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "LANG":
		return true
	}
	return strings.HasPrefix(kv.Name, "LC_")
}
