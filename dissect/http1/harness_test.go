package http1

import (
	"fmt"
	"strings"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
)

type (
	sink = cuttest.Script
	step = cuttest.Step
)

// tell is one call in short: what was asked, what came of it, the sizes of the bodies, and
// marks: "<" it is the server's, "~" it is incomplete.
func tell(c *dissect.Call) string {
	e := c.Message.(*exchange)
	var b []byte
	if c.Reverse {
		b = append(b, '<')
	}
	if c.Incomplete {
		b = append(b, '~')
	}
	if e.req.seen {
		b = fmt.Appendf(b, "%s", e.AppendSummary(nil))
		if e.req.size > 0 {
			b = fmt.Appendf(b, " [%d]", e.req.size)
		}
		b = append(b, " -> "...)
	}
	b = e.AppendStatus(b)
	if e.resp.size > 0 {
		b = fmt.Appendf(b, " [%d]", e.resp.size)
	}
	return strings.TrimSpace(string(b))
}

var (
	c = cuttest.Client
	s = cuttest.Server
)

func cgap(n int64) step { return cuttest.Missing(0, n) }
func sgap(n int64) step { return cuttest.Missing(1, n) }
func rep(n int) string  { return strings.Repeat("x", n) }

// run plays steps; see cuttest.Script.
func run(k *sink, steps []step, chunk int) error { return k.Play(newParser(k), steps, chunk) }
