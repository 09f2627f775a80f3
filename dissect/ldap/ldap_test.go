package ldap

import (
	"encoding/binary"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/dissect/dns"
	"github.com/sshark/sshark/dissect/frames"
	"github.com/sshark/sshark/dissect/http1"
	"github.com/sshark/sshark/dissect/tls"
	"github.com/sshark/sshark/pcap/flow"
)

var update = flag.Bool("update", false, "write the golden files")

const recorded = "testdata/*.pcap"

// TestRecorded reads what testdata/record.sh recorded.
func TestRecorded(t *testing.T) {
	dissecttest.Golden(t, *update, recorded, http1.Protocol(), tls.Protocol(), Protocol(), dns.Protocol())
}

func same(c *dissect.Call) (request, response string) {
	e := c.Message.(*exchange)
	if e.said {
		response = fmt.Sprintf("%d %q %d %d", e.code, e.text, e.entries, c.ResponseSize)
	}
	return fmt.Sprintf("%d %s %d", e.id, e.AppendSummary(nil), c.RequestSize), response
}

func TestCut(t *testing.T) { cuttest.Cut(t, recorded, Protocol(), same) }

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, recorded, Protocol()) }

// el is an element of the contents given.
func el(tag byte, contents ...string) string {
	s := strings.Join(contents, "")
	if len(s) < 0x80 {
		return string([]byte{tag, byte(len(s))}) + s
	}
	return string([]byte{tag, 0x82, byte(len(s) >> 8), byte(len(s))}) + s
}

func str(s string) string { return el(tagString, s) }

// msg is a message.
func msg(id byte, op string, controls ...string) string {
	return el(tagSequence, append([]string{el(tagInt, string([]byte{id})), op}, controls...)...)
}

// result is what answers most requests.
func result(tag, code byte, text string) string {
	return el(tag, el(tagEnum, string([]byte{code})), str(""), str(text))
}

func bind(name, how string) string { return el(opBind, el(tagInt, "\x03"), str(name), how) }

func search(base, filter string) string {
	return el(opSearch, str(base), el(tagEnum, "\x02"), el(tagEnum, "\x00"), el(tagInt, "\x00"), el(tagInt, "\x00"), el(tagBool, "\x00"), filter, el(tagSequence))
}

var (
	c      = cuttest.Client
	s      = cuttest.Server
	alice  = el(filterEqual, str("uid"), str("alice"))
	entry  = el(opEntry, str("uid=alice,dc=x"), el(tagSequence, el(tagSequence, str("uid"), el(0x31, str("alice")))))
	simple = el(0x80, "secret")
	paged  = el(tagControls, el(tagSequence, str("1.2.840.113556.1.4.319"), str("x")))
)

func TestConversations(t *testing.T) {
	cuttest.Cases(t, Protocol(), flow.TCP, same, []cuttest.Case{
		{Name: "bind and search", Steps: []cuttest.Step{
			c(msg(1, bind("cn=admin,dc=x", simple))), s(msg(1, result(opBindResult, 0, ""))),
			c(msg(2, search("dc=x", alice), paged)), s(msg(2, entry) + msg(2, entry) + msg(2, el(opReference, str("ldap://y/")))), s(msg(2, result(opSearchResult, 0, ""), paged)),
			c(msg(3, el(opUnbind)))},
			Want: []string{"bind cn=admin,dc=x simple -> success", "search dc=x sub (uid=alice) -> success", "unbind"}},
		{Name: "kinds of bind", Steps: []cuttest.Step{
			c(msg(1, bind("", el(0x80)))), s(msg(1, result(opBindResult, 0, ""))),
			c(msg(2, bind("", el(0xa3, str("DIGEST-MD5"))))), s(msg(2, result(opBindResult, 14, ""))),
			c(msg(3, bind("cn=x", simple))), s(msg(3, result(opBindResult, 49, "no"))),
			c(msg(4, bind("", el(0x8a, "NTLMSSP")))), s(msg(4, result(opBindResult, 0, "")))},
			Want: []string{"bind anonymous -> success", "bind SASL DIGEST-MD5 -> saslBindInProgress", "!bind cn=x simple -> invalidCredentials", "bind NTLM -> success"}},
		{Name: "changes", Steps: []cuttest.Step{
			c(msg(1, el(opAdd, str("uid=a,dc=x"), el(tagSequence)))), s(msg(1, result(opAddResult, 68, ""))),
			c(msg(2, el(opModify, str("uid=a,dc=x"), el(tagSequence)))), s(msg(2, result(opModifyResult, 0, ""))),
			c(msg(3, el(opModifyDN, str("uid=a,dc=x"), str("uid=b"), el(tagBool, "\xff")))), s(msg(3, result(opModifyDNResult, 0, ""))),
			c(msg(4, el(opDelete, "uid=b,dc=x"))), s(msg(4, result(opDeleteResult, 99, ""))),
			c(msg(5, el(opCompare, str("uid=a,dc=x"), el(tagSequence, str("cn"), str("A"))))), s(msg(5, result(opCompareResult, 6, "")))},
			Want: []string{"!add uid=a,dc=x -> entryAlreadyExists", "modify uid=a,dc=x -> success", "modDN uid=a,dc=x -> success", "!del uid=b,dc=x -> 99",
				"compare uid=a,dc=x cn -> compareTrue"}},
		{Name: "answers in another order", Steps: []cuttest.Step{
			c(msg(1, search("dc=x", alice)) + msg(2, search("dc=y", alice)) + msg(3, el(opDelete, "uid=b"))), s(msg(3, result(opDeleteResult, 0, "")) + msg(1, entry) + msg(2, result(opSearchResult, 32, "")) + msg(1, result(opSearchResult, 0, "")))},
			Want: []string{"del uid=b -> success", "!search dc=y sub (uid=alice) -> noSuchObject", "search dc=x sub (uid=alice) -> success"}},
		{Name: "abandoned", NoDamage: true, Steps: []cuttest.Step{c(msg(1, search("dc=x", alice))), c(msg(2, el(opAbandon, "\x01"))), s(msg(1, result(opSearchResult, 0, "")))},
			Want: []string{"search dc=x sub (uid=alice)", "abandon 1"}},
		{Name: "unanswered", Steps: []cuttest.Step{c(msg(1, search("dc=x", alice))), c(msg(1, search("dc=y", alice)))},
			Want: []string{"search dc=x sub (uid=alice)", "search dc=y sub (uid=alice)"}},
		{Name: "notice of disconnection", Steps: []cuttest.Step{c(msg(1, search("dc=x", alice))), s(msg(0, el(opExtendedResult, el(tagEnum, "\x34"), str(""), str(""), el(0x8a, "1.3.6.1.4.1.1466.20036"))))},
			Want: []string{"search dc=x sub (uid=alice)"}},
		{Name: "StartTLS", Switch: "tlsx \x16\x03\x01", Steps: []cuttest.Step{c(msg(1, el(opExtended, el(0x80, startTLS)))), s(msg(1, result(opExtendedResult, 0, "")) + "\x16\x03\x01")},
			Want: []string{"extended StartTLS -> success"}},
		{Name: "StartTLS refused", Steps: []cuttest.Step{c(msg(1, el(opExtended, el(0x80, startTLS)))), s(msg(1, result(opExtendedResult, 2, "no TLS"))), c(msg(2, el(opUnbind)))},
			Want: []string{"!extended StartTLS -> protocolError", "unbind"}},
		{Name: "bytes missing in an entry", Steps: []cuttest.Step{c(msg(1, search("dc=x", alice))), s(msg(1, entry)[:30]), cuttest.Missing(1, int64(len(msg(1, entry))-30)), s(msg(1, result(opSearchResult, 0, "")))},
			Want: []string{"~search dc=x sub (uid=alice) -> success"}},
		{Name: "bytes missing between entries", Steps: []cuttest.Step{c(msg(1, search("dc=x", alice))), s(msg(1, entry)), cuttest.Missing(1, 500), s(msg(1, result(opSearchResult, 0, "")))},
			Want: []string{"~search dc=x sub (uid=alice) -> success"}},
		{Name: "from the middle", Steps: []cuttest.Step{s(msg(7, entry) + msg(7, result(opSearchResult, 0, ""))), c(msg(8, search("dc=x", alice))), s(msg(8, result(opSearchResult, 0, "")))},
			Want: []string{"search dc=x sub (uid=alice) -> success"}},
		{Name: "something else", GivenUp: true, NoDamage: true, Steps: []cuttest.Step{c("hello"), s("world")}},
	})
}

// buffer is what a security layer that signs makes of messages.
func buffer(header string, messages ...string) string {
	m := header + strings.Join(messages, "")
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(m)))) + m
}

func TestSecurityLayer(t *testing.T) {
	agreed := []cuttest.Step{c(msg(1, bind("", el(0xa3, str("GSS-SPNEGO"), str("token"))))), s(msg(1, result(opBindResult, 0, "")))}
	kerberos := "\x05\x04\x04\xff\x00\x0c\x00\x0c\x00\x00\x00\x00\x12\x34\x56\x78checksum0000"
	ntlm := "\x01\x00\x00\x00\x12\x34\x56\x78\x9a\xbc\xde\xf0\x00\x00\x00\x01"
	cuttest.Cases(t, Protocol(), flow.TCP, same, []cuttest.Case{
		{Name: "signed", Steps: append(agreed[:2:2], c(buffer(kerberos, msg(2, search("dc=x", alice)))), s(buffer(kerberos, msg(2, entry), msg(2, entry), msg(2, result(opSearchResult, 0, "")))),
			c(buffer(ntlm, msg(3, search("dc=x", alice)), msg(4, el(opDelete, "uid=b")))), s(buffer(ntlm, msg(4, result(opDeleteResult, 0, "")))+buffer(ntlm, msg(3, result(opSearchResult, 0, ""))))),
			Want: []string{"bind SASL GSS-SPNEGO -> success", "search dc=x sub (uid=alice) -> success", "del uid=b -> success", "search dc=x sub (uid=alice) -> success"}},
		{Name: "encrypted", Steps: append(agreed[:2:2], c(buffer(kerberos, "\x8f\x13\x30\x02\x11 what nobody can read")), s(buffer(kerberos, "\x30\x85\x11 what nobody can read"))),
			Want: []string{"bind SASL GSS-SPNEGO -> success"}},
		{Name: "bytes missing", Steps: append(agreed[:2:2], cuttest.Missing(0, 100), cuttest.Missing(1, 0), c(buffer(kerberos, msg(2, search("dc=x", alice)))), s(buffer(kerberos, msg(2, result(opSearchResult, 0, ""))))),
			Want: []string{"bind SASL GSS-SPNEGO -> success", "search dc=x sub (uid=alice) -> success"}},
	})
}

func TestFilters(t *testing.T) {
	sub := func(parts ...string) string { return el(filterSubstrings, str("cn"), el(tagSequence, parts...)) }
	deep := alice
	for range 40 {
		deep = el(filterNot, deep)
	}
	for _, tt := range []struct{ filter, want string }{
		{alice, "(uid=alice)"},
		{el(filterPresent, "uid"), "(uid=*)"},
		{el(filterAnd, alice, el(filterOr, alice, el(filterNot, alice))), "(&(uid=alice)(|(uid=alice)(!(uid=alice))))"},
		{el(filterGreater, str("n"), str("9")), "(n>=9)"},
		{el(filterLess, str("n"), str("9")), "(n<=9)"},
		{el(filterApprox, str("n"), str("9")), "(n~=9)"},
		{sub(el(0x80, "a"), el(0x81, "b"), el(0x82, "c")), "(cn=a*b*c)"},
		{sub(el(0x81, "b")), "(cn=*b*)"},
		{sub(el(0x82, "c")), "(cn=*c)"},
		{sub(el(0x80, "a")), "(cn=a*)"},
		{el(filterExtensible, el(0x81, "2.4.6"), el(0x82, "cn"), el(0x83, "v"), el(0x84, "\xff")), "(cn:dn:2.4.6:=v)"},
		{el(filterEqual, str("o"), str("a*(b)\\\x00ü")), `(o=a\2a\28b\29\5c\00ü)`},
		{el(filterAnd), "(&)"},
		{alice[:6], "(ui=)"},
		{deep, strings.Repeat("(!", 17) + "…" + strings.Repeat(")", 17)},
	} {
		f, _, _ := take([]byte(tt.filter))
		if got := string(appendFilter(nil, f, maxFilter, 0)); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestDetect(t *testing.T) {
	const yes, no, unsure = dissect.Yes, dissect.No, dissect.Unsure
	ask, say := msg(1, bind("cn=admin,dc=x", simple)), msg(1, result(opBindResult, 0, ""))
	long := strings.Replace(msg(2, search(strings.Repeat("ou=a,", 30), alice)), "\x30\x82", "\x30\x84\x00\x00", 1)
	for _, tt := range []struct {
		name  string
		data  [2]string
		start bool
		want  dissect.Verdict
		swap  bool
	}{
		{"request", [2]string{ask}, true, yes, false},
		{"response", [2]string{say}, false, yes, true},
		{"response of the other side", [2]string{"", say}, false, yes, false},
		{"request of the other side", [2]string{"", ask}, false, yes, true},
		{"long form of the length", [2]string{long}, true, yes, false},
		{"unbind", [2]string{msg(3, el(opUnbind))}, false, yes, false},
		{"one byte", [2]string{ask[:1]}, true, unsure, false},
		{"beginning", [2]string{ask[:8]}, true, unsure, false},
		{"version 7", [2]string{strings.Replace(ask, "\x02\x01\x03", "\x02\x01\x07", 1)}, true, no, false},
		{"SNMP", [2]string{el(tagSequence, el(tagInt, "\x01"), str("public"), el(0xa0, el(tagInt, "\x01")))}, true, no, false},
		{"bytes behind the operation", [2]string{el(tagSequence, el(tagInt, "\x01"), el(opDelete, "uid=b"), str("x"))}, true, no, false},
		{"indefinite length", [2]string{"\x30\x80\x02\x01\x01"}, true, no, false},
		{"HTTP", [2]string{"GET / HTTP/1.1\r\n\r\n"}, true, no, false},
		{"zeros of text", [2]string{"0000000000000000000000000000000000000000"}, true, no, false},
		{"nothing", [2]string{}, true, no, false},
	} {
		p := dissect.Probe{Transport: flow.TCP, Data: [2][]byte{[]byte(tt.data[0]), []byte(tt.data[1])}, FromStart: [2]bool{tt.start, tt.start}}
		if got := detect(&p); got != tt.want || p.Swap != tt.swap {
			t.Errorf("%s: got %v, swap %v; want %v, %v", tt.name, got, p.Swap, tt.want, tt.swap)
		}
	}
	// No more than 64 bytes are needed.
	for _, m := range []string{ask, say, long, msg(1, entry), msg(1, el(opDelete, strings.Repeat("x", 100)))} {
		if _, v := look([]byte(m[:min(64, len(m))])); v != request && v != response {
			t.Errorf("%q: %v", m, v)
		}
	}
}

func BenchmarkSearches(b *testing.B) {
	k := &cuttest.Counter{}
	p := protocol.New(&dissect.Flow{Transport: flow.TCP}, k)
	ask, say := []byte(msg(1, search("dc=x", alice))), []byte(msg(1, entry)+msg(1, result(opSearchResult, 0, "")))
	k.Bench(b, p, ask, say)
}

// TestLimits: what waits is bounded, and that is told.
func TestLimits(t *testing.T) {
	var steps []cuttest.Step
	for n := range frames.MaxPending + 5 {
		id := string([]byte{0, byte(n >> 16), byte(n >> 8), byte(n)})
		steps = append(steps, cuttest.Step{Data: []byte(el(tagSequence, el(tagInt, id), bind("", el(0x80)))), Time: int64(n + 1)})
	}
	told, err := cuttest.Play(t, Protocol(), steps, 0, nil)
	if err != nil || len(told) != frames.MaxPending+5 || !told[0].Incomplete || told[5].Incomplete {
		t.Errorf("%d calls, %v", len(told), err)
	}
}
