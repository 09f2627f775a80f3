package icmp

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "icmp_type", Kind: dissect.String, Help: "name of the message's type", Example: `"echo request"`,
		Get: dissect.Of(func(m *message) any { return m.kind().boxed })},
	{Name: "icmp_type_number", Kind: dissect.Int, Help: "number of the message's type", Example: "8",
		Get: dissect.Of(func(m *message) any { return int64(m.b[0]) })},
	{Name: "icmp_code", Kind: dissect.Int, Help: "code of the message", Example: "3",
		Get: dissect.Of(func(m *message) any { return int64(m.b[1]) })},
	{Name: "icmp_version", Kind: dissect.Int, Help: "4 or 6", Example: "4",
		Get: dissect.Of(func(m *message) any { return m.version() })},
	{Name: "icmp_length", Kind: dissect.Int, Help: "bytes of the message", Example: "64",
		Get: dissect.Of(func(m *message) any { return int64(len(m.b)) })},
}
