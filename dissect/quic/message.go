package quic

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/tls"
)

// cryptoError is the first of the error codes that are alerts of TLS (RFC 9000, 20.1).
const cryptoError = 0x100

// asking is the newest hello of the client.
func (c *connection) asking() *tls.Handshake {
	if c.before != nil && !c.hello.Asked() {
		return c.before
	}
	return c.hello
}

// AppendSummary implements dissect.Message: "Initial example.com".
func (c *connection) AppendSummary(dst []byte) []byte {
	dst = append(dst, "Initial"...)
	n := len(dst)
	if dst = c.asking().AppendServerName(append(dst, ' ')); len(dst) == n+1 {
		dst = dst[:n]
	}
	return dst
}

// AppendStatus implements dissect.Message: "QUIC v1", "Version Negotiation", "Retry", or the
// error that ended the connection.
func (c *connection) AppendStatus(dst []byte) []byte {
	switch {
	case c.closed && c.code >= cryptoError && c.code < cryptoError+256:
		return tls.AppendAlert(dst, uint8(c.code-cryptoError))
	case c.closed:
		return appendError(dst, c.code)
	case c.refused:
		return append(dst, "Version Negotiation"...)
	case c.answered:
		return appendVersion(dst, c.version)
	case c.retried:
		return append(dst, "Retry"...)
	}
	return dst
}

func appendVersion(dst []byte, version uint32) []byte {
	switch {
	case version == version2:
		return append(dst, "QUIC v2"...)
	case version >= draftFirst && version <= draftLast:
		return strconv.AppendUint(append(dst, "QUIC draft-"...), uint64(version&0xff), 10)
	case version == versionT050:
		return append(dst, "QUIC T050"...)
	case version == versionT051:
		return append(dst, "QUIC T051"...)
	case mvfst(version):
		return append(dst, "QUIC mvfst"...)
	}
	return strconv.AppendUint(append(dst, "QUIC v"...), uint64(version), 10)
}

// appendError appends the name of a transport error (RFC 9000, 20.1), or its number.
func appendError(dst []byte, code uint64) []byte {
	names := [...]string{"NO_ERROR", "INTERNAL_ERROR", "CONNECTION_REFUSED", "FLOW_CONTROL_ERROR", "STREAM_LIMIT_ERROR",
		"STREAM_STATE_ERROR", "FINAL_SIZE_ERROR", "FRAME_ENCODING_ERROR", "TRANSPORT_PARAMETER_ERROR", "CONNECTION_ID_LIMIT_ERROR",
		"PROTOCOL_VIOLATION", "INVALID_TOKEN", "APPLICATION_ERROR", "CRYPTO_BUFFER_EXCEEDED", "KEY_UPDATE_ERROR", "AEAD_LIMIT_REACHED", "NO_VIABLE_PATH",
		"VERSION_NEGOTIATION_ERROR"}
	if code < uint64(len(names)) {
		return append(dst, names[code]...)
	}
	return strconv.AppendUint(append(dst, "error 0x"...), code, 16)
}

// AppendFields implements dissect.Message.
func (c *connection) AppendFields(dst []byte) []byte {
	var mem [256]byte
	text := func(name string, value []byte) {
		if len(value) > 0 {
			dst = dissect.AppendBytes(dissect.AppendKey(dst, name), value)
		}
	}
	dst = strconv.AppendUint(dissect.AppendKey(dst, "quic_version"), uint64(c.version), 10)
	text("quic_sni", c.asking().AppendServerName(mem[:0]))
	text("quic_alpn", c.asking().AppendALPN(mem[:0]))
	text("quic_ja4", c.asking().AppendJA4(mem[:0]))
	dst = strconv.AppendBool(dissect.AppendKey(dst, "quic_retry"), c.retried)
	if c.closed {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "quic_error_code"), c.code, 10)
	}
	return dst
}

// Body implements dissect.Message: there is none.
func (c *connection) Body(int) *dissect.Body { return nil }

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "quic_version", Kind: dissect.Int, Help: "version: 1, 1798521807 is version 2, 4278190109 draft 29", Example: "1",
		Get: dissect.Of(func(c *connection) any { return int64(c.version) })},
	{Name: "quic_sni", Kind: dissect.String, Help: "server name that the client asks for", Example: `"example.com"`,
		Get: text((*tls.Handshake).AppendServerName)},
	{Name: "quic_alpn", Kind: dissect.String, Help: "protocols that the client offers, with commas between", Example: `"h3"`,
		Get: text((*tls.Handshake).AppendALPN)},
	{Name: "quic_ja4", Kind: dissect.String, Help: "JA4 fingerprint of the client", Example: `"q13d0312h3_55b375c5d22e_06cda9e17597"`,
		Get: text((*tls.Handshake).AppendJA4)},
	{Name: "quic_retry", Kind: dissect.Bool, Help: "the server made the client prove its address", Example: "true",
		Get: dissect.Of(func(c *connection) any { return c.retried })},
	{Name: "quic_error_code", Kind: dissect.Int, Help: "error that ended the connection; from 256 on an alert of TLS", Example: "376",
		Get: dissect.Of(func(c *connection) any {
			if !c.closed {
				return nil
			}
			return int64(c.code)
		})},
}

// text makes a getter of what is appended: nil where that is nothing.
func text(appendTo func(*tls.Handshake, []byte) []byte) func(*dissect.Call) any {
	return dissect.Of(func(c *connection) any {
		if b := appendTo(c.asking(), nil); len(b) > 0 {
			return string(b)
		}
		return nil
	})
}
