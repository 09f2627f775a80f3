package tls

import (
	"time"

	"github.com/sshark/sshark/dissect"
)

// fields are in JSON order, but for tls_info, which JSON has as tlsx_info alone.
var fields = []dissect.Field{
	{Name: "tlsx_sni", Kind: dissect.String, Help: "server name that the client asks for", Example: `"example.com"`,
		Get: text((*Handshake).AppendServerName)},
	{Name: "tlsx_alpn", Kind: dissect.String, Help: "protocols that the client offers, with commas between", Example: `"h2,http/1.1"`,
		Get: text((*Handshake).AppendALPN)},
	{Name: "tlsx_ja3", Kind: dissect.String, Help: "JA3 fingerprint of the client", Example: `"773906b0efdefa24a7f2b8eb6985bf37"`,
		Get: text((*Handshake).appendJA3)},
	{Name: "tlsx_ja4", Kind: dissect.String, Help: "JA4 fingerprint of the client", Example: `"t13d1516h2_8daaf6152771_e5627efa2ab1"`,
		Get: text((*Handshake).AppendJA4)},
	{Name: "tlsx_cipher_suites", Kind: dissect.Strings, Help: "cipher suites on offer", Example: `"TLS_AES_128_GCM_SHA256"`,
		Get: dissect.Of(func(hs *Handshake) any {
			list := []string{}
			hs.client.eachSuite(func(s uint16) { list = append(list, string(appendSuite(nil, s))) })
			return list
		})},
	{Name: "tlsx_version", Kind: dissect.Int, Help: "version that was agreed on: 771 TLS 1.2, 772 TLS 1.3", Example: "772",
		Get: answered(func(hs *Handshake) any { return int64(hs.server.version) })},
	{Name: "tlsx_cipher_suite", Kind: dissect.Int, Help: "cipher suite that was chosen, its number", Example: "4865",
		Get: answered(func(hs *Handshake) any { return int64(hs.server.suite) })},
	{Name: "tlsx_resumed", Kind: dissect.Bool, Help: "an earlier session was resumed", Example: "true",
		Get: answered(func(hs *Handshake) any { return hs.resumed })},
	{Name: "tlsx_alert", Kind: dissect.String, Help: "alert that ended the handshake", Example: `"handshake_failure"`,
		Get: dissect.Of(func(hs *Handshake) any {
			if !hs.failed {
				return nil
			}
			return string(hs.appendAlert(nil))
		})},
	{Name: "tlsx_cert_subject", Kind: dissect.String, Help: "subject of the server's certificate (before TLS 1.3)", Example: `"CN=shop"`,
		Get: leaf(func(hs *Handshake) any { return hs.leaf().Subject.String() })},
	{Name: "tlsx_cert_issuer", Kind: dissect.String, Help: "issuer of the server's certificate (before TLS 1.3)", Example: `"CN=ca"`,
		Get: leaf(func(hs *Handshake) any { return hs.leaf().Issuer.String() })},
	{Name: "tlsx_cert_names", Kind: dissect.Strings, Help: "hosts and addresses that the server's certificate is for (before TLS 1.3)", Example: `"shop.example"`,
		Get: leaf(func(hs *Handshake) any { return names(hs.leaf()) })},
	{Name: "tlsx_cert_expires", Kind: dissect.String, Help: "end of the server's certificate, RFC 3339 (before TLS 1.3)", Example: `"2027-01-02T15:04:05Z"`,
		Get: leaf(func(hs *Handshake) any { return hs.leaf().NotAfter.UTC().Format(time.RFC3339) })},
	{Name: "tlsx_info", Kind: dissect.String, Help: "what came of the handshake, in one line", Example: `"TLS 1.3, TLS_AES_128_GCM_SHA256"`,
		Get: text((*Handshake).appendInfo)},
	{Name: "tls_info", Kind: dissect.String, Help: "what came of the handshake, in one line", Example: `"TLS 1.3, TLS_AES_128_GCM_SHA256"`,
		Get: text((*Handshake).appendInfo)},
}

// text makes a getter of what is appended: nil where that is nothing.
func text(appendTo func(*Handshake, []byte) []byte) func(*dissect.Call) any {
	return dissect.Of(func(hs *Handshake) any {
		if b := appendTo(hs, nil); len(b) > 0 {
			return string(b)
		}
		return nil
	})
}

// answered makes a getter of a ServerHello: nil where there is none.
func answered(get func(*Handshake) any) func(*dissect.Call) any {
	return dissect.Of(func(hs *Handshake) any {
		if !hs.answered {
			return nil
		}
		return get(hs)
	})
}

// leaf makes a getter of the server's certificate: nil where it is not known.
func leaf(get func(*Handshake) any) func(*dissect.Call) any {
	return dissect.Of(func(hs *Handshake) any {
		if hs.leaf() == nil {
			return nil
		}
		return get(hs)
	})
}
