package tls

import (
	"encoding/hex"
	"strconv"
)

// appendVersion appends "TLS 1.3", or the number of a version without a name.
func appendVersion(dst []byte, v uint16) []byte {
	switch {
	case v == 0x0300:
		return append(dst, "SSL 3.0"...)
	case v > 0x0300 && v <= version13:
		return strconv.AppendUint(append(dst, "TLS 1."...), uint64(v-0x0301), 10)
	case v>>8 == 0x7f:
		return strconv.AppendUint(append(dst, "TLS 1.3 draft "...), uint64(v&0xff), 10)
	}
	return appendNumber(dst, v)
}

// appendSuite appends the name of a cipher suite, or its number.
func appendSuite(dst []byte, s uint16) []byte {
	if name := suiteName(s); name != "" {
		return append(dst, name...)
	}
	return appendNumber(dst, s)
}

func appendNumber(dst []byte, n uint16) []byte {
	return hex.AppendEncode(append(dst, "0x"...), []byte{byte(n >> 8), byte(n)})
}

// Alerts that end no handshake (RFC 8446, 6; RFC 5246, 7.2.2; RFC 6066, 3).
const (
	closeNotify      = 0
	noCertificate    = 41
	userCanceled     = 90
	noRenegotiation  = 100
	unrecognizedName = 112
)

// fatal says whether an alert, level and description, ends the handshake. Since TLS 1.3 the
// level says nothing (RFC 8446, 6).
func fatal(alert [2]byte, tls13 bool) bool {
	switch alert[1] {
	case closeNotify, userCanceled:
		return false
	case noCertificate, noRenegotiation, unrecognizedName:
		return alert[0] == 2
	}
	return alert[0] == 2 || tls13
}

// AppendAlert appends the name of an alert (IANA, TLS Alerts), or its number.
func AppendAlert(dst []byte, alert uint8) []byte {
	if name := alertName(alert); name != "" {
		return append(dst, name...)
	}
	return strconv.AppendUint(append(dst, "alert_"...), uint64(alert), 10)
}

func alertName(alert uint8) string {
	switch alert {
	case closeNotify:
		return "close_notify"
	case 10:
		return "unexpected_message"
	case 20:
		return "bad_record_mac"
	case 21:
		return "decryption_failed"
	case 22:
		return "record_overflow"
	case 30:
		return "decompression_failure"
	case 40:
		return "handshake_failure"
	case noCertificate:
		return "no_certificate"
	case 42:
		return "bad_certificate"
	case 43:
		return "unsupported_certificate"
	case 44:
		return "certificate_revoked"
	case 45:
		return "certificate_expired"
	case 46:
		return "certificate_unknown"
	case 47:
		return "illegal_parameter"
	case 48:
		return "unknown_ca"
	case 49:
		return "access_denied"
	case 50:
		return "decode_error"
	case 51:
		return "decrypt_error"
	case 60:
		return "export_restriction"
	case 70:
		return "protocol_version"
	case 71:
		return "insufficient_security"
	case 80:
		return "internal_error"
	case 86:
		return "inappropriate_fallback"
	case userCanceled:
		return "user_canceled"
	case noRenegotiation:
		return "no_renegotiation"
	case 109:
		return "missing_extension"
	case 110:
		return "unsupported_extension"
	case 111:
		return "certificate_unobtainable"
	case unrecognizedName:
		return "unrecognized_name"
	case 113:
		return "bad_certificate_status_response"
	case 114:
		return "bad_certificate_hash_value"
	case 115:
		return "unknown_psk_identity"
	case 116:
		return "certificate_required"
	case 120:
		return "no_application_protocol"
	case 121:
		return "ech_required"
	}
	return ""
}
