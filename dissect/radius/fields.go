package radius

import (
	"encoding/hex"

	"github.com/sshark/sshark/dissect"
)

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "radius_code", Kind: dissect.Int, Help: "code of the packet", Example: "1",
		Get: dissect.Of(func(m *message) any { return int64(m.b[0]) })},
	{Name: "radius_code_name", Kind: dissect.String, Help: "name of the code", Example: `"Access-Request"`,
		Get: dissect.Of(func(m *message) any { return m.code.boxed })},
	{Name: "radius_request", Kind: dissect.Bool, Help: "the packet asks", Example: "true",
		Get: dissect.Of(func(m *message) any { return !m.code.reply })},
	{Name: "radius_response", Kind: dissect.Bool, Help: "the packet answers another", Example: "true",
		Get: dissect.Of(func(m *message) any { return m.code.reply })},
	{Name: "radius_id", Kind: dissect.Int, Help: "identifier that a request and its answer have in common", Example: "17",
		Get: dissect.Of(func(m *message) any { return int64(m.b[1]) })},
	{Name: "radius_user", Kind: dissect.String, Help: "name of the user", Example: `"alice"`,
		Get: dissect.Of(func(m *message) any {
			if len(m.user) == 0 {
				return nil
			}
			return string(m.user)
		})},
	{Name: "radius_request_authenticator", Kind: dissect.String, Help: "authenticator of a request, hexadecimal", Example: `"0f403f9473978057bd83d5cb98f4227a"`,
		Get: dissect.Of(func(m *message) any {
			if m.code.reply || len(m.b) < header {
				return nil
			}
			return hex.EncodeToString(m.b[4:header])
		})},
	{Name: "radius_request_length", Kind: dissect.Int, Help: "bytes of a packet that asks", Example: "64",
		Get: dissect.Of(func(m *message) any {
			if m.code.reply {
				return nil
			}
			return int64(m.size)
		})},
	{Name: "radius_response_length", Kind: dissect.Int, Help: "bytes of a packet that answers", Example: "64",
		Get: dissect.Of(func(m *message) any {
			if !m.code.reply {
				return nil
			}
			return int64(m.size)
		})},
	{Name: "radius_total_size", Kind: dissect.Int, Help: "bytes of the packet", Example: "64",
		Get: dissect.Of(func(m *message) any { return int64(m.size) })},
}
