package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// dialer opens SSH connections to a running sshark.
type dialer struct {
	addr   string
	config *ssh.ClientConfig
}

var portOption = regexp.MustCompile(` -p (\d+) `)

func newDialer(rec *recorder) (*dialer, error) {
	port := portOption.FindStringSubmatch(rec.up)
	if port == nil {
		return nil, fmt.Errorf("no port in %q", rec.up)
	}
	text, err := os.ReadFile(filepath.Join(rec.dir, "client_ed25519"))
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, err
	}
	hosts, err := knownhosts.New(filepath.Join(rec.dir, "known_hosts"))
	if err != nil {
		return nil, err
	}
	return &dialer{net.JoinHostPort("127.0.0.1", port[1]), &ssh.ClientConfig{
		User: "operator", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: hosts,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, Timeout: 20 * time.Second,
	}}, nil
}

// line is the way to an operator: it counts, and can be made thin or closed off.
type line struct {
	net.Conn
	read    atomic.Int64 // bytes
	perSec  atomic.Int64 // bytes a second at most, 0: as they come
	stalled chan struct{}
}

// Read implements net.Conn.
func (l *line) Read(p []byte) (int, error) {
	select {
	case <-l.stalled: // never again
		<-make(chan struct{})
	default:
	}
	most := l.perSec.Load()
	if most > 0 {
		p = p[:min(len(p), int(max(1, most/10)))]
	}
	n, err := l.Conn.Read(p)
	l.read.Add(int64(n))
	if most > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(most))
	}
	return n, err
}

// operator is somebody at a screen.
type operator struct {
	line    *line
	client  *ssh.Client
	session *ssh.Session
	keys    io.Writer

	mu     sync.Mutex
	screen *terminal
	waits  func(*terminal) bool // guarded by mu; nil: for nothing
	seen   chan time.Time
	ended  chan struct{} // closed when the screen has ended
}

// open signs in and waits for the first frame.
func (d *dialer) open(ctx context.Context) (_ *operator, err error) {
	tcp, err := new(net.Dialer).DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return nil, err
	}
	// As little as the kernel allows, so that who does not read is noticed.
	if err := tcp.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	o := &operator{line: &line{Conn: tcp, stalled: make(chan struct{})}, screen: newTerminal(screenWidth, screenHeight),
		seen: make(chan time.Time, 1), ended: make(chan struct{})}
	conn, channels, requests, err := ssh.NewClientConn(o.line, d.addr, d.config)
	if err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	o.client = ssh.NewClient(conn, channels, requests)
	defer func() {
		if err != nil {
			err = errors.Join(err, o.client.Close())
		}
	}()
	if o.session, err = o.client.NewSession(); err != nil {
		return nil, err
	}
	keys, err1 := o.session.StdinPipe()
	out, err2 := o.session.StdoutPipe()
	if err := errors.Join(err1, err2, o.session.RequestPty("xterm-256color", screenHeight, screenWidth, nil)); err != nil {
		return nil, err
	}
	o.keys = keys
	o.waits = func(t *terminal) bool { return t.find(selectedMark) >= 0 }
	if err := o.session.Shell(); err != nil {
		return nil, err
	}
	go o.look(out)
	select {
	case <-o.seen:
		return o, nil
	case <-o.ended:
		return nil, fmt.Errorf("the screen ended:\n%s", o.screen)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(20 * time.Second):
		o.mu.Lock()
		defer o.mu.Unlock()
		return nil, fmt.Errorf("no calls on the screen:\n%s", o.screen)
	}
}

// look takes what comes until the screen ends.
func (o *operator) look(out io.Reader) {
	defer close(o.ended)
	buf := make([]byte, 32<<10)
	for {
		n, err := out.Read(buf)
		now := time.Now()
		o.mu.Lock()
		o.screen.Write(buf[:n])
		if o.waits != nil && o.waits(o.screen) {
			o.waits = nil
			o.seen <- now
		}
		o.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// errUnseen: no frame has shown what a key did.
var errUnseen = errors.New("not seen")

// press types a key and returns when the frame that shows what it did is there, at the earliest.
func (o *operator) press(ctx context.Context, k key) (time.Duration, error) {
	o.mu.Lock()
	o.waits = k.shows(o.screen)
	o.mu.Unlock()
	start := time.Now()
	if _, err := io.WriteString(o.keys, k.text); err != nil {
		return 0, fmt.Errorf("type: %w", err)
	}
	late := time.NewTimer(unseen)
	defer late.Stop()
	select {
	case at := <-o.seen:
		return at.Sub(start), nil
	case <-o.ended:
		return 0, errors.New("the screen ended")
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-late.C:
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waits = nil
	select {
	case at := <-o.seen: // just now
		return at.Sub(start), nil
	default:
		return 0, errUnseen
	}
}

// echo is how long a request takes that the hub answers right away.
func (o *operator) echo() (time.Duration, error) {
	start := time.Now()
	_, _, err := o.client.SendRequest("keepalive@openssh.com", true, nil)
	return time.Since(start), err
}

// What is on the screen: before the selected row, above the details of a call, in the help, and
// in the line of keys while a filter is typed.
const (
	selectedMark = "▌"
	detailsMark  = "── "
	helpMark     = "closes it"
	filterMark   = "enter apply"
	commandMark  = " : "
	edgesMark    = "CALLS/S"
)

// key is what is typed, and how one sees what it did.
type key struct {
	text  string
	shows func(before *terminal) func(*terminal) bool
}

func appears(text string) func(*terminal) func(*terminal) bool {
	return func(*terminal) func(*terminal) bool {
		return func(t *terminal) bool { return t.find(text) >= 0 }
	}
}

func vanishes(text string) func(*terminal) func(*terminal) bool {
	return func(*terminal) func(*terminal) bool {
		return func(t *terminal) bool { return t.find(text) < 0 }
	}
}

// moves: another row is selected.
func moves(before *terminal) func(*terminal) bool {
	was := before.find(selectedMark)
	return func(t *terminal) bool {
		at := t.find(selectedMark)
		return at >= 0 && at != was
	}
}

// round is what operators type, again and again: look around, look at a call, begin a filter
// and leave it, read the help.
var round = []key{
	{"k", moves}, {"k", moves}, {"k", moves}, {"k", moves}, {"j", moves}, {"j", moves},
	{"\r", appears(detailsMark)}, {"\x1b", vanishes(detailsMark)},
	{"/", appears(filterMark)}, {"d", appears("/ d")}, {"s", appears("/ ds")}, {"t", appears("/ dst")}, {"\x1b", vanishes(filterMark)},
	{"k", moves}, {"j", moves},
	{"?", appears(helpMark)}, {"\x1b", vanishes(helpMark)},
}

// beat is what operators do at one view: the keys that lead there, and those that they type then,
// again and again.
type beat struct {
	view  string
	enter []key
	round []key
}

// anywhere is what every view answers to: a filter that is left, the help.
var anywhere = []key{{"/", appears(filterMark)}, {"d", appears(" d")}, {"\x1b", vanishes(filterMark)}, {"?", appears(helpMark)}, {"\x1b", vanishes(helpMark)}}

// beats are the views that are walked through. That of the calls is the first.
var beats = []beat{
	{"", nil, round},
	{"map", []key{{":", appears(commandMark)}, {"map\r", appears("› map")}},
		slices.Concat([]key{{"\t", boxes}, {"\t", boxes}, {"d", vanishes(edgesMark)}, {"d", appears(edgesMark)}}, anywhere)},
	{"flows", []key{{":", appears(commandMark)}, {"flows\r", appears("› flows")}},
		slices.Concat([]key{{"k", moves}, {"k", moves}, {"j", moves}, {"k", moves}}, anywhere)},
	{"stream", []key{{":", appears(commandMark)}, {"flows\r", appears("› flows")}, {"k", moves}, {"F", appears("› stream")}},
		slices.Concat([]key{{"y", appears("hex · ")}, {"y", appears("JSON · ")}, {"y", appears("text · ")}, {"f", appears("▸ live")}, {"f", vanishes("▸ live")}}, anywhere)},
	{"map, flows, stream", nil, []key{
		{":", appears(commandMark)}, {"map\r", appears("› map")}, {"\t", boxes},
		{":", appears(commandMark)}, {"flows\r", appears("› flows")}, {"k", moves}, {"F", appears("› stream")}, {"y", appears("hex · ")},
		{"\x1b", vanishes("› stream")}, {"\x1b", vanishes("› flows")},
	}},
}

// boxes: what is selected of the map is another thing, or something is.
func boxes(before *terminal) func(*terminal) bool {
	was := before.String()
	return func(t *terminal) bool { return t.String() != was }
}

// work presses keys until ctx ends.
func (o *operator) work(ctx context.Context, b *beat, r *rand.Rand) (took, echoes []time.Duration, missed int, err error) {
	pause := func() bool { return wait(ctx, leastPause+rand.N(mostPause-leastPause)) == nil }
	for i := -len(b.enter); ; i++ {
		if !pause() {
			return took, echoes, missed, nil
		}
		var next key
		if next = b.round[max(0, i)%len(b.round)]; i < 0 {
			next = b.enter[len(b.enter)+i]
		}
		d, err := o.press(ctx, next)
		switch {
		case ctx.Err() != nil:
			return took, echoes, missed, nil
		case errors.Is(err, errUnseen):
			missed++
			continue
		case err != nil:
			return took, echoes, missed, err
		}
		took = append(took, d)
		if r.IntN(3) == 0 {
			if d, err = o.echo(); err != nil {
				return took, echoes, missed, err
			}
			echoes = append(echoes, d)
		}
	}
}

// spoil makes the terminal large and small, which draws all of it anew, so that what is sent to
// somebody who does not read stays where it is sent from.
func (o *operator) spoil(ctx context.Context) {
	for i := 0; wait(ctx, 50*time.Millisecond) == nil; i++ {
		if o.session.WindowChange(screenHeight, screenWidth-i%2) != nil {
			return // it was thrown out
		}
	}
}
