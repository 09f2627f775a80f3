package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/worker/api"
	"github.com/sshark/sshark/worker/api/link"
	"github.com/sshark/sshark/worker/query"
)

// Worker is a worker as the cluster lists it, one for each node.
type Worker struct {
	Node    string
	Addr    string // host:port, "" while it has none
	Problem string // what is wrong with it, for a person; "" if nothing is known to be
}

// MembersOptions say how workers are reached.
type MembersOptions struct {
	// TLS is the folder of the hub's certificate, key and CA. "" is no TLS at all, which is for
	// tests.
	TLS       string
	Protocols []*dissect.Protocol
	// Timeout is how long a worker may be silent while it is listened to; 0: 5s.
	Timeout   time.Duration
	Directory Directory // whom workers are told of, nil: nobody
	Log       *slog.Logger
	// Dial is added to how workers are reached; it is for tests.
	Dial []grpc.DialOption
}

// Members are the workers of a cluster that come and go. There is one connection to each that
// is listed with an address, and one goroutine that keeps it told who is who. A worker that
// gets another address gets another connection; the one before is closed when the questions
// that go over it have ended. Methods are safe for concurrent use.
type Members struct {
	o    MembersOptions
	dial []grpc.DialOption

	mu      sync.Mutex
	members map[string]*member
	list    []Member      // what Fleet sees; replaced, never changed
	changed chan struct{} // closed when list is another
	set     chan struct{} // closed at the next Set
	closed  bool
	ctx     context.Context // of all that goes on over connections
	stop    context.CancelFunc
	tasks   sync.WaitGroup
}

// member is a listed worker.
type member struct {
	Worker
	source query.Source
	conn   *connection // nil: it has no address
}

// NewMembers knows no worker yet. Its errors are those of link.ClientTLS.
func NewMembers(o MembersOptions) (*Members, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Timeout == 0 {
		o.Timeout = silence
	}
	safe := insecure.NewCredentials()
	if o.TLS != "" {
		config, err := link.ClientTLS(o.TLS, o.Log)
		if err != nil {
			return nil, err
		}
		safe = credentials.NewTLS(config)
	}
	m := &Members{o: o, members: map[string]*member{}, changed: make(chan struct{}), set: make(chan struct{})}
	m.dial = slices.Concat(link.DialOptions(), []grpc.DialOption{grpc.WithTransportCredentials(safe)}, o.Dial)
	m.ctx, m.stop = context.WithCancel(context.Background())
	return m, nil
}

// Fleet asks the workers that are listed when somebody asks, and who follows asks those that
// come.
func (m *Members) Fleet() *Fleet {
	return &Fleet{members: m.now, timeout: m.o.Timeout, changed: m.change}
}

func (m *Members) now() []Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list
}

func (m *Members) pulse() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.set
}

func (m *Members) change() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// Set says which workers there are from now on, all of them. Call it also when the directory's
// console ports are others. Of several with the same node the first that has an address counts.
func (m *Members) Set(workers []Worker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	close(m.set)
	m.set = make(chan struct{})
	wanted := map[string]Worker{}
	for _, w := range workers {
		if old, ok := wanted[w.Node]; !ok || old.Addr == "" {
			wanted[w.Node] = w
		}
	}
	changed := false
	for node, old := range m.members {
		switch w, ok := wanted[node]; {
		case ok && w == old.Worker:
		case ok && w.Addr == old.Addr && old.conn != nil:
			old.Worker = w
			old.conn.problem.Store(&w.Problem)
		default:
			if old.conn != nil {
				old.conn.retire()
			}
			delete(m.members, node)
			changed = true
		}
	}
	for node, w := range wanted {
		if m.members[node] == nil {
			m.members[node] = m.enlist(w)
			changed = true
		}
	}
	if !changed {
		return
	}
	list := make([]Member, 0, len(m.members))
	for node, x := range m.members {
		list = append(list, Member{node, x.source})
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	m.list = list
	close(m.changed)
	m.changed = make(chan struct{})
}

// enlist reaches out for a worker.
func (m *Members) enlist(w Worker) *member {
	x := &member{Worker: w}
	if w.Addr == "" {
		why := w.Problem
		if why == "" {
			why = "its worker has no address"
		}
		x.source = &absentee{why}
		return x
	}
	conn, err := grpc.NewClient("passthrough:///"+w.Addr, m.dial...)
	if err != nil {
		x.source = &absentee{fmt.Sprintf("its worker cannot be reached at %s: %v", w.Addr, err)}
		return x
	}
	conn.Connect()
	node := NewNode(conn, m.o.Protocols)
	node.silence = m.o.Timeout
	x.conn = &connection{Node: node, conn: conn}
	x.conn.problem.Store(&w.Problem)
	node.problem = func() string { return *x.conn.problem.Load() }
	x.source = x.conn
	ctx, stop := context.WithCancel(m.ctx)
	x.conn.stop = stop
	if m.o.Directory != nil {
		told := &telling{node: w.Node, directory: m.o.Directory, changed: m.pulse, client: api.NewWorkerClient(conn), log: m.o.Log}
		m.tasks.Go(func() { told.run(ctx) })
	}
	return x
}

// Close ends all that goes on, and closes all connections.
func (m *Members) Close() {
	m.mu.Lock()
	m.closed = true
	for _, x := range m.members {
		if x.conn != nil {
			x.conn.close()
		}
	}
	clear(m.members)
	m.list = nil
	m.mu.Unlock()
	m.stop()
	m.tasks.Wait()
}

// connection is a Node with the connection that it asks over.
type connection struct {
	*Node
	conn    *grpc.ClientConn
	stop    context.CancelFunc // of what goes on besides questions
	problem atomic.Pointer[string]

	mu      sync.Mutex
	asked   int // questions under way
	retired bool
}

// begin counts a question until the end that it returns is called.
func (c *connection) begin() (end func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired {
		return nil, unreachable("its worker was replaced at this moment")
	}
	c.asked++
	return c.end, nil
}

func (c *connection) end() {
	c.mu.Lock()
	c.asked--
	last := c.retired && c.asked == 0
	c.mu.Unlock()
	if last {
		c.close()
	}
}

// retire closes the connection once no question goes over it.
func (c *connection) retire() {
	c.stop()
	c.mu.Lock()
	c.retired = true
	unused := c.asked == 0
	c.mu.Unlock()
	if unused {
		c.close()
	}
}

func (c *connection) close() {
	c.stop()
	_ = c.conn.Close() // the only error is that it is closed
}

// Calls implements query.Source.
func (c *connection) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	end, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	return c.Node.Calls(ctx, r, each)
}

// Flows implements query.Source.
func (c *connection) Flows(ctx context.Context, r *query.Request, each func(*dissect.Flow) error) (*query.Report, error) {
	end, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	return c.Node.Flows(ctx, r, each)
}

// Packets implements query.Source.
func (c *connection) Packets(ctx context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	end, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	return c.Node.Packets(ctx, r, out)
}

// Stream implements query.Source.
func (c *connection) Stream(ctx context.Context, r *query.Request, out query.StreamSink) (*query.Report, error) {
	end, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	return c.Node.Stream(ctx, r, out)
}

// Nodes implements query.Source.
func (c *connection) Nodes(ctx context.Context) ([]query.Node, *query.Report, error) {
	end, err := c.begin()
	if err != nil {
		return nil, nil, err
	}
	defer end()
	return c.Node.Nodes(ctx)
}

// absentee is a node whose worker has no address.
type absentee struct{ why string }

func (a *absentee) err() error { return unreachable("%s", a.why) }

// Calls implements query.Source.
func (a *absentee) Calls(context.Context, *query.Request, func(*dissect.Call) error) (*query.Report, error) {
	return nil, a.err()
}

// Flows implements query.Source.
func (a *absentee) Flows(context.Context, *query.Request, func(*dissect.Flow) error) (*query.Report, error) {
	return nil, a.err()
}

// Packets implements query.Source.
func (a *absentee) Packets(context.Context, *query.Request, query.PacketSink) (*query.Report, error) {
	return nil, a.err()
}

// Stream implements query.Source.
func (a *absentee) Stream(context.Context, *query.Request, query.StreamSink) (*query.Report, error) {
	return nil, a.err()
}

// Nodes implements query.Source.
func (a *absentee) Nodes(context.Context) ([]query.Node, *query.Report, error) {
	return nil, nil, a.err()
}
