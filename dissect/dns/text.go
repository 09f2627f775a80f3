package dns

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// appendLabel appends one label in text form.
func appendLabel(dst, label []byte) []byte {
	plain := true
	for _, c := range label {
		if c <= ' ' || c >= 0x7f || c == '.' || c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		return append(dst, label...)
	}
	for len(label) > 0 {
		r, n := utf8.DecodeRune(label)
		switch {
		case r == '.' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == utf8.RuneError && n == 1, !unicode.IsPrint(r):
			for _, c := range label[:n] {
				dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			}
		default:
			dst = append(dst, label[:n]...)
		}
		label = label[n:]
	}
	return dst
}

// appendData appends the data of a record in text form: the address of A and AAAA, the name
// of CNAME and the like, and what a zone file would have for others, names without their last
// dot; what is not known comes as RFC 3597 has it.
func appendData(dst, b []byte, r record) []byte {
	d := b[r.data:r.end]
	be := binary.BigEndian
	name := func(off int) bool {
		if r.data+off >= r.end {
			return false
		}
		var ok bool
		dst, ok = appendName(dst, b[:r.end], r.data+off)
		return ok
	}
	start := len(dst)
	switch {
	case r.kind == typeA && len(d) == 4:
		return netip.AddrFrom4([4]byte(d)).AppendTo(dst)
	case r.kind == typeAAAA && len(d) == 16:
		return netip.AddrFrom16([16]byte(d)).AppendTo(dst)
	case r.kind == typeNS, r.kind == typeCNAME, r.kind == typePTR, r.kind == typeDNAME:
		if name(0) {
			return dst
		}
	case r.kind == typeMX && len(d) > 2:
		dst = append(strconv.AppendUint(dst, uint64(be.Uint16(d)), 10), ' ')
		if name(2) {
			return dst
		}
	case r.kind == typeSRV && len(d) > 6:
		for i := range 3 {
			dst = append(strconv.AppendUint(dst, uint64(be.Uint16(d[2*i:])), 10), ' ')
		}
		if name(6) {
			return dst
		}
	case r.kind == typeSOA:
		if second, v := skipName(b[:r.end], r.data, nil); v == good && name(0) {
			dst = append(dst, ' ')
			third, v := skipName(b[:r.end], second, nil)
			if v == good && name(second-r.data) && r.end-third == 20 {
				for i := range 5 {
					dst = strconv.AppendUint(append(dst, ' '), uint64(be.Uint32(b[third+4*i:])), 10)
				}
				return dst
			}
		}
	case r.kind == typeTXT, r.kind == typeSPF:
		for rest := d; len(rest) > 0; {
			n := int(rest[0])
			if n >= len(rest) {
				n = len(rest) - 1
			}
			dst = append(dst, rest[1:1+n]...)
			rest = rest[1+n:]
		}
		return dst
	case r.kind == typeCAA && len(d) > 2 && int(d[1])+2 <= len(d):
		dst = append(strconv.AppendUint(dst, uint64(d[0]), 10), ' ')
		dst = append(append(dst, d[2:2+d[1]]...), ' ')
		return append(dst, d[2+int(d[1]):]...)
	case (r.kind == typeHTTPS || r.kind == typeSVCB) && len(d) > 2:
		dst = append(strconv.AppendUint(dst, uint64(be.Uint16(d)), 10), ' ')
		if next, v := skipName(b[:r.end], r.data+2, nil); v == good && name(2) {
			return appendParams(dst, b[next:r.end])
		}
	}
	dst = append(dst[:start], `\# `...)
	dst = strconv.AppendInt(dst, int64(len(d)), 10)
	if len(d) > 0 {
		dst = hex.AppendEncode(append(dst, ' '), d)
	}
	return dst
}

// appendParams appends the parameters of a service binding (RFC 9460, 2.2).
func appendParams(dst, d []byte) []byte {
	be := binary.BigEndian
	for len(d) >= 4 {
		key, n := be.Uint16(d), int(be.Uint16(d[2:]))
		if d = d[4:]; n > len(d) {
			return dst
		}
		v := d[:n]
		d = d[n:]
		dst = append(dst, ' ')
		switch {
		case key == 1: // ALPN identifiers, each with its length
			dst = append(dst, "alpn="...)
			for first := true; len(v) > 0 && int(v[0]) < len(v); first = false {
				if !first {
					dst = append(dst, ',')
				}
				dst = append(dst, v[1:1+v[0]]...)
				v = v[1+v[0]:]
			}
		case key == 3 && n == 2:
			dst = strconv.AppendUint(append(dst, "port="...), uint64(be.Uint16(v)), 10)
		case key == 4 && n%4 == 0, key == 6 && n%16 == 0:
			size := 4
			dst = append(dst, "ipv4hint="...)
			if key == 6 {
				size = 16
				dst = append(dst[:len(dst)-len("ipv4hint=")], "ipv6hint="...)
			}
			for i := 0; i < n; i += size {
				if i > 0 {
					dst = append(dst, ',')
				}
				a, _ := netip.AddrFromSlice(v[i : i+size])
				dst = a.AppendTo(dst)
			}
		default:
			dst = strconv.AppendUint(append(dst, "key"...), uint64(key), 10)
			if n > 0 {
				dst = hex.AppendEncode(append(dst, "=0x"...), v)
			}
		}
	}
	return dst
}

// typeName is the name of a record type, "" if it is not known (IANA DNS parameters).
func typeName(t uint16) string {
	switch {
	case int(t) < len(typeNames):
		return typeNames[t]
	case t >= 249 && t <= 263:
		return [...]string{"TKEY", "TSIG", "IXFR", "AXFR", "MAILB", "MAILA", "ANY", "URI", "CAA", "AVC", "DOA", "AMTRELAY", "RESINFO", "WALLET", "CLA"}[t-249]
	case t == 32768:
		return "TA"
	case t == 32769:
		return "DLV"
	case t == 65281:
		return "WINS"
	case t == 65282:
		return "WINS-R"
	}
	return ""
}

var typeNames = [110]string{
	1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL",
	11: "WKS", 12: "PTR", 13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN",
	21: "RT", 22: "NSAP", 23: "NSAP-PTR", 24: "SIG", 25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT",
	31: "EID", 32: "NIMLOC", 33: "SRV", 34: "ATMA", 35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 40: "SINK",
	41: "OPT", 42: "APL", 43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID",
	50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 56: "NINFO", 57: "RKEY", 58: "TALINK", 59: "CDS",
	60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 66: "DSYNC",
	99: "SPF", 104: "NID", 105: "L32", 106: "L64", 107: "LP", 108: "EUI48", 109: "EUI64",
}

func appendType(dst []byte, t uint16) []byte {
	if n := typeName(t); n != "" {
		return append(dst, n...)
	}
	return strconv.AppendUint(append(dst, "TYPE"...), uint64(t), 10)
}

// rcodeNames are the response codes (RFC 6895, 2.3).
var rcodeNames = [24]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI",
	16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME", 21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE",
}

func appendRcode(dst []byte, r uint16) []byte {
	if int(r) < len(rcodeNames) && rcodeNames[r] != "" {
		return append(dst, rcodeNames[r]...)
	}
	return strconv.AppendUint(append(dst, "RCODE"...), uint64(r), 10)
}
