package ws

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/flow"
)

// tell is one call in short: what was said, the beginning of it, and marks: "<" it is the
// server's, "~" it is incomplete, "!" it is an error, "+" there is more.
func tell(c *dissect.Call) string {
	b := []byte(cuttest.Short(c))
	if body := c.Message.Body(0); body != nil {
		b = fmt.Appendf(b, " %.20q", body.Data)
		if body.Truncated {
			b = append(b, '+')
		}
		if body.Err != nil {
			b = append(b, " error"...)
		}
	}
	return string(b)
}

type (
	sink = cuttest.Script
	step = cuttest.Step
)

func c(frames ...string) step { return cuttest.Client(strings.Join(frames, "")) }
func s(frames ...string) step { return cuttest.Server(strings.Join(frames, "")) }

// Flags of frame.
const (
	fin    = 0x80
	packed = 0x40
	masked = 0x100
)

// raw makes a frame.
func raw(op opcode, flags int, payload string) string {
	b := []byte{byte(op) | byte(flags&0xf0)}
	mask := byte(flags >> 1 & 0x80)
	switch n := len(payload); {
	case n < 126:
		b = append(b, mask|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), uint64(n))
	}
	data := []byte(payload)
	if mask != 0 {
		key := [4]byte{0x12, 0x34, 0x56, 0x78}
		b = append(b, key[:]...)
		unmask(data, key, 0)
	}
	return string(append(b, data...))
}

// pack compresses messages of one side, one after the other.
type pack struct {
	b bytes.Buffer
	w *flate.Writer
}

func (p *pack) message(text string) string {
	if p.w == nil {
		p.w, _ = flate.NewWriter(&p.b, 9)
	}
	p.b.Reset()
	p.w.Write([]byte(text))
	p.w.Flush()
	return strings.TrimSuffix(p.b.String(), "\x00\x00\xff\xff")
}

// run plays steps; see cuttest.Script.
func run(k *sink, steps []step, chunk int) error { return k.Play(newParser(k), steps, chunk) }

func rep(n int) string { return strings.Repeat("x", n) }

// conversations are told the same however they are cut into pieces.
func conversations() map[string]struct {
	steps []step
	want  []string
} {
	play := strings.Repeat("all work and no play ", 30)
	var a, b pack
	first, second, other, bomb := a.message(play), a.message(play), b.message(play), bombed
	short := func(name, data, end string) string { return fmt.Sprintf("%s %d B %.20q%s", name, len(data), data, end) }
	works := func(data string) string { return fmt.Sprintf("text %d B %q", len(data), play[:20]) }
	return map[string]struct {
		steps []step
		want  []string
	}{
		"messages": {[]step{c(raw(opText, fin|masked, "hello")), s(raw(opText, fin, "hello"), raw(opBinary, fin, "\x00\x01")), c(raw(opText, fin|masked, ""))},
			[]string{`text 5 B "hello"`, `<text 5 B "hello"`, `<binary 2 B "\x00\x01"`, `text`}},
		"lengths": {[]step{c(raw(opText, fin|masked, rep(125)), raw(opText, fin|masked, rep(126)), raw(opText, fin|masked, rep(70000)))},
			[]string{`text 125 B "xxxxxxxxxxxxxxxxxxxx"`, `text 126 B "xxxxxxxxxxxxxxxxxxxx"`, `text 70000 B "xxxxxxxxxxxxxxxxxxxx"+`}},
		"fragments, and a ping between them": {[]step{c(raw(opText, masked, "one "), raw(opPing, fin|masked, "p"), raw(opContinuation, masked, "two "), raw(opContinuation, fin|masked, "three")), s(raw(opPong, fin, "p"))},
			[]string{`ping 1 B "p"`, `text 13 B "one two three"`, `<pong 1 B "p"`}},
		"close": {[]step{c(raw(opClose, fin|masked, "\x03\xe8bye")), s(raw(opClose, fin, "\x03\xf3")), s(raw(opClose, fin, ""))},
			[]string{`close 1000 bye "\x03\xe8bye"`, `<!close 1011 "\x03\xf3"`, `<close`}},
		"compressed, with what was said before": {[]step{c(raw(opText, fin|packed|masked, first)), c(raw(opText, fin|masked, "plain")), c(raw(opText, fin|packed|masked, second)), s(raw(opText, packed, other[:9]), raw(opContinuation, fin, other[9:]))},
			[]string{works(first), `text 5 B "plain"`, works(second), "<" + works(other)}},
		"what cannot be decompressed": {[]step{c(raw(opText, fin|packed|masked, "\xff\xff")), c(raw(opText, fin|masked, "ok"))},
			[]string{`text 2 B "\xff\xff" error`, `text 2 B "ok"`}},
		"a bomb": {[]step{c(raw(opBinary, fin|packed|masked, bomb)), c(raw(opText, fin|masked, "ok"))},
			[]string{short("binary", bomb, " error"), `text 2 B "ok"`}},
		"cut": {[]step{c(raw(opText, fin|masked, "hello")[:8]), s(raw(opText, 0, "one "))},
			[]string{`~text 2 B "he"+`, `<~text 4 B "one "+`}},
		"nothing after the header": {[]step{c(raw(opText, fin|masked, "hello")[:5])}, nil},
		"no WebSocket":             {[]step{s("HTTP/1.1 400 Bad Request\r\n\r\n")}, nil},
	}
}

var bombed = func() string { var p pack; return p.message(string(make([]byte, 40<<20))) }()

func TestConversations(t *testing.T) {
	for name, tt := range conversations() {
		t.Run(name, func(t *testing.T) {
			for _, chunk := range []int{0, 1, 2, 3, 7, 1000} {
				if name == "a bomb" && chunk > 0 {
					continue // once is slow enough
				}
				k := &sink{TB: t, Tell: tell, Limit: 1 << 16}
				if err := run(k, tt.steps, chunk); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(k.Calls, tt.want) {
					t.Errorf("pieces of %d:\ngot  %q\nwant %q", chunk, k.Calls, tt.want)
				}
			}
		})
	}
}

func TestCall(t *testing.T) {
	frame := raw(opText, fin|masked, "hello")
	k := &sink{TB: t, Tell: tell, Limit: 3, Each: func(c *dissect.Call) {
		if c.Time != 1_001_000_000 || c.RequestEnd != 1_002_000_000 || c.ResponseStart != 0 || c.RequestSize != uint64(len(frame)) {
			t.Errorf("%+v", c)
		}
		if c.Protocol == nil || c.Protocol.Name != "ws" {
			t.Errorf("protocol %v", c.Protocol)
		}
		if b := c.Message.Body(0); string(b.Data) != "hel" || !b.Truncated || b.Size != 5 {
			t.Errorf("%+v", b)
		}
		want := map[string]any{"ws_opcode": "text", "ws_size": int64(5), "ws_compressed": false, "ws_close_code": nil, "ws_request_payload_data": "hel"}
		for _, f := range fields {
			if got := f.Get(c); got != want[f.Name] {
				t.Errorf("%s is %#v, want %#v", f.Name, got, want[f.Name])
			}
		}
	}}
	if err := run(k, []step{c(frame[:7]), c(frame[7:])}, 0); err != nil || len(k.Calls) != 1 {
		t.Fatal(err, k.Calls)
	}
	k = &sink{Each: func(c *dissect.Call) {
		if c.Message.Body(0) != nil {
			t.Error("a body that nobody asked for")
		}
	}}
	if err := run(k, []step{c(frame)}, 0); err != nil || len(k.Calls) != 1 {
		t.Fatal(err, k.Calls)
	}
}

func TestGaps(t *testing.T) {
	long := raw(opText, fin|masked, rep(50)+"end")
	many := raw(opText, fin, "one") + raw(opText, fin, "two") + raw(opText, fin, "three")
	var p pack
	first, second := p.message("all work and no play"), p.message("all work and no play")
	for _, tt := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"in a payload", []step{c(long[:20]), cuttest.Missing(0, int64(len(long)-23)), c(long[len(long)-3:]), c(raw(opText, fin|masked, "next"))},
			[]string{`~text 53 B "xxxxxxxxxxxxxx"+`, `text 4 B "next"`}},
		{"between frames", []step{s(raw(opText, fin, "a")), cuttest.Missing(1, 10), s(many), s(raw(opText, fin, "four"))},
			[]string{`<text 1 B "a"`, `<text 3 B "one"`, `<text 3 B "two"`, `<text 5 B "three"`, `<text 4 B "four"`}},
		{"of unknown length, found in the next segment", []step{c(long[:20]), cuttest.Missing(0, 0), c("rest of something"), c(raw(opText, fin|masked, "1"), raw(opText, fin|masked, "2")), c(raw(opText, fin|masked, "3"))},
			[]string{`text 1 B "1"`, `text 1 B "2"`, `text 1 B "3"`}},
		{"too little to believe", []step{s(raw(opText, fin, "a")), cuttest.Missing(1, 10), s(raw(opText, fin, "two"))}, []string{`<text 1 B "a"`}},
		{"what was compressed refers to what is missing", []step{s(raw(opText, fin|packed, first)), cuttest.Missing(1, 10), s(raw(opText, fin, "1"), raw(opText, fin, "2"), raw(opText, fin|packed, second))},
			[]string{`<text 22 B "all work and no play"`, `<text 1 B "1"`, `<text 1 B "2"`, fmt.Sprintf(`<text %d B %.20q error`, len(second), second)}},
		{"the beginning of fragments", []step{s(raw(opText, 0, "a")), cuttest.Missing(1, 10), s(raw(opContinuation, 0, "b"), raw(opContinuation, fin, "c"), raw(opText, fin, "d"))}, []string{`<text 1 B "d"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &sink{TB: t, Tell: tell, Limit: 1 << 16}
			if err := run(k, tt.steps, 0); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(k.Calls, tt.want) {
				t.Errorf("got  %q\nwant %q", k.Calls, tt.want)
			}
		})
	}
}

// TestLossInventsNothing: messages say where they stand, and none is told that was not sent.
func TestLossInventsNothing(t *testing.T) {
	left := 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var steps []step
		for i := range 30 {
			d := flow.Dir(r.IntN(2))
			flags := fin
			if d == 0 {
				flags |= masked
			}
			text := fmt.Sprintf("message %d %d ", d, i) + strings.Repeat("lorem ipsum ", r.IntN(30))
			f := raw(opText, flags, text)
			if n := len(steps); n > 0 && steps[n-1].Dir == d && r.IntN(2) == 0 {
				steps[n-1].Data = append(steps[n-1].Data, f...)
			} else {
				steps = append(steps, step{Dir: d, Data: []byte(f)})
			}
		}
		i := r.IntN(len(steps))
		from := r.IntN(len(steps[i].Data))
		n := 1 + r.IntN(len(steps[i].Data)-from)
		gap := int64(n)
		if r.IntN(2) == 0 {
			gap = 0
		}
		d, data := steps[i].Dir, steps[i].Data
		steps = slices.Replace(steps, i, i+1, step{Dir: d, Data: data[:from:from]}, cuttest.Missing(d, gap), step{Dir: d, Data: data[from+n:]})
		k := &sink{TB: t, Tell: tell, Limit: 1000, Each: func(c *dissect.Call) {
			left++
			body := c.Message.Body(0)
			if body == nil {
				return // it was cut before it said anything
			}
			var d, i int
			whole := c.Incomplete || strings.HasPrefix(string(body.Data), "message ")
			if _, err := fmt.Sscanf(string(body.Data), "message %d %d ", &d, &i); err != nil && !c.Incomplete || !whole || err == nil && (d == 1) != c.Reverse {
				t.Errorf("seed %d: nobody said %q", seed, body.Data)
			}
		}}
		if err := run(k, steps, 0); err != nil {
			t.Fatal(err)
		}
	}
	if left < 2000*20 {
		t.Errorf("only %d of %d messages are left", left, 2000*30)
	}
}

func FuzzParser(f *testing.F) {
	var seeds [][]step
	for _, tt := range conversations() {
		seeds = append(seeds, tt.steps)
	}
	for _, steps := range cuttest.Streams(f, "testdata/coder.pcap") {
		var upgraded [2]bool
		for i := range steps {
			st := &steps[i]
			if !upgraded[st.Dir] { // the beginning is HTTP
				_, st.Data, upgraded[st.Dir] = bytes.Cut(st.Data, []byte("\r\n\r\n"))
			}
		}
		seeds = append(seeds, slices.DeleteFunc(steps, func(st step) bool { return len(st.Data) == 0 }))
	}
	cuttest.FuzzScripts(f, Protocol(), nil, seeds...)
}

func BenchmarkMessages(b *testing.B) {
	p := newParser(&sink{})
	p.sink = &cuttest.Counter{}
	request, response := []byte(raw(opText, fin|masked, rep(100))), []byte(raw(opText, fin, rep(100)))
	b.SetBytes(int64(len(request) + len(response)))
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		p.Data(0, request, dissect.Stamp{Time: i})
		p.Data(1, response, dissect.Stamp{Time: i})
	}
}
