package screen

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"

	tea "charm.land/bubbletea/v2"

	"github.com/sshark/sshark/dissect/protocols"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/replay"
	"github.com/sshark/sshark/tui"
	"github.com/sshark/sshark/worker/reach"
)

// local is a desk that opens connections from here, and a server that answers its requests with
// a code that no recorded one had.
func local(t *testing.T) (desk *replay.Desk, addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, "short and stout")
	})}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	here := reach.NewDialer(reach.Options{Loopback: true})
	return &replay.Desk{Protocols: protocols.All(), Here: true, From: func(string) (reach.Reacher, error) { return here, nil }}, ln.Addr().String()
}

// TestReplayOfRecorded sends a recorded request of curl to a server of this test, from the list of
// calls on, as an operator does.
func TestReplayOfRecorded(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	desk, addr := local(t)
	s := &session{t: t, msgs: make(chan tea.Msg), ctx: ctx, model: tui.New(tui.Options{Backend: recorded(t, "../../dissect/http1/testdata/nginx-curl.pcap"),
		Replays: NewReplays(desk), Context: ctx, Window: &tui.Window{}})}
	s.run(s.model.Init())
	s.tell(tea.WindowSizeMsg{Width: 120, Height: 40})
	s.see("GET /")
	s.press("ggr")
	s.see("› replay", "dry run", "from this machine", "call 1   HTTP GET /", "turn 1 ")
	s.press("t")
	s.press(addr + "\n")
	s.see("t to "+addr, "to      "+addr)
	s.press("y")
	s.see("send it again?", "to "+addr)
	s.press("y")
	s.see("different: ", "status_code  was 200  is 418", "r sends it again")
	s.press("jC")
	s.see("› replay › calls", "stream == ")
}

// TestReplayOfWhoMayNot: a refusal is a sentence on the screen.
func TestReplayOfWhoMayNot(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	desk, _ := local(t)
	desk.Guard = func(context.Context, *reach.Request) error {
		return &auth.Refusal{User: "ada", Verb: auth.Replay, Why: fmt.Errorf("%w: no rule allows it", auth.ErrRefused)}
	}
	s := &session{t: t, msgs: make(chan tea.Msg), ctx: ctx, model: tui.New(tui.Options{Backend: recorded(t, "../../dissect/http1/testdata/nginx-curl.pcap"),
		Replays: NewReplays(desk), Context: ctx, Window: &tui.Window{}})}
	s.run(s.model.Init())
	s.tell(tea.WindowSizeMsg{Width: 120, Height: 40})
	s.see("GET /")
	s.press("ggr")
	s.see("against ada may not", "no rule allows it", "it is not sent: something is against it")
	s.press("y")
	s.see("ada may not")
	if err := NewReplays(desk).Check(tui.ReplayOrder{Stream: "0000000000001", To: "nowhere"}); err == nil {
		t.Error("a target without a port is taken")
	}
	if err := NewReplays(desk).Check(tui.ReplayOrder{Stream: "0000000000001", Node: "node-a"}); err == nil {
		t.Error("a node is taken where this machine sends")
	}
}
