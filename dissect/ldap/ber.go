package ldap

// Tags of the Basic Encoding Rules (X.690) as LDAP uses them (RFC 4511, 5.1).
const (
	tagBool     = 0x01
	tagInt      = 0x02
	tagString   = 0x04
	tagEnum     = 0x0a
	tagSequence = 0x30
	tagControls = 0xa0
)

// verdict is what a look at bytes came to.
type verdict uint8

const (
	bad verdict = iota
	more
	request
	response
	good
)

// value is one element: its tag, and what there is of its contents.
type value struct {
	tag   byte
	b     []byte
	size  int64 // of the contents
	whole bool  // b is all of them
}

// take reads the element that b begins with. rest is what follows it.
func take(b []byte) (v value, rest []byte, is verdict) {
	if len(b) < 2 {
		return v, nil, more
	}
	v.tag = b[0]
	at := 2
	v.size = int64(b[1])
	if n := int(b[1] & 0x7f); b[1] >= 0x80 {
		if n == 0 || n > 4 { // no indefinite lengths
			return v, nil, bad
		}
		if len(b) < 2+n {
			return v, nil, more
		}
		v.size = 0
		for _, c := range b[2 : 2+n] {
			v.size = v.size<<8 | int64(c)
		}
		at += n
	}
	if v.size <= int64(len(b)-at) {
		v.whole = true
		v.b = b[at : at+int(v.size)]
		return v, b[at+int(v.size):], good
	}
	v.b = b[at:]
	return v, nil, good
}

// number is the value of an INTEGER or ENUMERATED, -1 where it is none or none that LDAP has.
func (v *value) number() int64 {
	if v.tag != tagInt && v.tag != tagEnum || !v.whole || v.size < 1 || v.size > 5 || v.b[0] >= 0x80 {
		return -1
	}
	n := int64(0)
	for _, c := range v.b {
		n = n<<8 | int64(c)
	}
	if n > 1<<31-1 {
		return -1
	}
	return n
}
