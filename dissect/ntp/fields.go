package ntp

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "ntp_mode", Kind: dissect.Int, Help: "1 symmetric active, 2 passive, 3 client, 4 server, 5 broadcast, 6 control, 7 private", Example: "4",
		Get: dissect.Of(func(m *message) any { return int64(m.mode()) })},
	{Name: "ntp_version", Kind: dissect.Int, Help: "version of NTP", Example: "4",
		Get: dissect.Of(func(m *message) any { return int64(m.version()) })},
	{Name: "ntp_stratum", Kind: dissect.Int, Help: "how far the sender's clock is from a reference clock, 0 not told, 16 not set", Example: "2",
		Get: dissect.Of(func(m *message) any {
			if !m.times() {
				return nil
			}
			return int64(m.b[1])
		})},
	{Name: "ntp_reference", Kind: dissect.String, Help: "what the sender's clock is set by: a kind of clock, or a server", Example: `"GPS"`,
		Get: dissect.Of(func(m *message) any {
			id := m.appendReference(nil)
			if len(id) == 0 {
				return nil
			}
			return string(id)
		})},
}
