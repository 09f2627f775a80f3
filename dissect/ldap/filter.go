package ldap

// maxDepth is how deep a filter is followed.
const maxDepth = 16

// Kinds of filters (RFC 4511, 4.5.1.7).
const (
	filterAnd        = 0xa0
	filterOr         = 0xa1
	filterNot        = 0xa2
	filterEqual      = 0xa3
	filterSubstrings = 0xa4
	filterGreater    = 0xa5
	filterLess       = 0xa6
	filterPresent    = 0x87
	filterApprox     = 0xa8
	filterExtensible = 0xa9
)

// appendFilter appends a filter as text (RFC 4515), up to limit bytes in all, and of one that
// is cut what there is.
func appendFilter(dst []byte, f value, limit, depth int) []byte {
	if depth > maxDepth || len(dst) >= limit {
		return append(dst, "…"...)
	}
	dst = append(dst, '(')
	switch f.tag {
	case filterAnd, filterOr, filterNot:
		dst = append(dst, "&|!"[f.tag-filterAnd])
		for rest := f.b; len(rest) > 0; {
			var v value
			var is verdict
			if v, rest, is = take(rest); is != good {
				break
			}
			dst = appendFilter(dst, v, limit, depth+1)
			if len(dst) >= limit {
				break
			}
		}
	case filterEqual, filterGreater, filterLess, filterApprox:
		name, rest, _ := take(f.b)
		v, _, _ := take(rest)
		dst = append(dst, name.b...)
		dst = append(dst, comparison(f.tag)...)
		dst = appendAssertion(dst, v.b)
	case filterSubstrings:
		name, rest, _ := take(f.b)
		dst = append(append(dst, name.b...), '=')
		parts, _, _ := take(rest)
		end := false
		for rest := parts.b; len(rest) > 0 && len(dst) < limit; {
			var v value
			var is verdict
			if v, rest, is = take(rest); is != good {
				break
			}
			if v.tag != 0x80 {
				dst = append(dst, '*')
			}
			dst = appendAssertion(dst, v.b)
			end = v.tag == 0x82
		}
		if !end {
			dst = append(dst, '*')
		}
	case filterPresent:
		dst = append(append(dst, f.b...), "=*"...)
	case filterExtensible:
		dst = appendExtensible(dst, f.b)
	}
	return append(dst, ')')
}

func comparison(tag byte) string {
	switch tag {
	case filterGreater:
		return ">="
	case filterLess:
		return "<="
	case filterApprox:
		return "~="
	}
	return "="
}

// appendExtensible appends a match with a rule: "cn:dn:2.4.6:=value".
func appendExtensible(dst, b []byte) []byte {
	var parts [5]value
	for len(b) > 0 {
		var v value
		var is verdict
		if v, b, is = take(b); is != good {
			break
		}
		if v.tag >= 0x81 && v.tag <= 0x84 {
			parts[v.tag-0x80] = v
		}
	}
	dst = append(dst, parts[2].b...)
	if dn := parts[4].b; len(dn) > 0 && dn[0] != 0 {
		dst = append(dst, ":dn"...)
	}
	if rule := parts[1].b; len(rule) > 0 {
		dst = append(append(dst, ':'), rule...)
	}
	return appendAssertion(append(dst, ":="...), parts[3].b)
}

// appendAssertion appends a value, with what would not be text or mean something escaped.
func appendAssertion(dst, b []byte) []byte {
	const hex = "0123456789abcdef"
	for _, c := range b {
		if c < ' ' || c == 0x7f || c == '(' || c == ')' || c == '*' || c == '\\' {
			dst = append(dst, '\\', hex[c>>4], hex[c&15])
			continue
		}
		dst = append(dst, c)
	}
	return dst
}
