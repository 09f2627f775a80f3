package tls

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	gotls "crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/keylog"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
)

// conversation is a connection of Go's own TLS: what went over the wire, what was said, and the
// secrets.
type conversation struct {
	steps  []cuttest.Step
	said   [2]string
	shaken int // how many steps there were before anything was said
	keys   *keylog.Store
}

// wire is one end of a pipe that writes down what it sends.
type wire struct {
	net.Conn
	d  flow.Dir
	mu *sync.Mutex
	c  *conversation
}

func (w wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	w.c.steps = append(w.c.steps, cuttest.Step{Dir: w.d, Data: bytes.Clone(b), Time: int64(len(w.c.steps) + 1)})
	w.mu.Unlock()
	return w.Conn.Write(b)
}

// certificates are of both kinds, as suites want the one or the other.
var certificates = sync.OnceValue(func() (list []gotls.Certificate) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	for _, k := range []any{ec, old} {
		var public any = &old.PublicKey
		if k == any(ec) {
			public = &ec.PublicKey
		}
		t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, t, t, public, k)
		if err != nil {
			panic(err)
		}
		list = append(list, gotls.Certificate{Certificate: [][]byte{der}, PrivateKey: k})
	}
	return list
})

// rounds is how often both sides speak in a conversation.
const rounds = 5

// converse speaks a version of TLS with a cipher suite (0: whatever is agreed on).
func converse(tb testing.TB, version, suite uint16) *conversation {
	tb.Helper()
	c := &conversation{keys: keylog.New()}
	var mu sync.Mutex
	var keys bytes.Buffer
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for _, end := range []net.Conn{a, b} {
		if err := end.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			tb.Fatal(err)
		}
	}
	config := &gotls.Config{MinVersion: version, MaxVersion: version, InsecureSkipVerify: true, KeyLogWriter: &keys,
		Certificates: certificates(), SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true}
	if suite != 0 {
		config.CipherSuites = []uint16{suite}
	}
	served := make(chan error, 1)
	other := config.Clone()
	other.KeyLogWriter = nil
	server := gotls.Server(wire{b, 1, &mu, c}, other)
	go func() {
		in := bufio.NewReader(server)
		for {
			text, err := in.ReadString('.')
			if err != nil {
				served <- err
				return
			}
			if _, err := fmt.Fprintf(server, "<%s>", text); err != nil {
				served <- err
				return
			}
		}
	}()
	client := gotls.Client(wire{a, 0, &mu, c}, config)
	if err := client.Handshake(); err != nil {
		tb.Fatalf("%x, %x: %v", version, suite, err)
	}
	mu.Lock()
	c.shaken = len(c.steps)
	mu.Unlock()
	buf := make([]byte, 1<<16)
	for i := range rounds {
		text := fmt.Sprintf("message %d %s.", i, strings.Repeat(string(rune('a'+i)), 100*i))
		if _, err := io.WriteString(client, text); err != nil {
			tb.Fatal(err)
		}
		answer := "<" + text + ">"
		if _, err := io.ReadFull(client, buf[:len(answer)]); err != nil || string(buf[:len(answer)]) != answer {
			tb.Fatal(err)
		}
		c.said[0] += text
		c.said[1] += answer
	}
	a.Close()
	<-served
	c.keys.Add(keys.Bytes())
	return c
}

// listener is a sink that writes down what is inside: a text for each stretch between gaps.
type listener struct {
	keys   *keylog.Store
	heard  [2][]string
	calls  int
	closed int
}

func (l *listener) Call(*dissect.Call)     { l.calls++ }
func (l *listener) Bodies() (int, bool)    { return 0, false }
func (l *listener) Switch(string, []byte)  {}
func (l *listener) Secrets() *keylog.Store { return l.keys }
func (l *listener) Inside() dissect.Inside { return (*heard)(l) }

type heard listener

func (h *heard) last(d flow.Dir) *string {
	if len(h.heard[d]) == 0 {
		h.heard[d] = []string{""}
	}
	return &h.heard[d][len(h.heard[d])-1]
}

func (h *heard) Data(d flow.Dir, b []byte, _ dissect.Stamp) { *h.last(d) += string(b) }
func (h *heard) Close(dissect.Stamp)                        { h.closed++ }

func (h *heard) Gap(d flow.Dir, _ int64, _ dissect.Stamp) {
	h.last(d)
	h.heard[d] = append(h.heard[d], "")
}

// listen plays steps in pieces of n bytes at most, 0: as they are.
func (c *conversation) listen(steps []cuttest.Step, n int) *listener {
	l := &listener{keys: c.keys}
	p := newParser(l)
	for _, s := range steps {
		if s.Data == nil {
			p.Gap(s.Dir, s.Gap, dissect.Stamp{Time: s.Time})
			continue
		}
		for b := s.Data; len(b) > 0; {
			piece := b
			if n > 0 {
				piece = b[:min(n, len(b))]
			}
			b = b[len(piece):]
			own := bytes.Clone(piece)
			p.Data(s.Dir, own, dissect.Stamp{Time: s.Time})
			clear(own) // it was borrowed
		}
	}
	p.Close(dissect.Stamp{Time: 1 << 40})
	return l
}

// check says what l heard that was not said, or not in this order.
func (c *conversation) check(l *listener) error {
	for d := range l.heard {
		rest := c.said[d]
		for _, text := range l.heard[d] {
			at := strings.Index(rest, text)
			if at < 0 {
				return fmt.Errorf("side %d: %.80q was not said, or not then", d, text)
			}
			rest = rest[at+len(text):]
		}
	}
	if l.closed > 1 {
		return fmt.Errorf("closed %d times", l.closed)
	}
	return nil
}

// conversations are one of each way of encryption.
func conversations(tb testing.TB) map[string]*conversation {
	list := map[string]*conversation{}
	for _, s := range []struct {
		version uint16
		suites  []uint16
	}{
		{gotls.VersionTLS13, []uint16{0}},
		{gotls.VersionTLS12, []uint16{
			gotls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, gotls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			gotls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, gotls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
			gotls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, gotls.TLS_RSA_WITH_AES_128_GCM_SHA256}},
		{gotls.VersionTLS11, []uint16{gotls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}},
		{gotls.VersionTLS10, []uint16{gotls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA}},
	} {
		for _, suite := range s.suites {
			list[fmt.Sprintf("%s %s", gotls.VersionName(s.version), gotls.CipherSuiteName(suite))] = converse(tb, s.version, suite)
		}
	}
	return list
}

func TestDecrypt(t *testing.T) {
	for name, c := range conversations(t) {
		for _, n := range []int{0, 1, 7, 100} {
			l := c.listen(c.steps, n)
			for d, want := range c.said {
				if len(l.heard[d]) != 1 || l.heard[d][0] != want {
					t.Errorf("%s, pieces of %d: side %d said %.100q", name, n, d, l.heard[d])
				}
			}
			if l.calls != 1 || l.closed != 1 {
				t.Errorf("%s: %d calls, closed %d times", name, l.calls, l.closed)
			}
		}
		c.keys = keylog.New()
		if l := c.listen(c.steps, 0); l.closed != 0 || l.calls != 1 {
			t.Errorf("%s: without secrets: %+v", name, l)
		}
	}
}

// TestSecretsMissing: of TLS 1.3 the secrets of the handshake are not needed, and a side is
// decrypted without the other's.
func TestSecretsMissing(t *testing.T) {
	c := converse(t, gotls.VersionTLS13, 0)
	all, _ := c.keys.Of(randomOf(c))
	for _, test := range []struct {
		name string
		has  []keylog.Secret
		side [2]bool
	}{
		{"traffic", []keylog.Secret{keylog.ClientTraffic, keylog.ServerTraffic}, [2]bool{true, true}},
		{"client", []keylog.Secret{keylog.ClientHandshake, keylog.ClientTraffic}, [2]bool{true, false}},
		{"handshake", []keylog.Secret{keylog.ClientHandshake, keylog.ServerHandshake}, [2]bool{false, false}},
		{"master", []keylog.Secret{keylog.Master}, [2]bool{false, false}},
	} {
		labels := map[keylog.Secret]string{keylog.Master: "CLIENT_RANDOM", keylog.ClientHandshake: "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
			keylog.ServerHandshake: "SERVER_HANDSHAKE_TRAFFIC_SECRET", keylog.ClientTraffic: "CLIENT_TRAFFIC_SECRET_0", keylog.ServerTraffic: "SERVER_TRAFFIC_SECRET_0"}
		all[keylog.Master] = make([]byte, 48)
		keys := keylog.New()
		for _, of := range test.has {
			keys.Add(fmt.Appendf(nil, "%s %x %x\n", labels[of], randomOf(c), all[of]))
		}
		l := (&conversation{keys: keys}).listen(c.steps, 0)
		for d, known := range test.side {
			if got := strings.Join(l.heard[d], ""); known != (got == c.said[d]) || !known && got != "" {
				t.Errorf("%s: side %d said %.50q", test.name, d, got)
			}
		}
	}
}

func randomOf(c *conversation) []byte { return c.steps[0].Data[recordHeader+helloHeader+2:][:32] }

// TestWrongSecrets: nothing comes out of secrets that are another connection's.
func TestWrongSecrets(t *testing.T) {
	for _, version := range []uint16{gotls.VersionTLS12, gotls.VersionTLS13} {
		c := converse(t, version, 0)
		keys := keylog.New()
		for _, label := range []string{"CLIENT_RANDOM", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"} {
			keys.Add(fmt.Appendf(nil, "%s %x %s\n", label, randomOf(c), strings.Repeat("ab", 48)))
		}
		if l := (&conversation{keys: keys}).listen(c.steps, 0); l.closed != 0 || l.calls != 1 {
			t.Errorf("%x: %+v", version, l)
		}
	}
}

// TestLost: where bytes are missing, what was said before and behind is told, with a gap between.
func TestLost(t *testing.T) {
	for name, c := range conversations(t) {
		chained := strings.HasPrefix(name, "TLS 1.0") // a record needs the one before
		for i := c.shaken; i < len(c.steps); i++ {
			lost := c.steps[i]
			// A whole record, its end, its beginning; and nobody knows how much.
			for _, hole := range []struct{ from, to int }{{0, len(lost.Data)}, {len(lost.Data) / 2, len(lost.Data)}, {0, 3}, {3, 9}, {10, 20}} {
				for _, known := range []bool{true, false} {
					var steps []cuttest.Step
					steps = append(steps, c.steps[:i]...)
					if hole.from > 0 {
						steps = append(steps, cuttest.Step{Dir: lost.Dir, Data: lost.Data[:hole.from], Time: lost.Time})
					}
					n := int64(0)
					if known {
						n = int64(hole.to - hole.from)
					}
					steps = append(steps, cuttest.Step{Dir: lost.Dir, Gap: n, Time: lost.Time})
					if hole.to < len(lost.Data) {
						steps = append(steps, cuttest.Step{Dir: lost.Dir, Data: lost.Data[hole.to:], Time: lost.Time})
					}
					steps = append(steps, c.steps[i+1:]...)
					l := c.listen(steps, 0)
					if err := c.check(l); err != nil {
						t.Fatalf("%s: step %d, %+v: %v", name, i, hole, err)
					}
					heard := l.heard[lost.Dir]
					if got := strings.Join(heard, ""); chained || len(heard) == 0 {
						continue
					} else if missing := len(c.said[lost.Dir]) - len(got); missing > len(lost.Data) || len(heard) < 2 && missing > 0 {
						t.Errorf("%s: step %d, %+v: %d of %d bytes are missing, %d stretches", name, i, hole, missing, len(c.said[lost.Dir]), len(heard))
					}
				}
			}
		}
	}
}

// TestLostHandshake: any part of the handshake may be missing; nothing is made up.
func TestLostHandshake(t *testing.T) {
	for name, c := range conversations(t) {
		for i := range c.shaken {
			var steps []cuttest.Step
			steps = append(append(steps, c.steps[:i]...), cuttest.Step{Dir: c.steps[i].Dir, Gap: int64(len(c.steps[i].Data)), Time: 1})
			if err := c.check(c.listen(append(steps, c.steps[i+1:]...), 0)); err != nil {
				t.Errorf("%s without step %d: %v", name, i, err)
			}
		}
	}
}

// TestEnded: a stream may end at any byte.
func TestEnded(t *testing.T) {
	for name, c := range conversations(t) {
		for i, s := range c.steps {
			for n := 0; n < len(s.Data); n += 1 + len(s.Data)/50 {
				steps := append([]cuttest.Step{}, c.steps[:i]...)
				l := c.listen(append(steps, cuttest.Step{Dir: s.Dir, Data: s.Data[:n], Time: s.Time}), 0)
				if err := c.check(l); err != nil {
					t.Fatalf("%s up to step %d, byte %d: %v", name, i, n, err)
				}
			}
		}
	}
}

// TestKeyUpdate changes the keys of a connection again and again.
func TestKeyUpdate(t *testing.T) {
	c := converse(t, gotls.VersionTLS13, 0)
	x := &decrypter{nest: &listener{keys: c.keys}}
	hello, reply := c.steps[0].Data[recordHeader:], c.steps[1].Data[recordHeader:]
	a, ok := readServerHello(reply)
	if !x.ask(0, hello) || !ok || !x.answer(reply, a) {
		t.Fatal("no secrets")
	}
	s := &x.side[0]
	seal := func(secret []byte, seq uint64, text string) []byte {
		k := x.bulk.keys13(secret)
		nonce := k.iv
		nonce[nonceSize-1] ^= byte(seq)
		header := []byte{kindData, 3, 3, 0, byte(len(text) + 1 + tagSize)}
		return k.aead.Seal(header, nonce[:], append([]byte(text), kindData), header)
	}
	secret := s.last
	for i := range 5 {
		for seq, text := range []string{"first", "second", "third"} {
			kind, got, ok := x.open(s, seal(secret, uint64(seq), text))
			if !ok || kind != kindData || string(got) != text {
				t.Fatalf("epoch %d, record %d: %q, %v", i, seq, got, ok)
			}
		}
		if len(s.epochs) > 2 {
			t.Errorf("%d epochs are kept", len(s.epochs))
		}
		secret = x.bulk.update(secret)
	}
}

// TestBoundedDecryption: what a client sends before it is answered is held up to a limit, and what
// nothing opens is not tried for ever.
func TestBoundedDecryption(t *testing.T) {
	c := converse(t, gotls.VersionTLS13, 0)
	l := &listener{keys: c.keys}
	p := newParser(l)
	big := rec(kindData, strings.Repeat("x", 1<<14))
	p.Data(0, c.steps[0].Data, dissect.Stamp{Time: 1})
	for range 100 {
		p.Data(0, []byte(big), dissect.Stamp{Time: 1})
	}
	if p.inner == nil || len(p.inner.held) > maxHeld {
		t.Fatalf("%+v", p.inner)
	}
	p.Data(1, c.steps[1].Data, dissect.Stamp{Time: 1})
	p.Gap(1, 0, dissect.Stamp{Time: 1})
	for range 1000 {
		p.Data(0, []byte(big), dissect.Stamp{Time: 1})
		p.Data(1, []byte(big+"\x17\x03\x03\x40\x00"), dissect.Stamp{Time: 1})
		for d := range p.inner.side {
			if s := &p.inner.side[d]; s.wrong > maxWrong+2*maxGuess || len(s.buf) > 2*maxRecord {
				t.Fatalf("side %d: %d wrong guesses, %d bytes are held", d, s.wrong, len(s.buf))
			}
		}
	}
	if !p.inner.side[0].over || !p.inner.side[1].over {
		t.Error("it is tried for ever")
	}
}

// TestKeys13 is a part of RFC 8448, 3.
func TestKeys13(t *testing.T) {
	b, ok := bulkOf(version13, 0x1301)
	if !ok {
		t.Fatal("no suite")
	}
	secret, _ := hex.DecodeString("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
	if got := hex.EncodeToString(b.expand(secret, "key", 16)); got != "3fce516009c21727d0f2e4e86ee403bc" {
		t.Error("key", got)
	}
	if k := b.keys13(secret); hex.EncodeToString(k.iv[:]) != "5d313eb2671276ee13000b30" {
		t.Errorf("iv %x", k.iv)
	}
}

func FuzzDecrypt(f *testing.F) {
	var list []*conversation
	for _, c := range conversations(f) {
		list = append(list, c)
	}
	f.Add(uint8(0), uint16(3), uint16(7), uint8(1), []byte("\x17\x03\x03\x00\x40"))
	f.Add(uint8(1), uint16(5), uint16(0), uint8(0), []byte{})
	memory := memtest.New(cuttest.Memory)
	f.Fuzz(func(t *testing.T, which uint8, step, at uint16, flip uint8, insert []byte) {
		memory.Input()
		defer memory.Check(t)
		c := list[int(which)%len(list)]
		steps := append([]cuttest.Step{}, c.steps...)
		s := &steps[int(step)%len(steps)]
		n := int(at) % (len(s.Data) + 1)
		b := append(append(bytes.Clone(s.Data[:n]), insert...), s.Data[n:]...)
		if n < len(b) {
			b[n] ^= flip
		}
		s.Data = b
		if flip == 0xff {
			s.Data = nil
			s.Gap = int64(at)
		}
		if err := c.check(c.listen(steps, int(flip))); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkDecrypt(b *testing.B) {
	c := converse(b, gotls.VersionTLS12, gotls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)
	size := 0
	for _, s := range c.steps[c.shaken:] {
		size += len(s.Data)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		c.listen(c.steps, 0)
	}
}
