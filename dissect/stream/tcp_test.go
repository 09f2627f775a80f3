package stream

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
)

// record writes down what a connection tells: bytes as they are, gaps as <n>.
type record [2]strings.Builder

func (r *record) Data(d flow.Dir, b []byte, _ int64) { r[d].Write(b) }
func (r *record) Gap(d flow.Dir, n int64, _ int64)   { fmt.Fprintf(&r[d], "<%d>", n) }
func (r *record) text(d flow.Dir) string             { return r[d].String() }
func seg(seq uint32, flags uint8, ack uint32) flow.Header {
	return flow.Header{Seq: seq, Flags: flags, Ack: ack}
}

// step is one packet of a table test, of side 0 unless back is set.
type step struct {
	seq     uint32
	data    string
	missing uint32
	flags   uint8
	ack     uint32
	back    bool
	at      int64
}

func TestSegments(t *testing.T) {
	const start = 0xfffffff0 // sequence numbers wrap in every case
	syn := step{seq: start - 1, flags: flow.SYN}
	cases := map[string]struct {
		steps []step
		want  string
	}{
		"in order":               {[]step{syn, {seq: start, data: "hello "}, {seq: start + 6, data: "world"}}, "hello world"},
		"data in the SYN":        {[]step{{seq: start - 1, flags: flow.SYN, data: "fast "}, {seq: start + 5, data: "open"}}, "fast open"},
		"early segment":          {[]step{syn, {seq: start + 6, data: "world"}, {seq: start, data: "hello "}}, "hello world"},
		"retransmission":         {[]step{syn, {seq: start, data: "hello "}, {seq: start, data: "hello "}, {seq: start + 6, data: "world"}}, "hello world"},
		"overlap, first counts":  {[]step{syn, {seq: start, data: "hello "}, {seq: start + 3, data: "XXXworld"}}, "hello world"},
		"early overlap":          {[]step{syn, {seq: start + 6, data: "wor"}, {seq: start + 6, data: "world"}, {seq: start, data: "hello "}}, "hello world"},
		"keep-alive byte":        {[]step{syn, {seq: start, data: "hello"}, {seq: start + 4, data: "X"}, {seq: start + 5, data: "!"}}, "hello!"},
		"hole at the end":        {[]step{syn, {seq: start, data: "hello "}, {seq: start + 10, data: "!"}}, "hello <4>!"},
		"hole acknowledged late": {[]step{syn, {seq: start + 2, data: "cd"}, {back: true, flags: flow.ACK, ack: start + 4, at: patience * 2}, {seq: start, data: "ab"}}, "<2>cd"},
		"hole filled in time":    {[]step{syn, {seq: start + 2, data: "cd"}, {back: true, flags: flow.ACK, ack: start + 4, at: patience / 2}, {seq: start, data: "ab"}}, "abcd"},
		"cut by snap length":     {[]step{syn, {seq: start, data: "hel", missing: 3}, {seq: start + 6, data: "world"}}, "hel<3>world"},
		"early and cut":          {[]step{syn, {seq: start + 6, data: "wo", missing: 3}, {seq: start + 11, data: "!"}, {seq: start, data: "hello "}}, "hello wo<3>!"},
		"no SYN, out of order":   {[]step{{seq: start + 6, data: "world"}, {seq: start, data: "hello "}, {seq: start + 11, data: "!"}}, "hello world!"},
		"acknowledged, unseen":   {[]step{syn, {seq: start, data: "ab"}, {back: true, flags: flow.ACK, ack: start + 7}}, "ab<5>"},
		"bytes after the FIN":    {[]step{syn, {seq: start, data: "ab", flags: flow.FIN}, {seq: start + 2, data: "cd"}}, "abcd"},
		"empty":                  {[]step{syn, {seq: start, flags: flow.ACK}}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pool := NewPool(1<<20, 1<<20)
			var tcp TCP
			var got record
			tcp.Init(pool)
			for _, s := range c.steps {
				h := seg(s.seq, s.flags, s.ack)
				d := flow.Dir(0)
				if s.back {
					d = 1
				}
				tcp.Segment(&h, d, []byte(s.data), s.missing, s.at, &got)
			}
			tcp.Close(0, &got)
			if got.text(0) != c.want {
				t.Errorf("got %q, want %q", got.text(0), c.want)
			}
			if pool.Held() != 0 {
				t.Errorf("%d bytes are still held", pool.Held())
			}
		})
	}
}

// Whatever the network or the capture does to the segments, no byte is told in a wrong place:
// with the gaps filled in by what was missing, the stream is the original.
func TestShuffled(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		want := make([]byte, 2000+rnd.IntN(8000))
		for i := range want {
			want[i] = byte(rnd.Uint32())
		}
		type segment struct{ off, n int }
		var segments []segment
		for off := 0; off < len(want); {
			n := min(1+rnd.IntN(700), len(want)-off)
			if rnd.IntN(20) > 0 { // else it is lost
				segments = append(segments, segment{off, n})
			}
			if rnd.IntN(8) == 0 { // sent again, cut in another way
				back := min(off, rnd.IntN(300))
				segments = append(segments, segment{off - back, min(n, back+rnd.IntN(200)+1)})
			}
			off += n
		}
		for i := range segments {
			j := min(len(segments)-1, i+rnd.IntN(6))
			segments[i], segments[j] = segments[j], segments[i]
		}
		pool := NewPool(1<<20, 3000)
		var tcp TCP
		tcp.Init(pool)
		check := &original{t: t, want: want, seed: seed}
		h := seg(99, flow.SYN, 0)
		tcp.Segment(&h, 0, nil, 0, 0, check)
		for i, s := range segments {
			h := seg(100+uint32(s.off), flow.ACK, 0)
			tcp.Segment(&h, 0, want[s.off:s.off+s.n], 0, int64(i), check)
		}
		tcp.Close(0, check)
		if pool.Held() != 0 {
			t.Fatalf("seed %d: %d bytes are still held", seed, pool.Held())
		}
	}
}

// original compares a stream with what it was cut from.
type original struct {
	t    *testing.T
	want []byte
	at   int
	seed uint64
}

func (o *original) Data(_ flow.Dir, b []byte, _ int64) {
	if !bytes.HasPrefix(o.want[o.at:], b) {
		o.t.Fatalf("seed %d: wrong bytes at %d", o.seed, o.at)
	}
	o.at += len(b)
}

func (o *original) Gap(_ flow.Dir, n int64, _ int64) { o.at += int(n) }

// A hole that is never filled must not make a connection, or all of them, hold without bound.
func TestBounds(t *testing.T) {
	pool := NewPool(64<<10, 16<<10)
	var none record
	conns := make([]TCP, 50)
	for i := range conns {
		conns[i].Init(pool)
		h := seg(0, flow.SYN, 0)
		conns[i].Segment(&h, 0, nil, 0, 0, &none)
	}
	payload := make([]byte, 1000)
	for n := range uint32(100) {
		for i := range conns {
			h := seg(1001+n*2000, flow.ACK, 0)
			conns[i].Segment(&h, 0, payload, 0, 0, &none)
			if pool.Held() > 64<<10+1000 {
				t.Fatalf("%d bytes are held", pool.Held())
			}
		}
	}
}

func FuzzSegments(f *testing.F) {
	f.Add([]byte("\x00\x01\x02abc\x10\x05\x01defgh"))
	memory := memtest.New(16 << 20)
	f.Fuzz(func(t *testing.T, in []byte) {
		memory.Input()
		defer memory.Check(t)
		pool := NewPool(1<<16, 1<<14)
		var tcp TCP
		tcp.Init(pool)
		var told record
		fed := 0
		for len(in) >= 4 {
			n := min(int(in[3]), len(in)-4)
			h := seg(uint32(in[0])<<2, in[1], uint32(in[2])<<2)
			tcp.Segment(&h, flow.Dir(in[1]>>7), in[4:4+n], uint32(in[2]&3), int64(fed), &told)
			fed += n
			in = in[4+n:]
		}
		tcp.Close(0, &told)
		if pool.Held() != 0 {
			t.Fatalf("%d bytes are still held", pool.Held())
		}
	})
}

func BenchmarkInOrder(b *testing.B) {
	pool := NewPool(1<<20, 1<<20)
	var tcp TCP
	tcp.Init(pool)
	var sink discard
	payload := make([]byte, 1448)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	seq := uint32(0)
	for b.Loop() {
		h := seg(seq, flow.ACK, 0)
		tcp.Segment(&h, 0, payload, 0, 0, &sink)
		seq += uint32(len(payload))
	}
}

type discard struct{}

func (discard) Data(flow.Dir, []byte, int64) {}
func (discard) Gap(flow.Dir, int64, int64)   {}

// TestOpeningLost: the other side's SYN and its first acknowledgment tell where a stream began.
func TestOpeningLost(t *testing.T) {
	for name, c := range map[string]struct {
		syn  bool
		ack  uint32
		seq  uint32
		want string
	}{
		"nothing is lost":       {true, 5001, 5001, "1:x"},
		"the first bytes are":   {true, 5001, 5011, "1:-10 1:x"},
		"from the middle":       {false, 5001, 5011, "1:x"},
		"acknowledged later on": {true, 5021, 5011, "1:x 1:-9"},
	} {
		var tcp TCP
		tcp.Init(NewPool(1<<20, 1<<20))
		var told listed
		if c.syn {
			h := seg(100, flow.SYN, 0)
			tcp.Segment(&h, 0, nil, 0, 1, &told)
		}
		h := seg(101, flow.ACK, c.ack)
		tcp.Segment(&h, 0, nil, 0, 2, &told)
		h = seg(c.seq, flow.ACK, 101)
		tcp.Segment(&h, 1, []byte("x"), 0, 3, &told)
		tcp.Close(4, &told)
		if got := strings.Join(told, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// listed notes what is told.
type listed []string

func (l *listed) Data(d flow.Dir, b []byte, _ int64) { *l = append(*l, fmt.Sprintf("%d:%s", d, b)) }
func (l *listed) Gap(d flow.Dir, n int64, _ int64)   { *l = append(*l, fmt.Sprintf("%d:-%d", d, n)) }
