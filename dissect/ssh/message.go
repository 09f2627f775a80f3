package ssh

import "github.com/sshark/sshark/dissect"

// greeting is what both sides say of themselves: the message of a call.
type greeting struct {
	client, server []byte // without line ends, nil: not seen
}

// AppendSummary implements dissect.Message: what the client said, or the server, if only that
// is known.
func (g *greeting) AppendSummary(dst []byte) []byte {
	if len(g.client) > 0 {
		return append(dst, g.client...)
	}
	return append(dst, g.server...)
}

// AppendStatus implements dissect.Message: what the server said.
func (g *greeting) AppendStatus(dst []byte) []byte { return append(dst, g.server...) }

// AppendFields implements dissect.Message.
func (g *greeting) AppendFields(dst []byte) []byte {
	if len(g.client) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "ssh_client"), g.client)
	}
	if len(g.server) > 0 {
		dst = dissect.AppendBytes(dissect.AppendKey(dst, "ssh_server"), g.server)
	}
	return dst
}

// Body implements dissect.Message: there is none.
func (g *greeting) Body(int) *dissect.Body { return nil }

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "ssh_client", Kind: dissect.String, Help: "identification of the client", Example: `"SSH-2.0-OpenSSH_9.2p1"`,
		Get: of(func(g *greeting) []byte { return g.client })},
	{Name: "ssh_server", Kind: dissect.String, Help: "identification of the server", Example: `"SSH-2.0-OpenSSH_9.2p1"`,
		Get: of(func(g *greeting) []byte { return g.server })},
}

func of(get func(*greeting) []byte) func(*dissect.Call) any {
	return func(c *dissect.Call) any {
		if g, ok := c.Message.(*greeting); ok && len(get(g)) > 0 {
			return string(get(g))
		}
		return nil
	}
}
