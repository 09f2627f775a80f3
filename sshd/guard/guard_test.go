package guard

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
)

// sees is a source that remembers what it was asked.
type sees struct {
	*sourcetest.Source
	asked []query.Access
}

func (s *sees) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	s.asked = append(s.asked, r.Access)
	return s.Source.Calls(ctx, r, each)
}

func (s *sees) Packets(ctx context.Context, r *query.Request, out query.PacketSink) (*query.Report, error) {
	s.asked = append(s.asked, r.Access)
	return s.Source.Packets(ctx, r, out)
}

func policy(see, payload, export []string) *auth.Policy {
	p := &auth.Policy{}
	for v, ns := range map[auth.Verb][]string{auth.See: see, auth.Payload: payload, auth.Export: export} {
		p.Rules = append(p.Rules, auth.Rule{Users: []string{"*"}, Verbs: []auth.Verb{v}, Namespaces: ns})
	}
	return p
}

func newGuard(t *testing.T, p *auth.Policy, change func(*Options)) (*Guard, *sees) {
	t.Helper()
	lang, err := filter.New([]*dissect.Protocol{sourcetest.HTTP})
	if err != nil {
		t.Fatal(err)
	}
	a, err := auth.NewAuthority(auth.AuthorityOptions{Policy: p, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	s := &sees{Source: &sourcetest.Source{Kept: 8, Language: lang}}
	o := Options{Source: s, Language: lang, Log: slog.New(slog.DiscardHandler),
		Scope: func(ctx context.Context, v auth.Verb) (auth.Scope, error) {
			return a.Scope(ctx, &auth.User{Name: "ada", Method: auth.ByKey}, v)
		}}
	if change != nil {
		change(&o)
	}
	return New(o), s
}

// TestAccess: what a worker is asked for comes from the user's scopes and from what is asked.
func TestAccess(t *testing.T) {
	all, shop, both := []string{"*"}, []string{"shop"}, []string{"bank", "shop"}
	for _, tt := range []struct {
		name                 string
		see, payload, export []string
		filter               string
		want                 query.Access
		refused              bool
	}{
		{"everything", all, all, all, "status_code == 200", query.Access{}, false},
		{"one namespace", shop, all, nil, "status_code == 200", query.Access{Limited: true, Namespaces: shop}, false},
		{"more of what was said than may be seen", shop, both, nil, "status_code == 200", query.Access{Limited: true, Namespaces: shop}, false},
		{"metadata", both, nil, nil, "error", query.Access{Limited: true, Namespaces: both, Metadata: true}, false},
		{"metadata of all", all, nil, nil, "", query.Access{Metadata: true}, false},
		{"metadata, and what was said in one", both, shop, nil, "src.namespace == 'bank'", query.Access{Limited: true, Namespaces: both, Metadata: true, Payload: shop}, false},
		{"the same with a filter of what was said", both, shop, nil, "status_code == 200", query.Access{Limited: true, Namespaces: shop}, false},
		{"all, and what was said in one, with a filter of it", all, shop, nil, "path != ''", query.Access{Limited: true, Namespaces: shop}, false},
		{"metadata with a filter of what was said", all, nil, nil, "error || path != ''", query.Access{}, true},
		{"nothing", nil, all, all, "", query.Access{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var done []*Asked
			g, s := newGuard(t, policy(tt.see, tt.payload, tt.export), func(o *Options) { o.Done = func(a *Asked) { done = append(done, a) } })
			_, err := g.Calls(context.Background(), &query.Request{Filter: tt.filter}, func(*dissect.Call) error { return nil })
			if errors.Is(err, auth.ErrRefused) != tt.refused || !tt.refused && err != nil {
				t.Fatal(err)
			}
			if len(done) != 1 || done[0].Err != err && !errors.Is(err, done[0].Err) {
				t.Errorf("told of %d questions", len(done))
			}
			if tt.refused {
				if len(s.asked) != 0 {
					t.Error("the workers were asked")
				}
				return
			}
			if a := s.asked[0]; a.Limited != tt.want.Limited || a.Metadata != tt.want.Metadata || !slices.Equal(a.Namespaces, tt.want.Namespaces) || !slices.Equal(a.Payload, tt.want.Payload) {
				t.Errorf("asked %+v, want %+v", a, tt.want)
			}
		})
	}
}

// TestHides: what was said is taken out of what a worker tells all the same.
func TestHides(t *testing.T) {
	g, _ := newGuard(t, policy([]string{"*"}, nil, nil), nil)
	n := 0
	report, err := g.Calls(context.Background(), &query.Request{}, func(c *dissect.Call) error {
		n++
		if text := string(dissect.AppendCall(nil, c)); strings.Contains(text, "cart/") || strings.Contains(text, "status_code") || !strings.Contains(text, `"elapsed_time"`) {
			t.Errorf("it tells %s", text)
		}
		return nil
	})
	if err != nil || n != 8 || report == nil {
		t.Errorf("%d calls, %v", n, err)
	}
}

// none takes packets.
type none struct{ names, packets int }

func (n *none) Packet(*pcap.Packet) error { n.packets++; return nil }
func (n *none) Name(pcap.Name) error      { n.names++; return nil }
func (n *none) Flush() error              { return nil }

func TestExports(t *testing.T) {
	// The source says that its packets are of a pod of the shop.
	for _, tt := range []struct {
		export  []string
		packets int
		refused bool
	}{{[]string{"*"}, 8, false}, {[]string{"bank"}, 0, false}, {nil, 0, true}} {
		spent := 0
		g, _ := newGuard(t, policy([]string{"*"}, nil, tt.export), func(o *Options) { o.Spend = func(n int) error { spent += n; return nil } })
		var got none
		_, err := g.Packets(context.Background(), &query.Request{}, &got)
		if errors.Is(err, auth.ErrRefused) != tt.refused || got.packets != tt.packets || spent != 64*tt.packets {
			t.Errorf("%v: %d packets, %d bytes, %v", tt.export, got.packets, spent, err)
		}
	}
	enough := errors.New("enough")
	g, _ := newGuard(t, auth.AllowAll(), func(o *Options) { o.Spend = func(int) error { return enough } })
	if _, err := g.Packets(context.Background(), &query.Request{}, &none{}); !errors.Is(err, enough) {
		t.Errorf("beyond the limit: %v", err)
	}
	g, _ = newGuard(t, auth.AllowAll(), func(o *Options) { o.Begin = func() (func(), error) { return nil, enough } })
	if _, err := g.Flows(context.Background(), &query.Request{}, nil); !errors.Is(err, enough) {
		t.Errorf("one question too many: %v", err)
	}
}

// TestPermissionsChange: who follows is cut off when they may see other things.
func TestPermissionsChange(t *testing.T) {
	var revoked atomic.Bool
	g, s := newGuard(t, nil, func(o *Options) {
		o.Again = time.Millisecond
		o.Scope = func(_ context.Context, v auth.Verb) (auth.Scope, error) {
			if revoked.Load() {
				return auth.In("bank"), nil
			}
			return auth.In("shop"), nil
		}
	})
	n := 0
	_, err := g.Calls(context.Background(), &query.Request{Follow: true}, func(*dissect.Call) error {
		if n++; n == 12 { // four of them are live
			revoked.Store(true)
		}
		return nil
	})
	if !errors.Is(err, errChanged) || !errors.Is(err, auth.ErrRefused) || s.Running() != 0 {
		t.Errorf("%v, %d run on", err, s.Running())
	}
	if n < 12 {
		t.Errorf("it ended after %d calls", n)
	}
}

func TestNodes(t *testing.T) {
	g, s := newGuard(t, policy([]string{"bank"}, nil, nil), nil)
	nodes, _, err := g.Nodes(context.Background())
	if err != nil || len(nodes) != 1 || len(nodes[0].Pods) != 0 || nodes[0].Stats.Seen == 0 {
		t.Errorf("%+v %v", nodes, err)
	}
	if whole, _, _ := s.Nodes(context.Background()); len(whole[0].Pods) != 1 {
		t.Error("the source's own answer was changed")
	}
}

// bytesOf counts what a stream tells.
type bytesOf int

func (b *bytesOf) Data(_ flow.Dir, data []byte, _ int64) error { *b += bytesOf(len(data)); return nil }
func (b *bytesOf) Gap(flow.Dir, int64, int64) error            { return nil }

// TestStreams: a source that tells the bytes of any flow is asked whose the flow is first.
func TestStreams(t *testing.T) {
	for _, tt := range []struct {
		see, payload []string
		want         error
	}{
		{[]string{"*"}, []string{"*"}, nil},
		{[]string{"*"}, []string{"shop"}, nil},
		{[]string{"shop"}, []string{"shop"}, nil},
		{[]string{"bank"}, []string{"bank"}, query.ErrNoSuchFlow},
		{[]string{"*"}, []string{"bank"}, query.ErrNoSuchFlow},
		{[]string{"*"}, nil, auth.ErrRefused},
		{nil, []string{"*"}, auth.ErrRefused},
	} {
		g, _ := newGuard(t, policy(tt.see, tt.payload, nil), nil)
		var got bytesOf
		_, err := g.Stream(context.Background(), &query.Request{Stream: 0x1001}, &got)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || (got > 0) != (tt.want == nil) {
			t.Errorf("%v, %v: %d bytes, %v", tt.see, tt.payload, got, err)
		}
	}
}
