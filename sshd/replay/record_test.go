package replay

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/filter"
	"github.com/sshark/sshark/dissect/protocols"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/reach"
)

// tape is the packets of connections that go through it, as a capture has them.
type tape struct {
	mu      sync.Mutex
	iface   *pcap.Interface
	packets []pcap.Packet
	begun   uint32 // connections
	snap    int    // bytes of each packet that are kept; 0: all
}

func newTape() *tape {
	return &tape{iface: &pcap.Interface{Name: "eth0", Link: pcap.LinkRaw, Node: "node-a"}}
}

// spoken is one connection on a tape.
type spoken struct {
	*tape
	ends  [2]netip.AddrPort // client, server
	proto flow.Proto
	seq   [2]uint32
	drop  func(n int) bool // the nth segment with payload is not captured
	said  int
}

// speak begins a connection.
func (t *tape) speak(client, server netip.AddrPort, proto flow.Proto) *spoken {
	t.mu.Lock()
	t.begun++
	isn := 7000 + t.begun<<20
	t.mu.Unlock()
	s := &spoken{tape: t, ends: [2]netip.AddrPort{client, server}, proto: proto, seq: [2]uint32{isn, isn + 500}}
	if proto == flow.TCP {
		s.put(0, flow.SYN, nil)
		s.put(1, flow.SYN|flow.ACK, nil)
		s.put(0, flow.ACK, nil)
	}
	return s
}

// say puts what a side says.
func (s *spoken) say(side int, b []byte) {
	for len(b) > 0 {
		n := min(len(b), 1400)
		if s.proto == flow.UDP {
			n = len(b)
		}
		s.put(side, flow.ACK|flow.PSH, b[:n])
		b = b[n:]
	}
}

func (s *spoken) end() {
	s.put(0, flow.FIN|flow.ACK, nil)
	s.put(1, flow.FIN|flow.ACK, nil)
	s.put(0, flow.ACK, nil)
}

func (s *spoken) put(side int, flags uint8, payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src, dst := s.ends[side], s.ends[1-side]
	h := binary.BigEndian.AppendUint16(nil, src.Port())
	h = binary.BigEndian.AppendUint16(h, dst.Port())
	if s.proto == flow.UDP {
		h = append(binary.BigEndian.AppendUint16(h, uint16(8+len(payload))), 0, 0)
	} else {
		h = binary.BigEndian.AppendUint32(h, s.seq[side])
		h = binary.BigEndian.AppendUint32(h, s.seq[1-side])
		h = append(h, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
		s.seq[side] += uint32(len(payload))
		if flags&(flow.SYN|flow.FIN) != 0 {
			s.seq[side]++
		}
	}
	b := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(20+len(h)+len(payload)))
	b = append(b, 0, 0, 0x40, 0, 64, byte(s.proto), 0, 0)
	b = append(append(b, src.Addr().AsSlice()...), dst.Addr().AsSlice()...)
	b = append(append(b, h...), payload...)
	if len(payload) > 0 {
		if s.said++; s.drop != nil && s.drop(s.said) {
			return
		}
	}
	p := pcap.Packet{Time: time.Now().UnixNano(), Data: b, Length: uint32(len(b)), Iface: s.iface}
	if s.snap > 0 && len(b) > s.snap {
		p.Data = b[:s.snap]
	}
	s.packets = append(s.packets, p)
}

// proxy records the TCP connections that are made to the address that it returns.
func (t *tape) proxy(tb testing.TB, server string) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			open.Go(func() { t.relay(c, server) })
		}
	})
	tb.Cleanup(func() {
		ln.Close()
		open.Wait()
	})
	return ln.Addr().String()
}

func (t *tape) relay(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	s := t.speak(client.RemoteAddr().(*net.TCPAddr).AddrPort(), server.RemoteAddr().(*net.TCPAddr).AddrPort(), flow.TCP)
	pass := func(side int, from, to net.Conn) {
		b := make([]byte, 64<<10)
		for {
			n, err := from.Read(b)
			if n > 0 {
				s.say(side, b[:n])
				if _, err := to.Write(b[:n]); err != nil {
					return
				}
			}
			if err != nil {
				if c, ok := to.(*net.TCPConn); ok {
					c.CloseWrite()
				}
				return
			}
		}
	}
	var both sync.WaitGroup
	both.Go(func() { pass(0, client, server) })
	both.Go(func() { pass(1, server, client) })
	both.Wait()
	s.end()
}

// source opens what is on the tape as a file.
func (t *tape) source(tb testing.TB) query.Source {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	path := filepath.Join(tb.TempDir(), "tape.pcapng")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w, err := pcapng.NewWriter(f, pcapng.WriterOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range t.packets {
		if err := w.Write(&t.packets[i]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
	all := protocols.All()
	language, err := filter.New(all)
	if err != nil {
		tb.Fatal(err)
	}
	source, err := query.OpenFiles([]string{path}, all, language)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { source.Close() })
	return source
}

// flows are the flows of a source.
func flows(tb testing.TB, source query.Source) (all []*dissect.Flow) {
	tb.Helper()
	if _, err := source.Flows(tb.Context(), &query.Request{}, func(f *dissect.Flow) error {
		own := *f
		all = append(all, &own)
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	return all
}

// desk is a desk that reaches from here.
func desk() *Desk {
	d := reach.NewDialer(reach.Options{Loopback: true})
	return &Desk{Protocols: protocols.All(), Here: true, From: func(string) (reach.Reacher, error) { return d, nil }}
}

// played is a plan of the only flow of a tape, run.
type played struct {
	*Result
	text string
	err  error
}

// play replays the flow of a tape.
func (t *tape) play(tb testing.TB, o Order) played {
	tb.Helper()
	source := t.source(tb)
	all := flows(tb, source)
	if len(all) != 1 {
		tb.Fatalf("%d flows, want one", len(all))
	}
	o.Stream = all[0].ID
	d := desk()
	p, err := d.Plan(tb.Context(), source, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Logf("%s", text(p.Lines()))
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	r, err := d.Run(ctx, p, nil)
	tb.Logf("%s", text(r.Lines()))
	for _, object := range [][]byte{p.AppendJSON(nil), r.AppendJSON(nil)} {
		if !json.Valid(object) {
			tb.Errorf("no JSON: %s", object)
		}
	}
	return played{r, text(r.Lines()), err}
}

func text(all []Line) (s string) {
	for _, l := range all {
		s += l.Text + "\n"
	}
	return s
}

// same wants all answers to be what they were.
func (p *played) same(tb testing.TB, calls int) {
	tb.Helper()
	if p.err != nil || !p.AllSame() {
		tb.Fatalf("%v\n%s", p.err, p.text)
	}
	if len(p.Shown.Outcomes) != calls {
		tb.Errorf("%d calls, want %d\n%s", len(p.Shown.Outcomes), calls, p.text)
	}
}

// differs wants exactly these differences.
func (p *played) differs(tb testing.TB, want ...string) {
	tb.Helper()
	if p.err != nil || p.Shown == nil {
		tb.Fatalf("%v\n%s", p.err, p.text)
	}
	var got []string
	for _, o := range p.Shown.Outcomes {
		for _, d := range o.Differences {
			got = append(got, d.String())
		}
	}
	for _, d := range p.Shown.Bytes {
		got = append(got, d.String())
	}
	if len(got) != len(want) {
		tb.Fatalf("differences %q, want %q\n%s", got, want, p.text)
	}
	for i := range want {
		if got[i] != want[i] {
			tb.Errorf("difference %q, want %q", got[i], want[i])
		}
	}
}

// exchange says something to an address, and reads until it was answered with so many bytes.
func exchange(tb testing.TB, addr string, turns ...[2]string) {
	tb.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	for _, t := range turns {
		if _, err := io.WriteString(c, t[0]); err != nil {
			tb.Fatal(err)
		}
		b := make([]byte, len(t[1]))
		if _, err := io.ReadFull(c, b); err != nil || string(b) != t[1] {
			tb.Fatalf("said %q, answered %q, want %q: %v", t[0], b, t[1], err)
		}
	}
}
