package replies

import (
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/turns"
)

// message is one with an Exchange inside.
type message struct{ Exchange }

func (m *message) AppendFields(dst []byte) []byte {
	return m.AppendReply(m.AppendCommand(dst, "x_command", "x_argument"), "x_code", "x_reply")
}
func (m *message) Body(int) *dissect.Body { return nil }

func TestExchange(t *testing.T) {
	req := &turns.Message{Size: 11, First: 1, Last: 2}
	resp := &turns.Message{Data: []byte("550-no\r\n550 not at all\r\n"), Size: 24, First: 3, Last: 4, Cut: true}
	for _, tt := range []struct {
		name            string
		req, resp       *turns.Message
		args            string
		known           any
		hidden          bool
		summary, fields string
		values          [4]any // as filters see them
		call            dissect.Call
	}{
		{"both", req, resp, "a b", "RETR", false, "RETR a b -> 550", `,"x_command":"RETR","x_argument":"a b","x_code":550,"x_reply":"not at all"`,
			[4]any{"RETR", "a b", int64(550), "not at all"}, dissect.Call{Time: 1, RequestEnd: 2, RequestSize: 11, ResponseStart: 3, ResponseEnd: 4, ResponseSize: 24, Error: true, Incomplete: true}},
		{"a command", req, nil, "", nil, false, "RETR -> ", `,"x_command":"RETR"`, [4]any{"RETR", nil, nil, nil}, dissect.Call{Time: 1, RequestEnd: 2, RequestSize: 11}},
		{"secret", req, nil, "", nil, true, "RETR (redacted) -> ", `,"x_command":"RETR"`, [4]any{"RETR", nil, nil, nil}, dissect.Call{Time: 1, RequestEnd: 2, RequestSize: 11}},
		{"secret in part", req, nil, "a", nil, true, "RETR a (redacted) -> ", `,"x_command":"RETR","x_argument":"a"`, [4]any{"RETR", "a", nil, nil}, dissect.Call{Time: 1, RequestEnd: 2, RequestSize: 11}},
		{"a reply", nil, resp, "", nil, false, "not at all -> 550", `,"x_code":550,"x_reply":"not at all"`,
			[4]any{nil, nil, int64(550), "not at all"}, dissect.Call{Reverse: true, Time: 3, ResponseStart: 3, ResponseEnd: 4, ResponseSize: 24, Error: true, Incomplete: true}},
	} {
		m := &message{}
		m.Begin(m, tt.req, tt.resp)
		m.Known, m.Name, m.Args, m.Hidden = tt.known, []byte("retr"), []byte(tt.args), tt.hidden
		c := &m.Call
		if got := string(m.AppendStatus(append(m.AppendSummary(nil), " -> "...))); got != tt.summary {
			t.Errorf("%s: %q", tt.name, got)
		}
		if got := string(m.AppendFields(nil)); got != tt.fields {
			t.Errorf("%s: %s", tt.name, got)
		}
		if got := [4]any{GetCommand[*message](c), GetArgument[*message](c), GetCode[*message](c), GetReply[*message](c)}; got != tt.values {
			t.Errorf("%s: filters see %v", tt.name, got)
		}
		if tt.call.Message = m; *c != tt.call {
			t.Errorf("%s: %+v", tt.name, *c)
		}
	}
}
