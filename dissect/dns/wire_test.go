package dns

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
)

func TestDetect(t *testing.T) {
	const yes, no, unsure = dissect.Yes, dissect.No, dissect.Unsure
	ask := query(t, 7, "www.example", 1)
	say := answer(t, 7, "www.example", 1, 0, "www.example. 1 IN A 10.0.0.1")
	nbns := append([]byte{0, 9, 1, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 32}, bytes.Repeat([]byte("CA"), 16)...)
	nbns = append(nbns, 0, 0, 0x20, 0, 1)
	nbnsSays := append([]byte{0, 9, 0x85, 0, 0, 0, 0, 1, 0, 0, 0, 0, 32}, bytes.Repeat([]byte("CA"), 16)...)
	nbnsSays = append(nbnsSays, 0, 0, 0x21, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0)
	ntp := make([]byte, 48)
	copy(ntp, []byte{0x23, 2, 6, 0xe9, 0, 0, 4, 0x2a})
	quic := append([]byte{0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0x9e}, make([]byte, 1182)...)
	rtp := append([]byte{0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4}, bytes.Repeat([]byte{0x7f}, 160)...)
	loop := []byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1}
	header := []byte{0, 1, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	for _, tt := range []struct {
		name  string
		proto flow.Proto
		data  []byte
		port  uint16
		want  dissect.Verdict
		swap  bool
	}{
		{"query", flow.UDP, ask, 10053, yes, false},
		{"response", flow.UDP, say, 10053, yes, true},
		{"response cut in the answer", flow.UDP, say[:len(say)-2], 10053, yes, true},
		{"cut in the question", flow.UDP, ask[:20], 10053, no, false},
		{"cut in the question, on the port", flow.UDP, ask[:20], 53, yes, false},
		{"bytes behind", flow.UDP, append(bytes.Clone(ask), 0, 0), 10053, no, false},
		{"bytes behind, on the port", flow.UDP, append(bytes.Clone(ask), 0, 0), 53, yes, false},
		{"header only", flow.UDP, header, 10053, no, false},
		{"header only, on the port", flow.UDP, header, 53, yes, true},
		{"nothing", flow.UDP, nil, 53, no, false},
		{"name that points at itself", flow.UDP, loop, 10053, no, false},
		{"netbios", flow.UDP, nbns, 137, no, false},
		{"netbios response", flow.UDP, nbnsSays, 137, no, false},
		{"ntp", flow.UDP, ntp, 123, no, false},
		{"quic", flow.UDP, quic, 443, no, false},
		{"rtp", flow.UDP, rtp, 5004, no, false},
		{"zeros", flow.UDP, make([]byte, 100), 10053, no, false},
		{"TCP query", flow.TCP, framed(ask), 10053, yes, false},
		{"TCP response", flow.TCP, framed(say), 10053, yes, true},
		{"TCP, two queries", flow.TCP, framed(ask, ask), 10053, yes, false},
		{"TCP, length alone", flow.TCP, framed(ask)[:2], 10053, no, false},
		{"TCP, one byte", flow.TCP, framed(ask)[:1], 10053, unsure, false},
		{"TCP, cut in the question", flow.TCP, framed(ask)[:20], 10053, unsure, false},
		{"TCP, HTTP", flow.TCP, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 80, no, false},
		{"TCP, TLS", flow.TCP, append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, make([]byte, 506)...), 443, no, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := dissect.Probe{Transport: tt.proto, Data: [2][]byte{tt.data}, Ports: [2]uint16{40000, tt.port}}
			if got := Protocol().Detect(&p); got != tt.want || p.Swap != tt.swap {
				t.Errorf("got %v, swap %v; want %v, %v", got, p.Swap, tt.want, tt.swap)
			}
		})
	}
}

// TestRandomBytesAreNotClaimed: of what looks like nothing, next to nothing is taken.
func TestRandomBytesAreNotClaimed(t *testing.T) {
	cuttest.Unclaimed(t, Protocol(), func(r *rand.Rand) int { return 12 + r.IntN(100) })
}

func TestRecordData(t *testing.T) {
	for _, tt := range []struct{ record, want string }{
		{"x. 1 IN A 192.0.2.1", "192.0.2.1"},
		{"x. 1 IN AAAA 2001:db8::1", "2001:db8::1"},
		{"x. 1 IN CNAME a.b.c.", "a.b.c"},
		{"x. 1 IN NS ns.x.", "ns.x"},
		{"x. 1 IN PTR host.x.", "host.x"},
		{"x. 1 IN DNAME y.", "y"},
		{"x. 1 IN MX 10 mail.x.", "10 mail.x"},
		{"x. 1 IN SRV 1 2 8080 host.x.", "1 2 8080 host.x"},
		{"x. 1 IN SOA ns.x. root.x. 1 2 3 4 5", "ns.x root.x 1 2 3 4 5"},
		{`x. 1 IN TXT "v=spf1 " "-all"`, "v=spf1 -all"},
		{`x. 1 IN CAA 0 issue "ca.example"`, "0 issue ca.example"},
		{`x. 1 IN HTTPS 1 . alpn="h2,h3" port=8443 ipv4hint="192.0.2.1,192.0.2.2" ipv6hint="2001:db8::1"`, "1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1"},
		{"x. 1 IN DS 1 8 2 00FF", `\# 6 0001080200ff`},
		{`x. 1 IN CNAME with\.dot.a\\b.\001\255.`, `with\.dot.a\\b.\001\255`},
	} {
		b := answer(t, 1, "x", 255, 0, tt.record)
		s, v := parse(b)
		m := message{shape: s, b: b}
		var got string
		m.eachAnswer(func(r record) { got = string(appendData(nil, b, r)) })
		if v != good || got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.record, got, tt.want)
		}
	}
}

func TestFields(t *testing.T) {
	ask, say := query(t, 1, "www.example", 1), answer(t, 1, "www.example", 1, 3, "www.example. 1 IN CNAME a.example.")
	want := map[string]any{
		"dns_request": true, "dns_response": true, "dns_questions": []string{"www.example"}, "dns_question_types": []string{"A"},
		"dns_rcode": int64(3), "status_code": int64(3), "dns_answers": []string{"a.example"},
		"dns_request_length": int64(len(ask)), "dns_response_length": int64(len(say)), "dns_total_size": int64(len(ask) + len(say)),
	}
	k := &sink{t: t, each: func(c *dissect.Call) {
		for _, f := range Protocol().Fields {
			if got := f.Get(c); !reflect.DeepEqual(got, want[f.Name]) {
				t.Errorf("%s is %#v, want %#v", f.Name, got, want[f.Name])
			}
		}
	}}
	if err := run(k, newFlow(flow.UDP), []step{q(ask), r(say)}, 0); err != nil {
		t.Fatal(err)
	}
	var printed, wanted map[string]any
	b, _ := json.Marshal(want)
	if err := json.Unmarshal(b, &wanted); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(k.lines[0]), &printed); err != nil || !reflect.DeepEqual(printed, wanted) {
		t.Errorf("printed %s, want %s: %v", k.lines[0], b, err)
	}
}

func TestAnswers(t *testing.T) {
	a := netip.MustParseAddr
	mine := new(mdns.Msg)
	rr, err := mdns.NewRR("printer.local. 120 IN A 10.0.0.9")
	if err != nil {
		t.Fatal(err)
	}
	mine.Response, mine.Answer = true, []mdns.RR{rr}
	for _, tt := range []struct {
		name string
		b    []byte
		want []Answer
	}{
		{"address", answer(t, 1, "a.x", 1, 0, "a.x. 5 IN A 10.0.0.1", "a.x. 6 IN A 10.0.0.2"), []Answer{{"a.x", a("10.0.0.1"), 5}, {"a.x", a("10.0.0.2"), 6}}},
		{"name that was asked for", answer(t, 1, "www.x", 28, 0, "www.x. 1 IN CNAME a.x.", "a.x. 5 IN AAAA 2001:db8::1"), []Answer{{"www.x", a("2001:db8::1"), 5}}},
		{"mDNS", packed(t, mine), []Answer{{"printer.local", a("10.0.0.9"), 120}}},
		{"no address", answer(t, 1, "a.x", 15, 0, "a.x. 1 IN MX 1 m.x."), nil},
		{"failure", answer(t, 1, "a.x", 1, 3), nil},
		{"query", query(t, 1, "a.x", 1), nil},
		{"nothing", nil, nil},
	} {
		if got := Answers(nil, tt.b); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// FuzzParser plays datagrams or a stream. Messages that miekg/dns can read are read as it does.
func FuzzParser(f *testing.F) {
	ask, say := query(f, 1, "a.example", 1), answer(f, 1, "a.example", 1, 0, "a.example. 60 IN CNAME b.", "b. 1 IN A 10.0.0.1")
	f.Add(ask, say, false, uint8(0))
	f.Add(framed(ask, ask), framed(say, say), true, uint8(3))
	f.Add([]byte{0, 1, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 'a', 0xc0, 12, 0, 1, 0, 1}, say[:30], false, uint8(9))
	memory := memtest.New(cuttest.Memory)
	f.Fuzz(func(t *testing.T, a, b []byte, tcp bool, gap uint8) {
		memory.Input()
		proto := flow.UDP
		if tcp {
			proto = flow.TCP
		}
		k := &sink{t: t, memory: memory, each: func(c *dissect.Call) {
			for _, f := range fields {
				f.Get(c)
			}
			if e := c.Message.(*exchange); !e.req.seen && !e.resp.seen {
				t.Error("a call of nothing")
			}
		}}
		steps := []step{q(a), r(b), {d: 1, gap: int64(gap)}, r(b), q(b), r(a)}
		_ = run(k, newFlow(proto), steps, int(gap))
		Answers(nil, a)
	})
}

// FuzzAgainstLibrary compares names and types with those that another reader finds.
func FuzzAgainstLibrary(f *testing.F) {
	f.Add(query(f, 1, "a.example", 1))
	f.Add(answer(f, 1, "a.example", 28, 3, "a.example. 60 IN CNAME b."))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, v := parse(b)
		if v != good || s.extra || !s.sane(b, true) {
			return
		}
		var m mdns.Msg
		if err := m.Unpack(b); err != nil {
			return // it looks into records more closely
		}
		if int(s.questions) != len(m.Question) || int(s.records) != len(m.Answer)+len(m.Ns)+len(m.Extra) || s.id != m.Id {
			t.Errorf("%d questions, %d records of %v", s.questions, s.records, m.String())
		}
		i := 0
		message := message{shape: s, b: b}
		message.eachQuestion(func(q question) {
			name, ok := appendName(nil, b, q.name)
			if q.kind != m.Question[i].Qtype || !ok || len(name) > len(m.Question[i].Name) && bytes.IndexByte(name, '\\') < 0 && string(name) != "." {
				t.Errorf("question %d: %q %d, want %v", i, name, q.kind, m.Question[i])
			}
			i++
		})
	})
}

func ExampleAnswers() {
	m := new(mdns.Msg)
	m.SetQuestion("cart.shop.", mdns.TypeA)
	m.Response = true
	m.Answer = []mdns.RR{&mdns.A{Hdr: mdns.RR_Header{Name: "cart.shop.", Rrtype: mdns.TypeA, Class: 1, Ttl: 30}, A: []byte{10, 96, 0, 7}}}
	payload, _ := m.Pack()
	for _, a := range Answers(nil, payload) {
		fmt.Println(a.Name, a.Addr, a.TTL)
	}
	// Output: cart.shop 10.96.0.7 30
}
