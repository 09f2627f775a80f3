package protocols

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// captured makes the packets of a connection that says that, from its SYN on. A gap is bytes
// that were sent and not captured.
func captured(steps []cuttest.Step) (packets []pcap.Packet) {
	iface := &pcap.Interface{Link: pcap.LinkRaw}
	next := [2]uint32{1000, 5000}
	now := int64(1e9)
	add := func(d flow.Dir, flags byte, data []byte) {
		b := make([]byte, 40+len(data))
		be := binary.BigEndian
		b[0], b[8], b[9], b[32], b[33] = 0x45, 64, 6, 0x50, flags
		be.PutUint16(b[2:], uint16(len(b)))
		ports := [2]uint16{40000, 7000}
		copy(b[12:], []byte{10, 0, 0, byte(1 + d), 10, 0, 0, byte(2 - d)})
		be.PutUint16(b[20:], ports[d])
		be.PutUint16(b[22:], ports[1-d])
		be.PutUint32(b[24:], next[d])
		be.PutUint32(b[28:], next[1-d])
		copy(b[40:], data)
		now += 1e6
		packets = append(packets, pcap.Packet{Time: now, Data: b, Length: uint32(len(b)), Iface: iface})
		next[d] += uint32(len(data))
	}
	add(0, 0x02, nil)
	next[0]++
	add(1, 0x12, nil)
	next[1]++
	for _, s := range steps {
		if s.Data == nil {
			next[s.Dir] += uint32(s.Gap)
			continue
		}
		for part := range slices.Chunk(s.Data, 1400) {
			add(s.Dir, 0x18, part)
		}
	}
	add(0, 0x11, nil)
	next[0]++
	add(1, 0x11, nil)
	return packets
}

// short is a call in short.
func (c *call) short() string {
	s := c.protocol + ": " + c.summary
	if c.incomplete {
		s = "~" + s
	}
	if c.times[0] == 0 {
		s = "<" + s
	}
	if c.times[2] != 0 {
		s += " -> " + c.status
	}
	return s
}

func told(t *testing.T, steps []cuttest.Step) (list []string) {
	t.Helper()
	for _, c := range dissected(t, captured(steps), nil) {
		list = append(list, c.short())
	}
	slices.Sort(list)
	return list
}

// cutAtSwitch plays a conversation split at bytes of its first steps, which must tell the same,
// and with a hole in place of each of them, which must tell nothing else that is complete.
func cutAtSwitch(t *testing.T, steps []cuttest.Step, want []string) {
	t.Helper()
	for i, s := range steps[:min(len(steps), 16)] {
		for at := 1; at < len(s.Data); at += 1 + len(s.Data)/64 {
			split := slices.Concat(steps[:i], []cuttest.Step{{Dir: s.Dir, Data: s.Data[:at]}, {Dir: s.Dir, Data: s.Data[at:]}}, steps[i+1:])
			if got := told(t, split); !slices.Equal(got, want) {
				t.Errorf("step %d split at %d of %d: got\n%s\nwant\n%s", i, at, len(s.Data), strings.Join(got, "\n"), strings.Join(want, "\n"))
				return
			}
		}
		holed := slices.Clone(steps)
		holed[i] = cuttest.Step{Dir: s.Dir, Gap: int64(len(s.Data))}
		for _, c := range told(t, holed) {
			if !part(c, want) {
				t.Errorf("without step %d: %s is none of\n%s", i, c, strings.Join(want, "\n"))
			}
		}
	}
}

// part says whether a call is one of those wanted, or a half of one, or says itself that it is
// incomplete.
func part(c string, want []string) bool {
	return c[0] == '~' || c[0] == '<' || slices.ContainsFunc(want, func(w string) bool {
		asked, _, _ := strings.Cut(w, " -> ")
		return c == w || c == asked
	})
}

// TestSwitches: what was recorded of connections that go on with another protocol.
func TestSwitches(t *testing.T) {
	for _, name := range []string{"http1/testdata/upgrade.pcap", "http2/testdata/upgrade.pcap", "ws/testdata/coder.pcap", "smtp/testdata/starttls.pcap",
		"ldap/testdata/starttls.pcap", "ftp/testdata/tls.pcap", "postgresql/testdata/tls.pcap", "mysql/testdata/tls.pcap", "nats/testdata/tls.pcap",
		"proxy/testdata/version1.pcap", "proxy/testdata/version2.pcap"} {
		t.Run(name, func(t *testing.T) {
			n := 0
			for _, steps := range cuttest.Streams(t, filepath.Join("..", name)) {
				if want := told(t, steps); len(want) > 0 && n < 3 {
					cutAtSwitch(t, steps, want)
					n++
				}
			}
			if n == 0 {
				t.Error("nothing is told")
			}
		})
	}
}

const (
	get      = "GET /in HTTP/1.1\r\nHost: in\r\n\r\n"
	ok       = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	upgrade  = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	upgraded = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	h2c      = "GET /old HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
	preface  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	redisAsk = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
	proxy1   = "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"
	proxy2   = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb"
	tunnel   = "CONNECT in:443 HTTP/1.1\r\nHost: in:443\r\n\r\n"
	opened   = "HTTP/1.1 200 Connection established\r\n\r\n"
)

// frame2 is a frame of HTTP/2.
func frame2(kind, flags byte, stream uint32, payload string) string {
	b := []byte{0, 0, byte(len(payload)), kind, flags}
	return string(binary.BigEndian.AppendUint32(b, stream)) + payload
}

// TestSwitched: switches that no capture has, and those that are refused.
func TestSwitched(t *testing.T) {
	c, s := cuttest.Client, cuttest.Server
	settings := frame2(4, 0, 0, "")
	ask2, reply2 := frame2(1, 5, 1, "\x82\x86\x84"), frame2(1, 5, 1, "\x88")
	type steps = []cuttest.Step
	var handshake steps
	for _, list := range cuttest.Streams(t, "../tls/testdata/tls12.pcap") {
		if len(told(t, list)) == 1 && handshake == nil {
			handshake = list
		}
	}
	inside := told(t, handshake)
	cases := []struct {
		name  string
		steps steps
		want  []string
	}{
		{"upgrade to WebSocket", steps{c(upgrade), s(upgraded), s("\x81\x05hello"), c("\x81\x85\x00\x00\x00\x00hello")},
			[]string{"http: GET /chat -> 101", "ws: text 5 B", "ws: text 5 B"}},
		{"upgrade to WebSocket, refused", steps{c(upgrade), s("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), c(get), s(ok)},
			[]string{"http: GET /chat -> 403", "http: GET /in -> 200"}},
		{"upgrade to HTTP/2", steps{c(h2c), s("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), s(settings), c(preface), s(reply2), c(frame2(1, 5, 3, "\x82\x86\x84")), s(frame2(1, 5, 3, "\x88"))}, nil},
		{"upgrade to HTTP/2, refused", steps{c(h2c), s(ok), c(get), s(ok)}, []string{"http: GET /old -> 200", "http: GET /in -> 200"}},
		{"CONNECT, HTTP inside", steps{c(tunnel), s(opened), c(get), s(ok)}, []string{"http: CONNECT in:443 -> 200", "http: GET /in -> 200"}},
		{"CONNECT, Redis inside", steps{c(tunnel), s(opened), c(redisAsk), s("$1\r\nv\r\n")}, []string{"http: CONNECT in:443 -> 200", "redis: GET k -> 1 bytes"}},
		{"CONNECT, TLS inside", append(steps{c(tunnel), s(opened)}, handshake...), append([]string{"http: CONNECT in:443 -> 200"}, inside...)},
		{"CONNECT, refused", steps{c(tunnel), s("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"), c(get), s(ok)},
			[]string{"http: CONNECT in:443 -> 407", "http: GET /in -> 200"}},
		{"STARTTLS of SMTP, refused", steps{s("220 mail ESMTP\r\n"), c("EHLO me\r\n"), s("250-mail\r\n250 STARTTLS\r\n"), c("STARTTLS\r\n"), s("454 not now\r\n"), c("QUIT\r\n"), s("221 bye\r\n")}, nil},
		{"AUTH TLS of FTP, refused", steps{s("220 FTP server ready\r\n"), c("AUTH TLS\r\n"), s("502 no\r\n"), c("PWD\r\n"), s("257 \"/\"\r\n")}, nil},
		{"TLS of PostgreSQL, refused", steps{c("\x00\x00\x00\x08\x04\xd2\x16\x2f"), s("N"), c("\x00\x00\x00\x11\x00\x03\x00\x00user\x00me\x00\x00"), s("R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I"), c("Q\x00\x00\x00\x0dselect 1\x00"), s("C\x00\x00\x00\x0dSELECT 1\x00Z\x00\x00\x00\x05I")}, nil},
		{"StartTLS of LDAP, refused", steps{c("\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"), s("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00"), c("\x30\x0c\x02\x01\x02\x60\x07\x02\x01\x03\x04\x00\x80\x00"), s("\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00")}, nil},
	}
	for version, header := range []string{proxy1, proxy2} {
		name := fmt.Sprintf("PROXY %d, ", version+1)
		cases = append(cases, []struct {
			name  string
			steps steps
			want  []string
		}{
			{name + "HTTP/1", steps{c(header + get), s(ok)}, []string{"http: GET /in -> 200"}},
			{name + "HTTP/2", steps{c(header), c(preface + ask2), s(settings + reply2)}, []string{"http: GET / -> 200"}},
			{name + "Redis", steps{c(header), c(redisAsk), s("$1\r\nv\r\n")}, []string{"redis: GET k -> 1 bytes"}},
			{name + "SMTP", steps{c(header), s("220 mail ESMTP\r\n"), c("EHLO me\r\n"), s("250 mail\r\n"), c("QUIT\r\n"), s("221 bye\r\n")}, nil},
			{name + "TLS", append(steps{c(header)}, handshake...), inside},
		}...)
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			got := told(t, tt.steps)
			slices.Sort(tt.want)
			if tt.want != nil && !slices.Equal(got, tt.want) || len(got) < 1 {
				t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			t.Logf("%s", strings.Join(got, "\n"))
			cutAtSwitch(t, tt.steps, got)
		})
	}
}

// TestWrongGuess: what begins as a protocol does and is none, or is none in its middle, is given
// up. A header tells how long a message is, so that what has come for one may be told as one:
// of thousands of bytes two at most.
func TestWrongGuess(t *testing.T) {
	files, err := filepath.Glob("../*/testdata/*.pcap")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d captures: %v", len(files), err)
	}
	seen := map[string]int{}
	for _, file := range files {
		for _, steps := range cuttest.Streams(t, file) {
			whole := told(t, steps)
			if len(whole) == 0 {
				continue
			}
			protocol, _, _ := strings.Cut(strings.TrimLeft(whole[0], "<~"), ":")
			if seen[protocol]++; seen[protocol] > 5 {
				continue
			}
			for seed := range uint64(3) {
				r := rand.New(rand.NewPCG(seed, uint64(len(steps))))
				garbage := func(n int) []byte {
					b := make([]byte, n)
					for i := range b {
						b[i] = byte(r.Uint32())
					}
					return b
				}
				begins := []cuttest.Step{{Data: garbage(4000)}, {Dir: 1, Data: garbage(4000)}, {Data: garbage(3000)}}
				if i := slices.IndexFunc(steps, func(s cuttest.Step) bool { return len(s.Data) > 0 }); i >= 0 {
					begins = append([]cuttest.Step{{Dir: steps[i].Dir, Data: steps[i].Data[:min(32, len(steps[i].Data))]}}, begins...)
				}
				middle := slices.Clone(steps)
				at := r.IntN(len(middle))
				middle = slices.Insert(middle, at, cuttest.Step{Dir: middle[at].Dir, Data: garbage(100 + r.IntN(3000))})
				for what, steps := range map[string][]cuttest.Step{"begins so": begins, "in the middle": middle} {
					var others []string
					for _, c := range told(t, steps) {
						if !part(c, whole) {
							others = append(others, c)
						}
					}
					if len(others) > 2 {
						t.Errorf("%s, seed %d, garbage, %s: %q", file, seed, what, others)
					}
				}
			}
		}
	}
	if len(seen) < 15 {
		t.Errorf("only %d protocols", len(seen))
	}
}
