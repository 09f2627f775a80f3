package dns

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
)

// sink notes what a parser hands out.
type sink struct {
	t      testing.TB
	calls  []string
	lines  []string
	each   func(c *dissect.Call)
	memory *memtest.Gauge // of a fuzzer, nil: nothing is watched
}

func (s *sink) Bodies() (int, bool)   { return 0, false }
func (s *sink) Switch(string, []byte) {}

func (s *sink) Call(c *dissect.Call) {
	e := c.Message.(*exchange)
	mark := ""
	if c.Reverse {
		mark = "<"
	}
	if c.Incomplete {
		mark += "~"
	}
	if c.Error {
		mark += "!"
	}
	arrow := ""
	if e.req.seen {
		arrow = " ->"
	}
	line := "{" + strings.TrimPrefix(string(e.AppendFields(nil)), ",") + "}"
	var fields struct {
		Answers []string `json:"dns_answers"`
	}
	if err := json.Unmarshal([]byte(line), &fields); err != nil && s.t != nil {
		s.t.Errorf("no JSON: %s: %v", line, err)
	}
	s.lines = append(s.lines, line)
	s.calls = append(s.calls, strings.TrimSpace(fmt.Sprintf("%s%s%s %s %s", mark, e.AppendSummary(nil), arrow, e.AppendStatus(nil), strings.Join(fields.Answers, ","))))
	if s.each != nil {
		s.each(c)
	}
}

// newFlow is a flow between a client and a resolver.
func newFlow(transport flow.Proto) *dissect.Flow {
	f := &dissect.Flow{Transport: transport}
	f.Client.Addr = netip.MustParseAddrPort("10.0.0.1:40000")
	f.Server.Addr = netip.MustParseAddrPort("10.0.0.53:53")
	return f
}
