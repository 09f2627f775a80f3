package quic

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
)

// TestKeys has the examples of RFC 9001, A.1, and RFC 9369, A.1.
func TestKeys(t *testing.T) {
	for _, c := range []struct {
		version uint32
		side    int
		key     string
		iv, hp  string
	}{
		{version1, 0, "1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2"},
		{version1, 1, "cf3a5331653c364c88f0f379b6067e37", "0ac1493ca1905853b0bba03e", "c206b8d9b9f0f37644430b490eeaa314"},
		{version2, 0, "8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9"},
		{version2, 1, "82db637861d55e1d011f19ea71d5d2a7", "dd13c276499c0249d3310652", "edf6d05c83121201b436e16877593c3a"},
	} {
		k := initialKeys(recipes(c.version)[0], unhex(t, "8394c8f03e515708"))[c.side]
		if got := hex.EncodeToString(k.iv[:]); got != c.iv {
			t.Errorf("%#x %d: iv %s", c.version, c.side, got)
		}
		var got, want [16]byte
		k.hp.Encrypt(got[:], got[:])
		if newAES(unhex(t, c.hp)).Encrypt(want[:], want[:]); got != want {
			t.Errorf("%#x %d: header protection", c.version, c.side)
		}
		aead, err := cipher.NewGCM(newAES(unhex(t, c.key)))
		if err != nil {
			t.Fatal(err)
		}
		if nonce := make([]byte, 12); !bytes.Equal(k.aead.Seal(nil, nonce, nil, nil), aead.Seal(nil, nonce, nil, nil)) {
			t.Errorf("%#x %d: key", c.version, c.side)
		}
	}
}

// TestServerInitial opens the packet of RFC 9001, A.3.
func TestServerInitial(t *testing.T) {
	b := unhex(t, "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcb"+
		"a3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee")
	h, ok := readLong(b)
	if !ok || h.kind != initial || h.cut || h.end != len(b) {
		t.Fatalf("%+v", h)
	}
	k := initialKeys(recipe1, unhex(t, "8394c8f03e515708"))
	frames, n, ok := k[1].open(bytes.Clone(b), h.body, 0)
	if !ok || n != 1 || !bytes.HasPrefix(frames, unhex(t, "02000000000600405a020000560303")) {
		t.Errorf("%v %d %x", ok, n, frames)
	}
	b[len(b)-1]++
	if _, _, ok := k[1].open(b, h.body, 0); ok {
		t.Error("a changed packet is authentic")
	}
}

func TestConnections(t *testing.T) {
	const quic, tls = "Initial a.example -> QUIC v1", "ClientHello a.example -> TLS 1.3"
	m := hello("a.example")
	for _, test := range []struct {
		name string
		make func() []datagram
		want []string
	}{
		{"one packet each way", func() []datagram {
			a, b := pair(version1, "first id")
			return []datagram{c(a.initial(crypto(0, m))), s(b.initial(ack, crypto(0, reply)))}
		}, []string{quic, tls}},
		{"version 2", func() []datagram {
			a, b := pair(version2, "first id")
			return []datagram{c(a.initial(crypto(0, m))), s(b.initial(crypto(0, reply)))}
		}, []string{"Initial a.example -> QUIC v2", tls}},
		{"the server chooses version 2", func() []datagram {
			a, _ := pair(version1, "first id")
			a2, b2 := pair(version2, "first id")
			return []datagram{c(a.initial(crypto(0, m))), s(b2.initial(crypto(0, reply))), c(a2.initial(ack))}
		}, []string{"Initial a.example -> QUIC v2", tls}},
		{"drafts", func() (all []datagram) {
			for _, v := range []uint32{0xff000017, 0xff00001c, 0xff00001d, 0xff000020, 0xff000021} {
				a, b := pair(v, "first id"+string(rune('a'+v%16)))
				all = append(all, c(a.initial(crypto(0, m))), s(b.initial(crypto(0, reply))))
			}
			return all
		}, []string{"Initial a.example -> QUIC draft-23", tls, "Initial a.example -> QUIC draft-28", tls, "Initial a.example -> QUIC draft-29", tls,
			"Initial a.example -> QUIC draft-32", tls, "Initial a.example -> QUIC draft-33", tls}},
		{"draft 22, and Chromium's", func() (all []datagram) {
			for _, v := range []uint32{draftFirst, versionT050, versionT051} {
				a, b := pair(v, "first id"+string(rune('a'+v%16)))
				first := crypto(0, m)
				if v != draftFirst {
					first = string([]byte{frameCryptoT}) + first[1:]
				}
				all = append(all, c(a.initial(first)), s(b.initial(first[:1]+crypto(0, reply)[1:])))
			}
			return all
		}, []string{"Initial a.example -> QUIC draft-22", tls, "Initial a.example -> QUIC T050", tls, "Initial a.example -> QUIC T051", tls}},
		{"mvfst, as each draft", func() (all []datagram) {
			for i, r := range anyRecipe {
				a, b := pairOf(0xfaceb001+uint32(i), r, "first id"+string(rune('a'+i)))
				all = append(all, c(a.initial(crypto(0, m))), s(b.initial(crypto(0, reply))))
			}
			return all
		}, []string{"Initial a.example -> QUIC mvfst", tls, "Initial a.example -> QUIC mvfst", tls, "Initial a.example -> QUIC mvfst", tls,
			"Initial a.example -> QUIC mvfst", tls}},
		{"a version that nobody speaks, then another", func() []datagram {
			a, _ := pairOf(0x1a2a3a4a, recipe29, "first id")
			b, r := pair(version1, "first id")
			return []datagram{c(a.initial(crypto(0, m))), s("\x80\x00\x00\x00\x00\x06client\x08first id\x00\x00\x00\x01"),
				c(b.initial(crypto(0, m))), s(r.initial(crypto(0, reply)))}
		}, []string{"Initial a.example -> Version Negotiation", "ClientHello a.example", quic, tls}},
		{"frames in disorder, over packets", func() []datagram {
			a, b := pair(version1, "first id")
			return []datagram{c(a.initial("\x01", crypto(40, m[40:60]), "\x00\x00", crypto(70, m[70:]))), c(a.initial(crypto(10, m[10:45]), "\x01", crypto(0, m[:10]))),
				c(a.initial(crypto(50, m[50:75]))), s(b.initial(crypto(50, reply[50:]), crypto(0, reply[:50])))}
		}, []string{quic, tls}},
		{"sent again", func() []datagram {
			a, b := pair(version1, "first id")
			return []datagram{c(a.initial(crypto(0, m[:50]))), c(a.initial(crypto(0, m[:50]))), c(a.initial(crypto(0, m))), c(a.initial(crypto(0, m))),
				s(b.initial(ack)), s(b.initial(crypto(0, reply))), s(b.initial(crypto(0, reply))), c(a.initial(crypto(0, m)))}
		}, []string{quic, tls}},
		{"coalesced", func() []datagram {
			a, b := pair(version1, "first id")
			later := "\xe0\x00\x00\x00\x01\x06client\x0athe server" + string(number(40)) + strings.Repeat("x", 40)
			return []datagram{c(a.initial(crypto(0, m[:30])), a.initial(crypto(30, m[30:])), "\x00\x00\x00"),
				s(b.initial(crypto(0, reply[:30])), b.initial(crypto(30, reply[30:])), later, "\x40 short")}
		}, []string{quic, tls}},
		{"retry", func() []datagram {
			a, _ := pair(version1, "first id")
			a2, b2 := pair(version1, "other id")
			a2.number, a2.token = 1, "token"
			retry := "\xf0\x00\x00\x00\x01\x06client\x08other idtoken" + strings.Repeat("t", tagSize)
			return []datagram{c(a.initial(crypto(0, m))), s(retry), c(a2.initial(crypto(0, m))), s(b2.initial(crypto(0, reply)))}
		}, []string{quic, tls}},
		{"retry, and no more", func() []datagram {
			a, _ := pair(version1, "first id")
			return []datagram{c(a.initial(crypto(0, m))), s("\xf0\x00\x00\x00\x01\x06client\x08other idtoken" + strings.Repeat("t", tagSize))}
		}, []string{"Initial a.example -> Retry", "ClientHello a.example"}},
		{"version negotiation", func() []datagram {
			a, _ := pair(version2, "first id")
			b, r := pair(version1, "first id")
			return []datagram{c(a.initial(crypto(0, m))), s("\x80\x00\x00\x00\x00\x06client\x08first id\x00\x00\x00\x01"),
				c(b.initial(crypto(0, m))), s(r.initial(crypto(0, reply)))}
		}, []string{"Initial a.example -> Version Negotiation", "ClientHello a.example", quic, tls}},
		{"hello retry", func() []datagram {
			a, b := pair(version1, "first id")
			return []datagram{c(a.initial(crypto(0, m))), s(b.initial(crypto(0, again))), c(a.initial(ack, crypto(len(m), m))), s(b.initial(crypto(len(again), reply)))}
		}, []string{"ClientHello a.example -> HelloRetryRequest", quic, tls}},
		{"refused", func() []datagram {
			a, b := pair(version1, "first id")
			return []datagram{c(a.initial(crypto(0, m))), s(b.initial(ack, closing(0x178)))}
		}, []string{"!Initial a.example -> no_application_protocol", "!ClientHello a.example -> no_application_protocol"}},
		{"refused without a reason of TLS", func() []datagram {
			a, b := pair(version1, "first id")
			return []datagram{c(a.initial(crypto(0, m))), s(b.initial(closing(2)))}
		}, []string{"!Initial a.example -> CONNECTION_REFUSED", "ClientHello a.example"}},
		{"no answer", func() []datagram {
			a, _ := pair(version1, "first id")
			return []datagram{c(a.initial(crypto(0, m)))}
		}, []string{"Initial a.example", "ClientHello a.example"}},
		{"half a hello", func() []datagram {
			a, b := pair(version1, "first id")
			return []datagram{c(a.initial(crypto(0, m[:75]))), s(b.initial(ack))}
		}, []string{"~Initial a.example -> QUIC v1", "~ClientHello a.example"}},
		{"cut by the capture", func() []datagram {
			a, b := pair(version1, "first id")
			return []datagram{c(a.initial(crypto(0, m))[:60]), s(b.initial(crypto(0, reply))[:60])}
		}, []string{"~Initial -> QUIC v1"}},
		{"from the server", func() []datagram {
			a, b := pair(version1, "first id")
			return []datagram{s(a.initial(crypto(0, m))), c(b.initial(crypto(0, reply)))}
		}, []string{"<" + quic, "<" + tls}},
		{"two at once", func() []datagram {
			a, b := pair(version1, "first id")
			a2, b2 := pair(version1, "other id")
			a2.scid, b2.dcid = "second", "second"
			return []datagram{c(a.initial(crypto(0, m))), c(a2.initial(crypto(0, hello("b.example")))), s(b2.initial(crypto(0, reply))), s(b.initial(crypto(0, reply)))}
		}, []string{"Initial b.example -> QUIC v1", "ClientHello b.example -> TLS 1.3", quic, tls}},
		{"no ids", func() []datagram {
			a, b := pair(version1, "first id")
			a.scid, b.dcid, b.scid = "", "", ""
			return []datagram{c(a.initial(crypto(0, m))), s(b.initial(crypto(0, reply)))}
		}, []string{quic, tls}},
		{"not authentic", func() []datagram {
			a, _ := pair(version1, "first id")
			a.dcid = "wrong id"
			return []datagram{c(a.initial(crypto(0, m)))}
		}, nil},
		{"answer alone", func() []datagram {
			_, b := pair(version1, "first id")
			return []datagram{s(b.initial(crypto(0, reply)))}
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			whole := test.make()
			k, p := play(t, whole)
			if !slices.Equal(k.calls, test.want) {
				t.Fatalf("got\n%s\nwant\n%s", strings.Join(k.calls, "\n"), strings.Join(test.want, "\n"))
			}
			if !p.Idle() {
				t.Error("not idle")
			}
			damage(t, whole, test.want)
		})
	}
}

// damage leaves datagrams out, cuts them, doubles them and turns them round: there is no
// complete call that the whole does not have.
func damage(t *testing.T, whole []datagram, want []string) {
	t.Helper()
	check := func(what string, datagrams []datagram) {
		k, _ := play(t, datagrams)
		for _, call := range k.calls {
			asked, _, answered := strings.Cut(strings.TrimLeft(call, "<!"), " -> ")
			if call[0] == '~' || strings.HasPrefix(call, "<~") || slices.Contains(want, call) {
				continue
			}
			if answered && !strings.HasSuffix(call, " -> Retry") || !slices.ContainsFunc(want, func(w string) bool { return strings.HasPrefix(strings.TrimLeft(w, "<!"), asked) }) {
				t.Errorf("%s: invented %s", what, call)
			}
		}
	}
	for i := range whole {
		check("without one", slices.Delete(slices.Clone(whole), i, i+1))
		check("with one twice", slices.Insert(slices.Clone(whole), i, whole[i]))
		check("from one on", whole[i:])
		for n := 0; n < len(whole[i].data); n += 1 + n/40 {
			cut := slices.Clone(whole)
			cut[i].data = cut[i].data[:n]
			check("cut", cut)
		}
		if i > 0 && whole[i].d == whole[i-1].d {
			turned := slices.Clone(whole)
			turned[i], turned[i-1] = turned[i-1], turned[i]
			check("turned round", turned)
		}
	}
}

// TestRecordedDamaged damages what was recorded.
func TestRecordedDamaged(t *testing.T) {
	for _, flow := range recorded(t) {
		k, _ := play(t, flow)
		damage(t, flow, k.calls)
	}
}

// recorded are the datagrams of each flow of the captures, no more of each than the handshake
// needs.
func recorded(t testing.TB) (all [][]datagram) {
	files, err := filepath.Glob("testdata/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	listen := &dissect.Protocol{Name: "any", Transport: []flow.Proto{flow.UDP},
		Detect: func(*dissect.Probe) dissect.Verdict { return dissect.Yes }}
	for _, file := range files {
		var flows []*notes
		listen.New = func(*dissect.Flow, dissect.Sink) dissect.Parser {
			flows = append(flows, &notes{})
			return flows[len(flows)-1]
		}
		if _, err := dissecttest.Calls(file, listen); err != nil {
			t.Fatal(err)
		}
		for _, n := range flows {
			all = append(all, n.all[:min(len(n.all), 12)])
		}
	}
	return all
}

// notes is a parser that writes all down.
type notes struct{ all []datagram }

func (n *notes) Data(d flow.Dir, b []byte, _ dissect.Stamp) error {
	n.all = append(n.all, datagram{d, string(b)})
	return nil
}
func (n *notes) Gap(flow.Dir, int64, dissect.Stamp) error { return nil }
func (n *notes) Close(dissect.Stamp)                      {}

// TestBounded: what nobody answers is told after a while, or when there is too much of it, and
// of a stream no more is held than its limit.
func TestBounded(t *testing.T) {
	k := &sink{t: t}
	p := &parser{sink: k}
	data := func(now int64, b string) { p.Data(0, []byte(b), dissect.Stamp{Time: now}) }
	for i := range 3 * maxConnections {
		a, _ := pair(version1, "number "+string(rune('A'+i)))
		a.scid = "own " + string(rune('A'+i))
		data(1, a.initial(crypto(0, hello("a.example"))))
		for off := 2000; off < 100_000; off += 900 {
			data(2, a.initial(crypto(off, strings.Repeat("x", 1000))))
		}
		for _, c := range p.open {
			if n := len(c.crypto[0].mem); n > maxCrypto {
				t.Fatalf("%d bytes are held", n)
			}
		}
	}
	if len(p.open) != maxConnections || len(k.calls) != 2*2*maxConnections {
		t.Errorf("%d wait, %d told", len(p.open), len(k.calls))
	}
	data(3+maxWait, "\x40")
	if !p.Idle() || p.scratch != nil {
		t.Error("not idle after a while")
	}
	var s cryptoStream
	for i := range 10_000 {
		s.add(uint64(i*3), []byte("x"))
	}
	if len(s.fragments) > maxFragments {
		t.Errorf("%d fragments", len(s.fragments))
	}
}

func TestDetect(t *testing.T) {
	a, b := pair(version1, "first id")
	first, answer := a.initial(crypto(0, hello("a.example"))), b.initial(crypto(0, reply))
	grease, _ := pairOf(0xbababada, recipe1, "first id")
	greased := grease.initial(crypto(0, hello("a.example")))
	negotiate := "\x80\x00\x00\x00\x00\x06client\x08first id"
	for _, c := range []struct {
		name string
		d    int
		data string
		want dissect.Verdict
		swap bool
	}{
		{"client", 0, first, dissect.Yes, false},
		{"client behind the lower port", 1, first, dissect.Yes, true},
		{"server", 1, answer, dissect.Yes, false},
		{"cut", 0, first[:50], dissect.Yes, false},
		{"version negotiation", 1, negotiate + "\x00\x00\x00\x01", dissect.Yes, false},
		{"version negotiation, nothing known", 1, negotiate + "\x0a\x0a\x0a\x0a", dissect.No, false},
		{"version negotiation, odd", 1, negotiate + "\x00\x00\x00\x01\x00", dissect.No, false},
		{"no fixed bit", 0, "\x80" + first[1:], dissect.No, false},
		{"other version", 0, first[:4] + "\x07" + first[5:], dissect.No, false},
		{"a version that nobody speaks", 0, greased, dissect.Yes, false},
		{"a version that nobody speaks, behind the lower port", 1, greased, dissect.Yes, true},
		{"a version that nobody speaks, not authentic", 0, greased[:len(greased)-1] + "\x00", dissect.No, false},
		{"a version that nobody speaks, cut", 0, greased[:50], dissect.No, false},
		{"short header", 0, "\x40" + first[1:], dissect.No, false},
		{"header alone", 0, first[:20], dissect.No, false},
		{"dns", 0, "\xc3\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01", dissect.No, false},
	} {
		p := &dissect.Probe{Transport: flow.UDP}
		p.Data[c.d] = []byte(c.data)
		if got := detect(p); got != c.want || p.Swap != c.swap {
			t.Errorf("%s: %d, swap %v", c.name, got, p.Swap)
		}
		if string(p.Data[c.d]) != c.data {
			t.Errorf("%s: detection changed the bytes", c.name)
		}
	}
}

func TestWholeNumber(t *testing.T) {
	for _, c := range []struct {
		low      uint64
		size     int
		expected uint64
		want     uint64
	}{
		{0x9b32, 2, 0xa82f30eb, 0xa82f9b32}, // RFC 9000, A.3
		{0, 1, 0, 0}, {255, 1, 0, 255}, {2, 1, 255, 258}, {250, 1, 260, 250}, {4, 1, 260, 260},
	} {
		if got := wholeNumber(c.low, c.size, c.expected); got != c.want {
			t.Errorf("%#x of %d bytes, %#x is expected: %#x", c.low, c.size, c.expected, got)
		}
	}
}

func FuzzParser(f *testing.F) {
	var seeds [][]cuttest.Step
	for _, flow := range recorded(f) {
		var steps []cuttest.Step
		for _, g := range flow {
			steps = append(steps, cuttest.Step{Dir: g.d, Data: []byte(g.data)})
		}
		seeds = append(seeds, steps)
	}
	cuttest.FuzzDatagrams(f, Protocol(), seeds...)
}

// FuzzFrames is what FuzzParser cannot reach, since packets must be authentic.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(crypto(0, hello("a.example"))), []byte(crypto(0, reply)))
	f.Add([]byte(crypto(3, "abc")+ack+crypto(0, "abc")), []byte(closing(0x128)))
	memory := memtest.New(cuttest.Memory)
	f.Fuzz(func(t *testing.T, ask, answer []byte) {
		memory.Input()
		defer memory.Check(t)
		a, b := pair(version1, "first id")
		k := &sink{t: t, each: func(c *dissect.Call) {
			c.Message.AppendFields(nil)
			for _, field := range fields {
				field.Get(c)
			}
		}}
		p := &parser{sink: k}
		for _, g := range []datagram{c(a.initial(string(ask))), s(b.initial(string(answer))), c(a.initial(string(answer))), s(b.initial(string(ask)))} {
			if len(g.data) < 1<<16 {
				p.Data(g.d, []byte(g.data), dissect.Stamp{Time: 1})
			}
		}
		p.Close(dissect.Stamp{Time: 2})
	})
}

func BenchmarkConnection(b *testing.B) {
	x, y := pair(version1, "first id")
	ask, answer := []byte(x.initial(crypto(0, hello("a.example")), strings.Repeat("\x00", 1000))), []byte(y.initial(crypto(0, reply)))
	k := &cuttest.Counter{}
	b.ReportAllocs()
	for b.Loop() {
		p := &parser{sink: k}
		p.Data(0, ask, dissect.Stamp{Time: 1})
		p.Data(1, answer, dissect.Stamp{Time: 2})
	}
	b.ReportMetric(float64(k.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkProtected(b *testing.B) {
	p := &parser{sink: &cuttest.Counter{}}
	data := []byte("\x40" + strings.Repeat("x", 1200))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		p.Data(0, data, dissect.Stamp{Time: 1})
	}
}
