package sshd

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/dissect/protocols"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/store"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/sshd/doctor"
	"github.com/sshark/sshark/sshd/fleet"
	"github.com/sshark/sshark/sshd/screen"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/tui"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/reach"
	"github.com/sshark/sshark/worker/server"
)

// secret is in all that the bank's pods say to each other, and in their names: nobody of the
// shop may ever see it.
const secret = "SECRET"

// resident is a pod of the tests' cluster, of two namespaces on two nodes.
type resident struct {
	namespace, name, addr string
	node                  int
}

var (
	web   = resident{"shop", "web-0", "10.0.1.1", 0}
	cart  = resident{"shop", "cart-0", "10.0.1.2", 1}
	till  = resident{"bank", "till-0", "10.0.2.1", 0} // the shop talks to it
	vault = resident{"bank", "vault-" + secret, "10.0.2.2", 1}
	pods  = []resident{web, cart, till, vault}
	// machine is a node's address, whose ports are of both namespaces.
	machine = resident{"", "", "10.9.9.9", 0}
)

// The ports that the bank's clients have, and the shop's.
const (
	bankPort = 45001
	ownPort  = 46001
)

// tenants is a console over two workers, each behind real gRPC.
type tenants struct {
	*console
	audit   *lockedBuffer
	stores  [2]*store.Store
	members []fleet.Member
	ifaces  map[string]*pcap.Interface
	clock   int64
	bank    bool   // the bank's own traffic is there
	stream  string // ID of a flow that the bank keeps to itself
	call    uint64 // and of a call in it
	door    *door  // what replays reach
}

// deaf is a worker that does not obey: it answers as if there were no limits.
type deaf struct{ query.Source }

func (d deaf) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	return d.Source.Calls(ctx, all(r), each)
}
func (d deaf) Flows(ctx context.Context, r *query.Request, each func(*dissect.Flow) error) (*query.Report, error) {
	return d.Source.Flows(ctx, all(r), each)
}
func (d deaf) Packets(ctx context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	return d.Source.Packets(ctx, all(r), out)
}
func (d deaf) Stream(ctx context.Context, r *query.Request, out query.StreamSink) (*query.Report, error) {
	return d.Source.Stream(ctx, all(r), out)
}

func all(r *query.Request) *query.Request {
	own := *r
	own.Access = query.Access{}
	return &own
}

// tenantPolicy is who may do what in the tests' cluster.
const tenantPolicy = `
rules:
- groups: [dev]
  verbs: [see, payload, export]
  namespaces: [shop]
- users: [kim]
  verbs: [snapshot]
  namespaces: [shop]
- users: [rae]
  verbs: [see, payload, replay]
  namespaces: [shop]
- users: [meg]
  verbs: [see]
  namespaces: [shop]
- users: [max]
  verbs: [see, export]
  namespaces: ["*"]
- users: [max]
  verbs: [payload]
  namespaces: [shop]
- groups: [ops]
  verbs: [see, payload, export, replay, snapshot]
  namespaces: ["*"]
`

// newTenants starts the cluster's console. obey says whether the workers do.
func newTenants(t *testing.T, bank, obey bool, change func(*Options)) *tenants {
	t.Helper()
	c, o := prepare(t)
	x := &tenants{console: c, audit: &lockedBuffer{}, ifaces: map[string]*pcap.Interface{}, clock: sourcetest.Start.UnixNano(), bank: bank}
	parsers := protocols.All()
	lang, err := filter.New(parsers)
	if err != nil {
		t.Fatal(err)
	}
	names := identity.New()
	for i, p := range pods {
		a := netip.MustParseAddr(p.addr)
		x.ifaces[p.addr] = &pcap.Interface{Name: "eth0", Link: pcap.LinkEthernet, Node: nodeOf(p.node), Vantage: uint32(i + 1),
			Pod: pcap.Pod{Namespace: p.namespace, Name: p.name, UID: "uid-" + p.name}, Addrs: []netip.Prefix{netip.PrefixFrom(a, 24)}}
		id := &dissect.Identity{Namespace: p.namespace, Pod: p.name, PodUID: "uid-" + p.name, Node: nodeOf(p.node)}
		if p == vault {
			id.Labels = map[string]string{"key": secret}
		}
		names.Learn(a, 0, identity.Owner{Identity: id})
	}
	x.door = newDoor(t, names)
	names.Learn(netip.MustParseAddr(machine.addr), 0, identity.Owner{Identity: &dissect.Identity{Node: "node-a"}, Ports: map[uint16]*dissect.Identity{
		9100: {Namespace: "bank", Pod: "agent-" + secret}, 9200: {Namespace: "shop", Pod: "agent-0"}}})
	owners := map[netip.Addr]identity.Owner{} // told to the stores, as workers keep names with the packets
	for a := range x.ifaces {
		owners[netip.MustParseAddr(a)] = names.Owner(netip.MustParseAddr(a), 0)
	}
	owners[netip.MustParseAddr(machine.addr)] = names.Owner(netip.MustParseAddr(machine.addr), 0)
	x.ifaces[""] = &pcap.Interface{Name: "ens3", Link: pcap.LinkEthernet, Node: "node-a", Vantage: 9}
	for n := range x.stores {
		s, err := store.Open(store.Options{Dir: t.TempDir(), Node: nodeOf(n), Wait: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		x.stores[n] = s
		for a, o := range owners {
			s.SetName(pcap.Name{Addr: a, Names: identity.Encode(o)})
		}
		state := query.Node{Name: nodeOf(n), State: "capturing"}
		for _, p := range pods {
			if p.node == n {
				state.Pods = append(state.Pods, query.PodState{Pod: x.ifaces[p.addr].Pod, Interfaces: []string{"eth0"}, Stats: pcap.Stats{Seen: 10, Stored: 10}})
			}
		}
		var source query.Source = query.NewStored(query.StoredOptions{Node: nodeOf(n), Store: s, Names: names, State: func() query.Node { return state },
			Protocols: parsers, Language: lang})
		if !obey {
			source = deaf{source}
		}
		x.members = append(x.members, fleet.Member{Name: nodeOf(n), Source: remote(t, source, parsers, x.door)})
	}
	x.traffic()
	o.Replay = x.replays(parsers)

	keys := ""
	for _, u := range []string{"ada dev", "kim dev", "meg", "max", "nil", "rae", "ops ops"} {
		name, group, grouped := strings.Cut(u, " ")
		options := fmt.Sprintf(`environment="SSHARK_USER=%s"`, name)
		if grouped {
			options += fmt.Sprintf(`,environment="SSHARK_GROUPS=%s"`, group)
		}
		keys += options + " " + authorized(writeKey(t, c.file(name))) + " comment\n"
	}
	c.write("authorized_keys", keys)
	c.write("policy.yaml", tenantPolicy)
	o.Limits.Burst = 1000 // the clock stands
	o.Policy, o.Audit, o.Language = c.file("policy.yaml"), x.audit, lang
	o.Source = fleet.New(func() []fleet.Member { return x.members }, 5*time.Second)
	o.Now = func() time.Time { return sourcetest.Start.Add(time.Minute) }
	o.TUI = func(ctx context.Context, s *TUISession) (tea.Model, error) {
		window := &tui.Window{}
		return tui.New(tui.Options{Backend: screen.New(s.Source, lang), Snapshots: screen.NewSnapshots(s.Snapshots, lang, o.Now), Context: ctx, User: s.User.Name, Host: "test", View: s.View, Filter: s.Filter, Window: window}), nil
	}
	o.Cluster = func() *doctor.Cluster {
		c := &doctor.Cluster{Nodes: []string{"node-a", "node-b"}, Workers: []doctor.Worker{{Node: "node-a", Ready: true}, {Node: "node-b", Ready: true}}}
		for _, p := range pods {
			c.Pods = append(c.Pods, doctor.Pod{Namespace: p.namespace, Name: p.name, UID: "uid-" + p.name, Node: nodeOf(p.node)})
		}
		c.Pods = append(c.Pods, doctor.Pod{Namespace: "bank", Name: "lost-" + secret, UID: "uid-lost", Node: "node-a"})
		return c
	}
	if change != nil {
		change(&o)
	}
	c.serve(o)
	return x
}

func nodeOf(n int) string { return "node-" + string(rune('a'+n)) }

// remote puts a source behind gRPC, as a worker's is.
func remote(t *testing.T, source query.Source, parsers []*dissect.Protocol, door reach.Reacher) query.Source {
	t.Helper()
	pipe := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	server.New(source).Reaching(door).Register(g)
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(pipe) }()
	conn, err := grpc.NewClient("passthrough:///worker", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		g.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return fleet.NewNode(conn, parsers)
}

// traffic is what is kept: the shop's own calls first and last, so that the window is the same
// with the bank's and without.
func (x *tenants) traffic() {
	for i := range 3 {
		x.exchange(web, cart, 80, ownPort+uint16(2*i), fmt.Sprintf("/own/%d", i), "200 OK", true)
		// One of the bank's connections has the port that the oracles divide by.
		x.exchange(till, vault, 80, bankPort+uint16(i), fmt.Sprintf("/%s/%d", secret, i), "503 "+secret, x.bank)
		x.exchange(web, till, 80, ownPort+50+uint16(i), fmt.Sprintf("/mixed/%d", i), "200 OK", true)
		x.exchange(resident{addr: "192.0.2.1"}, resident{addr: "192.0.2.2"}, 80, bankPort, "/nobody/"+secret, "200 "+secret, x.bank)
		x.exchange(web, machine, 9200, ownPort+100+uint16(i), "/agent", "200 OK", true)
		x.exchange(till, machine, 9100, bankPort+100+uint16(i), "/agent/"+secret, "200 "+secret, x.bank)
		x.odd(i)
	}
	x.exchange(web, cart, 80, ownPort+999, "/own/last", "404 Not Found", true)
}

// exchange is one request on a connection of its own, seen at both ends. Without put it only
// takes its time.
func (x *tenants) exchange(client, server resident, port, from uint16, path, status string, put bool) {
	request := "GET " + path + " HTTP/1.1\r\nHost: " + server.name + "\r\n\r\n"
	body := path + " says " + status
	response := fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	seq := [2]uint32{100, 200}
	say := func(side int, flags uint8, payload string) {
		x.frame(client, server, [2]uint16{from, port}, side, seq, flags, payload, put)
		seq[side] += uint32(len(payload))
		if flags&(flow.SYN|flow.FIN) != 0 {
			seq[side]++
		}
	}
	say(0, flow.SYN, "")
	say(1, flow.SYN|flow.ACK, "")
	say(0, flow.ACK, request)
	say(1, flow.ACK, response)
	say(0, flow.FIN|flow.ACK, "")
	say(1, flow.FIN|flow.ACK, "")
	x.clock += 1e9
}

// frame puts one packet into the stores of the nodes where it was seen.
func (x *tenants) frame(client, server resident, ports [2]uint16, side int, seq [2]uint32, flags uint8, payload string, put bool) {
	ends := [2]resident{client, server}
	b := make([]byte, 54, 54+len(payload))
	b[12], b[13] = 0x08, 0x00
	ip := b[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(ip[2:], uint16(40+len(payload)))
	copy(ip[12:], netip.MustParseAddr(ends[side].addr).AsSlice())
	copy(ip[16:], netip.MustParseAddr(ends[1-side].addr).AsSlice())
	tcp := ip[20:]
	binary.BigEndian.PutUint16(tcp, ports[side])
	binary.BigEndian.PutUint16(tcp[2:], ports[1-side])
	binary.BigEndian.PutUint32(tcp[4:], seq[side])
	binary.BigEndian.PutUint32(tcp[8:], seq[1-side])
	tcp[12], tcp[13] = 0x50, flags
	b = append(b, payload...)
	for _, at := range []resident{ends[side], ends[1-side]} {
		x.clock += 1000
		if put {
			x.put(at, b)
		}
	}
	x.clock += 1e6
}

// put keeps a packet as the interface of a pod saw it, or the node where it is no pod's.
func (x *tenants) put(at resident, b []byte) {
	x.t.Helper()
	iface := x.ifaces[at.addr]
	if iface == nil {
		iface = x.ifaces[""]
	}
	if err := x.stores[at.node].Append([]pcap.Packet{{Time: x.clock, Data: b, Length: uint32(len(b)), Iface: iface}}); err != nil {
		x.t.Fatal(err)
	}
}

// odd puts packets that have no flow, or only a part of one.
func (x *tenants) odd(n int) {
	arp := func(at resident, text string, put bool) {
		b := append(make([]byte, 42), text...)
		b[12], b[13] = 0x08, 0x06
		if x.clock += 1e6; put {
			x.put(at, b)
		}
	}
	arp(web, "own arp", true)
	arp(till, secret+" arp", x.bank)
	arp(machine, secret+" arp of the node", x.bank)
	fragment := make([]byte, 34, 80)
	fragment[12] = 0x08
	ip := fragment[14:]
	ip[0], ip[8], ip[9], ip[5], ip[7] = 0x45, 64, 6, byte(n), 100 // at an offset of 800 bytes
	copy(ip[12:], netip.MustParseAddr(till.addr).AsSlice())
	copy(ip[16:], netip.MustParseAddr(vault.addr).AsSlice())
	fragment = append(fragment, secret...)
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(secret)))
	if x.clock += 1e6; x.bank {
		x.put(till, fragment)
	}
}

// find asks as the operator what the bank says to itself.
func (x *tenants) find() {
	x.t.Helper()
	r := finish(x.t, x.ssh("ops", nil, "calls --all -o json --vantage both", `'path.startsWith("/`+secret+`")'`))
	var call struct {
		ID     uint64 `json:"id"`
		Stream string `json:"stream"`
	}
	line, _, _ := strings.Cut(r.out, "\n")
	if err := json.Unmarshal([]byte(line), &call); err != nil {
		x.t.Fatalf("the operator does not see the bank: %+v: %v", r, err)
	}
	x.stream, x.call = call.Stream, call.ID
}

// audited waits for a line of the audit log that holds all of what.
func (x *tenants) audited(what ...string) {
	x.t.Helper()
	until(x.t, fmt.Sprintf("audit has %q", what), func() bool {
		for line := range strings.Lines(x.audit.String()) {
			if !slices.ContainsFunc(what, func(w string) bool { return !strings.Contains(line, w) }) {
				return true
			}
		}
		return false
	})
}
