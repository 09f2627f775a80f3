package sshd

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/sshd/fleet"
	"github.com/sshark/sshark/worker/reach"
	"github.com/sshark/sshark/worker/reach/reachtest"
)

// door is what the workers of the tests reach: one server stands for all addresses, and says what
// the pods say. It judges as a worker's own dialer does, and notes who came through.
type door struct {
	own    *reach.Dialer // judges
	dialer *reach.Dialer // dials the server
	server netip.AddrPort

	mu     sync.Mutex
	passed []string
}

// names are those that the door resolves.
var doorNames = map[string]string{"cart.shop": cart.addr, "safe.bank": vault.addr}

func newDoor(t *testing.T, names *identity.Table) *door {
	t.Helper()
	server := reachtest.Serve(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		body := r.URL.Path + " says 200 OK"
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		_, _ = io.Copy(io.Discard, c)
	})
	return &door{own: reach.NewDialer(reach.Options{Owner: func(a netip.AddrPort) *dissect.Identity { return names.Resolve(a, 1) }}),
		dialer: reach.NewDialer(reach.Options{Loopback: true}), server: server}
}

// Resolve implements reach.Reacher.
func (d *door) Resolve(_ context.Context, host string) ([]netip.Addr, error) {
	if a, ok := doorNames[host]; ok {
		return []netip.Addr{netip.MustParseAddr(a)}, nil
	}
	return nil, fmt.Errorf("%w cannot be named", reach.ErrTarget)
}

// Reach implements reach.Reacher.
func (d *door) Reach(ctx context.Context, r *reach.Request) (reach.Conn, error) {
	if err := d.own.Check(r); err != nil {
		return nil, err
	}
	if r.Dry {
		return d.own.Reach(ctx, r)
	}
	d.mu.Lock()
	d.passed = append(d.passed, r.Addr.String()+" "+strings.Join(r.Namespaces, ","))
	d.mu.Unlock()
	to := *r
	to.Addr = d.server
	return d.dialer.Reach(ctx, &to)
}

// replays are the options of a console of the tests.
func (x *tenants) replays(parsers []*dissect.Protocol) *ReplayOptions {
	return &ReplayOptions{Protocols: parsers, From: fleet.New(func() []fleet.Member { return x.members }, 5*time.Second).From,
		Who: func(a netip.AddrPort) *dissect.Identity {
			o := x.door
			return o.who(a)
		},
		Own: func(a netip.AddrPort) bool { return a == netip.MustParseAddrPort("10.0.1.9:2222") }}
}

// who is what the cluster knows: pods, and ports of the node.
func (d *door) who(a netip.AddrPort) *dissect.Identity {
	for _, p := range pods {
		if p.addr == a.Addr().String() {
			return &dissect.Identity{Namespace: p.namespace, Pod: p.name, PodUID: "uid-" + p.name}
		}
	}
	switch a.String() {
	case machine.addr + ":9100":
		return &dissect.Identity{Namespace: "bank", Pod: "agent-" + secret}
	case machine.addr + ":9200":
		return &dissect.Identity{Namespace: "shop", Pod: "agent-0"}
	case "10.0.1.9:2222":
		return &dissect.Identity{Namespace: "shop", Pod: "console-0"}
	}
	if a.Addr().String() == machine.addr {
		return &dissect.Identity{Node: "node-a"}
	}
	return nil
}

// streamOf is the ID of the oldest flow of a filter that a user may see.
func streamOf(t *testing.T, x *tenants, as, filter string) string {
	t.Helper()
	r := finish(t, x.ssh(as, nil, "calls --first 1 -o json --since 2020-01-01 "+filter))
	var c struct{ Stream string }
	if err := json.Unmarshal([]byte(r.out), &c); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	return c.Stream
}

// replayOf replays the oldest flow of a filter.
func replayOf(filter, flags string) func(*testing.T, *tenants, string) string {
	return func(t *testing.T, x *tenants, as string) string {
		return typed("replay "+streamOf(t, x, "rae", filter)+" "+flags)(t, x, as)
	}
}

const (
	ofOwn   = `'dst.pod.name == "cart-0"'`
	ofMixed = `'path.contains("mixed")'`
	ofAgent = `'dst.port == 9200'`
)

// replayAttempts are what users try with replay.
var replayAttempts = []attempt{
	{name: "replay without the verb", run: replayOf(ofOwn, "--yes"), own: "status 4", same: true, audit: []string{`"what":"replay `, `"refused":true`, "may not replay"}},
	{name: "replay without the verb, dry", run: replayOf(ofOwn, ""), own: "status 4", same: true},
	{name: "replay of who may see no payload", as: "meg", run: replayOf(ofOwn, ""), own: "status 4", same: true},
	{name: "replay of who may nothing", as: "nil", run: replayOf(ofOwn, "--yes"), own: "status 4", same: true},
	{name: "replay of the bank", as: "rae", run: typed("replay $STREAM"), own: "no such flow", same: true, audit: []string{`"msg":"replay"`, `"stream":"$STREAM"`, `"dry_run":true`}},
	{name: "replay of the bank to the own", as: "rae", run: typed("replay $STREAM --yes --force --to " + cart.addr + ":80"), own: "no such flow", same: true},
	{name: "replay, dry", as: "rae", run: replayOf(ofOwn, ""), own: "HTTP GET /own/0, answered: 200", same: true,
		audit: []string{`"msg":"replay"`, `"target":"10.0.1.2:80"`, `"node":"node-a"`, `"dry_run":true`, `"bytes":0`, `"refused":false`}},
	{name: "replay, dry, as JSON", as: "rae", run: replayOf(ofOwn, "-o json"), own: `"summary":"GET /own/0"`, same: true},
	{name: "replay", as: "rae", run: replayOf(ofOwn, "--yes --times 2"), own: "all 2 runs the same",
		audit: []string{`"msg":"replay"`, `"target":"10.0.1.2:80"`, `"dry_run":false`, `"times":2`, `"runs":2`, `"refused":false`}},
	{name: "replay to a name", as: "rae", run: replayOf(ofOwn, "--yes --to cart.shop:80"), own: "cart.shop:80 (10.0.1.2)"},
	{name: "replay to a node's port", as: "rae", run: replayOf(ofAgent, "--yes"), own: "the same"},
	{name: "replay from another node", as: "rae", run: replayOf(ofOwn, "--yes --node node-b"), own: "from node node-b"},
	{name: "replay from a node that is not", as: "rae", run: replayOf(ofOwn, "--node node-x"), own: `no node "node-x"`, same: true},
	{name: "replay to the bank", as: "rae", run: replayOf(ofOwn, "--yes --to "+till.addr+":80"), own: "status 4", same: true,
		audit: []string{`"msg":"replay"`, `"target":"10.0.2.1:80"`, `"refused":true`, "not known to be a pod or service of shop"}},
	{name: "replay to where the bank was", as: "rae", run: replayOf(ofMixed, "--yes"), own: "status 4", same: true},
	{name: "replay to a name of the bank", as: "rae", run: replayOf(ofOwn, "--yes --to safe.bank:80"), own: "not known to be a pod or service of shop", same: true},
	{name: "replay to a name that is not", as: "rae", run: replayOf(ofOwn, "--yes --to none.bank:80"), own: "not known to be a pod or service of shop", same: true},
	{name: "replay to the bank's port of a node", as: "rae", run: replayOf(ofAgent, "--yes --to "+machine.addr+":9100"), own: "status 4", same: true},
	{name: "replay to a node", as: "rae", run: replayOf(ofAgent, "--yes --to "+machine.addr+":10250"), own: "status 4", same: true},
	{name: "replay to nobody", as: "rae", run: replayOf(ofOwn, "--yes --to 203.0.113.9:80"), own: "status 4", same: true},
	{name: "replay to the console", as: "rae", run: replayOf(ofOwn, "--yes --to 10.0.1.9:2222"), own: "the console itself", same: true, audit: []string{`"msg":"replay"`, `"refused":true`}},
	{name: "replay to itself", as: "ops", run: replayOf(ofOwn, "--yes --to 127.0.0.1:4290"), own: "refused: 127.0.0.1 is the worker's own address", same: true},
	{name: "replay to a cloud's metadata", as: "ops", run: replayOf(ofOwn, "--yes --to 169.254.169.254:80"), own: "status 4", same: true},
	{name: "replay to all", as: "ops", run: replayOf(ofOwn, "--yes --to 224.0.0.1:80"), own: "status 4", same: true},
	{name: "replay anywhere", as: "ops", run: replayOf(ofOwn, "--yes --to 203.0.113.9:80"), own: "the same", audit: []string{`"msg":"replay"`, `"target":"203.0.113.9:80"`, `"refused":false`}},
	{name: "replay of a snapshot", as: "rae", run: replayOf(ofOwn, "--snapshot kept --yes"), own: "the same"},
	{name: "replay of a snapshot's bank", as: "rae", run: typed("replay $STREAM --snapshot kept --yes"), own: "no such flow", same: true},
	{name: "replay, wrong", as: "rae", run: typed("replay"), own: "status 2", same: true},
	{name: "replay, wrong speed", as: "rae", run: typed("replay $STREAM --speed fast"), own: "status 2", same: true},
}

// TestReplayReaches: nothing leaves a worker but what the policy lets, with the namespaces by
// which the worker judges again.
func TestReplayReaches(t *testing.T) {
	x := newTenants(t, true, true, nil)
	x.find()
	for _, line := range []string{"--yes", "--yes --to " + till.addr + ":80", "--yes --to safe.bank:80", "--yes --to cart.shop:80", ""} {
		replayOf(ofOwn, line)(t, x, "rae")
	}
	replayOf(ofOwn, "--yes --to "+till.addr+":80")(t, x, "ops")
	want := []string{"10.0.1.2:80 shop", "10.0.1.2:80 shop", "10.0.2.1:80 "}
	x.door.mu.Lock()
	defer x.door.mu.Unlock()
	if !slices.Equal(x.door.passed, want) {
		t.Errorf("reached %q, want %q", x.door.passed, want)
	}
}

// TestReplayOff: where it is turned off it is refused, to everybody.
func TestReplayOff(t *testing.T) {
	x := newTenants(t, false, true, func(o *Options) { o.Replay = nil })
	if r := finish(t, x.ssh("ops", nil, "replay "+streamOf(t, x, "ops", ofOwn))); r.status != 4 || !strings.Contains(r.stderr, "replay is turned off here") {
		t.Errorf("%+v", r)
	}
}
