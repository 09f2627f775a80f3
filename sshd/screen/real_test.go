package screen

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/dissect/protocols"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/guard"
	"github.com/sshark/sshark/tui"
	"github.com/sshark/sshark/worker/query"
)

// recorded is a capture of the tree as a backend.
func recorded(t *testing.T, path string) *Backend {
	t.Helper()
	all := protocols.All()
	language, err := filter.New(all)
	if err != nil {
		t.Fatal(err)
	}
	f, err := query.OpenFile(path, all, language)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return New(f, language)
}

// both keeps what was said.
type both struct {
	said [2]strings.Builder
	gaps int
}

func (b *both) Data(d flow.Dir, data []byte, _ int64) error { b.said[d].Write(data); return nil }
func (b *both) Gap(flow.Dir, int64, int64) error            { b.gaps++; return nil }

// sink takes packets.
type sink func(*pcap.Packet) error

func (s sink) Packet(p *pcap.Packet) error { return s(p) }
func (sink) Name(pcap.Name) error          { return nil }

var errStop = errors.New("stop")

// TestRecorded: flows, their bytes and their packets, of a capture of curl and nginx.
func TestRecorded(t *testing.T) {
	b := recorded(t, "../../dissect/http1/testdata/nginx-curl.pcap")
	ctx := context.Background()
	var flows []dissect.Flow
	if _, err := b.Flows(ctx, tui.Query{}, func(f *dissect.Flow) error { flows = append(flows, *f); return nil }); err != nil || len(flows) == 0 {
		t.Fatalf("%d flows (%v)", len(flows), err)
	}
	packets := uint64(0)
	for _, f := range flows {
		var own int
		_, err := b.Flows(ctx, tui.Query{Stream: f.ID.String()}, func(o *dissect.Flow) error {
			if own++; o.ID != f.ID {
				t.Errorf("asked for %s, got %s", f.ID, o.ID)
			}
			return nil
		})
		if err != nil || own != 1 {
			t.Errorf("%d flows %s (%v)", own, f.ID, err)
		}
		var said both
		if _, err := b.Stream(ctx, f.ID.String(), &said); err != nil || uint64(said.said[0].Len()) != f.Payload[0] || uint64(said.said[1].Len()) != f.Payload[1] || said.gaps > 0 {
			t.Errorf("stream %s: %d and %d bytes of %v, %d gaps (%v)", f.ID, said.said[0].Len(), said.said[1].Len(), f.Payload, said.gaps, err)
		}
		if !strings.Contains(said.said[0].String(), " HTTP/1.1\r\n") {
			t.Errorf("stream %s: the client said %q", f.ID, said.said[0].String())
		}
		n := uint64(0)
		if _, err := b.Packets(ctx, tui.Query{Stream: f.ID.String()}, sink(func(*pcap.Packet) error { n++; return nil })); err != nil || n != f.Packets[0]+f.Packets[1] {
			t.Errorf("flow %s: %d packets of %v (%v)", f.ID, n, f.Packets, err)
		}
		packets += n
	}
	// Without a flow they are the newest of the window, in the order of time.
	for _, last := range []int{3, int(packets) + 100} {
		var times []int64
		_, err := b.Packets(ctx, tui.Query{Last: last}, sink(func(p *pcap.Packet) error { times = append(times, p.Time); return nil }))
		if err != nil || len(times) != min(last, int(packets)) {
			t.Errorf("the newest %d: %d of %d (%v)", last, len(times), packets, err)
		}
		for i := range times[1:] {
			if times[i] > times[i+1] {
				t.Errorf("packet %d is older than the one before", i+1)
			}
		}
	}
	if _, err := b.Packets(ctx, tui.Query{Stream: flows[0].ID.String()}, sink(func(*pcap.Packet) error { return errStop })); !errors.Is(err, errStop) {
		t.Errorf("an error of the asker: %v", err)
	}
	for _, id := range []string{"nonsense", "0000000000001"} {
		if _, err := b.Stream(ctx, id, &both{}); err == nil {
			t.Errorf("stream %s is there", id)
		}
	}
}

// session runs a model as bubbletea would, without a terminal.
type session struct {
	t     *testing.T
	model tea.Model
	msgs  chan tea.Msg
	ctx   context.Context
}

func (s *session) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		msg := cmd()
		if batch, ok := msg.(tea.BatchMsg); ok {
			for _, c := range batch {
				s.run(c)
			}
			return
		}
		if msg != nil {
			select {
			case s.msgs <- msg:
			case <-s.ctx.Done():
			}
		}
	}()
}

func (s *session) tell(msg tea.Msg) {
	var cmd tea.Cmd
	s.model, cmd = s.model.Update(msg)
	s.run(cmd)
}

func (s *session) press(keys string) {
	for _, r := range keys {
		switch r {
		case '\n':
			s.tell(tea.KeyPressMsg{Code: tea.KeyEnter})
		case ' ':
			s.tell(tea.KeyPressMsg{Code: ' ', Text: " "})
		default:
			s.tell(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
}

// see waits until all texts are on the screen.
func (s *session) see(texts ...string) {
	s.t.Helper()
	end := time.NewTimer(20 * time.Second)
	defer end.Stop()
	for {
		screen, missing := ansi.Strip(s.model.View().Content), ""
		for _, x := range texts {
			if !strings.Contains(screen, x) {
				missing = x
			}
		}
		if missing == "" {
			return
		}
		select {
		case msg := <-s.msgs:
			s.tell(msg)
		case <-end.C:
			s.t.Fatalf("%q does not come:\n%s", missing, screen)
		}
	}
}

// TestScreenOfWhoMayNot: flows are shown to who may see them, and that their bytes and packets are
// not for this user is said in a sentence.
func TestScreenOfWhoMayNot(t *testing.T) {
	b := recorded(t, "../../dissect/http1/testdata/nginx-curl.pcap")
	policy := &auth.Policy{Rules: []auth.Rule{{Users: []string{"*"}, Verbs: []auth.Verb{auth.See}, Namespaces: []string{"*"}}}}
	authority, err := auth.NewAuthority(auth.AuthorityOptions{Policy: policy, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	guarded := guard.New(guard.Options{Source: b.source, Language: b.language, Log: slog.New(slog.DiscardHandler),
		Scope: func(ctx context.Context, v auth.Verb) (auth.Scope, error) {
			return authority.Scope(ctx, &auth.User{Name: "ada", Method: auth.ByKey}, v)
		}})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &session{t: t, msgs: make(chan tea.Msg), ctx: ctx, model: tui.New(tui.Options{Backend: New(guarded, b.language), Context: ctx, Window: &tui.Window{}})}
	s.run(s.model.Init())
	s.tell(tea.WindowSizeMsg{Width: 120, Height: 40})
	s.press(":flows\n")
	s.see("tcp http")
	s.press("ggd")
	s.see("ada may not export packets: refused by policy: no rule allows it")
	s.press("\n")
	s.see("The packets cannot be shown.", "ada may not export packets")
	s.press("qF")
	s.see("The stream cannot be shown.", "ada may not see what was said")
}

// TestScreenOfRecorded goes through flows, packets and streams as an operator does.
func TestScreenOfRecorded(t *testing.T) {
	for _, tt := range []struct {
		file                   string
		flow, detail, said     string
		packet, layer, message string
	}{
		{"../../dissect/http1/testdata/nginx-curl.pcap", "tcp http", "SYN → SYN/ACK", "→ GET /", "[SYN]", "TCP  ", "HTTP/1.1 "},
		{"../../dissect/dns/testdata/udp.pcap", "udp dns", "payload", "\\x", "udp", "UDP  ", "← "},
	} {
		t.Run(tt.flow, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s := &session{t: t, msgs: make(chan tea.Msg), ctx: ctx, model: tui.New(tui.Options{Backend: recorded(t, tt.file), Context: ctx, Window: &tui.Window{}})}
			s.run(s.model.Init())
			s.tell(tea.WindowSizeMsg{Width: 120, Height: 40})
			s.press(":flows\n")
			s.see(tt.flow)
			s.press("gg")
			s.press("d")
			s.see(tt.detail)
			s.press("\n")
			s.see("› packets", tt.packet, tt.layer, "as of")
			s.press("F")
			s.see("› stream", tt.said, tt.message, "as of")
			s.press("/http\n")
			s.press("y")
			s.see("hex · both sides", "00000000  ")
			s.press("\n")
			s.see("› packets › stream › packets", "packet ")
			s.press("q")
			s.press("C")
			s.see("stream == ")
			s.press(":packets\n") // of all of it: from each one gets to its flow
			s.see("› packets", tt.packet, "as of")
			s.press("F")
			s.see("› packets › stream", tt.said)
			s.press("qK")
			s.see("› packets › packets", tt.packet)
		})
	}
}
