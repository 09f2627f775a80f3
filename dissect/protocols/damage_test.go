package protocols

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/keylog"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

var (
	damages = flag.Int("damages", 3, "how often each capture of TestDamage is damaged")
	damage  = flag.Uint64("damage", 1, "the first seed of TestDamage")
)

// capture is a recorded file, whose packets have times of their own.
type capture struct {
	name    string
	text    []byte
	packets []pcap.Packet
	keys    *keylog.Store
}

// read reads a capture, up to where it is torn.
func read(tb testing.TB, name string, text []byte) *capture {
	tb.Helper()
	c := &capture{name: name, text: text, keys: keylog.New()}
	in, err := pcapng.NewReader(bytes.NewReader(text), pcapng.ReaderOptions{OnSecrets: func(_ uint32, text []byte) { c.keys.Add(text) }})
	if err != nil {
		return c
	}
	var p pcap.Packet
	for last := int64(0); in.Next(&p) == nil; last = p.Time {
		p.Data, p.Time = bytes.Clone(p.Data), max(p.Time, last+1)
		c.packets = append(c.packets, p)
	}
	return c
}

func captures(tb testing.TB) (list []*capture) {
	tb.Helper()
	files, err := filepath.Glob("../*/testdata/*.pcap*")
	if err != nil || len(files) < 100 {
		tb.Fatalf("%d captures: %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, read(tb, strings.TrimPrefix(name, "../"), text))
	}
	return list
}

// call is what was told of a call.
type call struct {
	flow       string // its endpoints
	src        string // who sent the request, or the response if that is all there is
	dst        string
	transport  flow.Proto
	protocol   string
	incomplete bool
	times      [4]int64 // of a request's begin and end, and of a response's, 0: there is none
	summary    string
	status     string
	fields     map[string]any
}

func (c *call) String() string {
	b, _ := json.Marshal(c.fields)
	return fmt.Sprintf("%s %s from %s at %v: %s -> %s (incomplete: %v) %s", c.flow, c.protocol, c.src, c.times, c.summary, c.status, c.incomplete, b)
}

// listener is a handler that notes calls.
type listener struct {
	tb    testing.TB
	calls []*call
}

func (*listener) FlowEnd(*dissect.Flow) {}
func (*listener) Batch()                {}

func (l *listener) Call(c *dissect.Call) {
	src, dst := c.Src().Addr.String(), c.Dst().Addr.String()
	n := &call{flow: min(src, dst) + " " + max(src, dst), src: src, dst: dst, transport: c.Flow.Transport, protocol: c.Protocol.Name, incomplete: c.Incomplete,
		times: [4]int64{c.Time, c.RequestEnd, c.ResponseStart, c.ResponseEnd}, summary: string(c.Message.AppendSummary(nil)), status: string(c.Message.AppendStatus(nil))}
	if c.Time == c.ResponseStart && c.RequestEnd == 0 {
		n.times[0] = 0 // all there is is the response
	}
	text := "{" + strings.TrimPrefix(string(c.Message.AppendFields(nil)), ",") + "}"
	if err := json.Unmarshal([]byte(text), &n.fields); err != nil {
		l.tb.Errorf("%v: %s", err, text)
	}
	for part := range 2 {
		c.Message.Body(part)
	}
	l.calls = append(l.calls, n)
}

// dissected runs packets through all protocols.
func dissected(tb testing.TB, packets []pcap.Packet, keys *keylog.Store) []*call {
	tb.Helper()
	l := &listener{tb: tb}
	e := dissect.NewEngine(dissect.Options{Protocols: All(), Workers: 1, Bodies: 4096, Secrets: keys,
		Handler: func(int) dissect.Handler { return l }})
	for i := range packets {
		e.Packet(&packets[i], 0, flow.UnknownOpener)
	}
	e.Close()
	if n := e.Faults(); n > 0 {
		tb.Errorf("%d parsers panicked", n)
	}
	return l.calls
}

// ambiguous are captures of which a part says something else than the whole, and why.
var ambiguous = map[string]string{
	"dns/testdata/tcp.pcap":                    "a transfer of a zone is answered in several messages, of which the first may be lost",
	"memcached/testdata/errors.pcap":           "a malformed command is answered twice: once for itself, once for its data",
	"redis/testdata/pipeline.pcap":             "what CONFIG GET is answered are strings of which the first is a command, if nothing is seen of who asked",
	"redis/testdata/replication.pcap":          "the server of a replica asks too; and its commands are strings, as replies are",
	"redis/testdata/tracking.pcap":             "CLIENT alone on a line, behind a hole in the middle of a command, is a command too",
	"postgresql/testdata/middle-prepared.pcap": "statements that have no text cannot be told apart where one is sent again",
	"ws/testdata/coder.pcap":                   "messages have the time of the first bytes behind a switch that waited for the other side",
}

// mispaired says that a request and a response are there, but do not belong together.
const mispaired = "another's answer"

// whole are the calls of a capture as it was recorded, by their flow.
type whole map[string][]*call

// TestDamage: whatever a capture lacks or has twice, no parser panics, and no call comes out
// that the capture does not hold. A call of what is left is held by the capture if the capture
// has one of the same protocol between the same ends, whose request began with the packet that
// this one's did, or whose response did where the request is lost; if all that is told of it
// is told of that one too; and if the two halves of a pair are a pair there. Of a call that
// says that it is incomplete, the beginning may be missing, so that its packets need only be
// among those of the other's half; of one that is, and of one that lacks its other half, values
// may be shorter or less. Packets keep the times at which they were captured, which is what
// tells a reply from one to an earlier request.
func TestDamage(t *testing.T) {
	var pairs struct{ all, wrong int }
	for _, c := range captures(t) {
		t.Run(c.name, func(t *testing.T) {
			w := whole{}
			n, wrong := 0, 0
			for _, x := range dissected(t, c.packets, c.keys) {
				w[x.flow] = append(w[x.flow], x)
			}
			for i := range *damages {
				seed := *damage + uint64(i)
				packets, how := damaged(t, rand.New(rand.NewPCG(seed, uint64(len(c.text)))), c)
				for _, x := range dissected(t, packets, c.keys) {
					if n++; ambiguous[c.name] != "" || strings.Contains(c.name, "snaplen-cut") { // which is no whole
						continue
					}
					if why := w.lacks(x); why == mispaired {
						wrong++
						t.Logf("seed %d (%s): %s: %s", seed, how, why, x)
					} else if why != "" {
						t.Errorf("seed %d (%s): %s: %s", seed, how, why, x)
					}
				}
				if t.Failed() {
					return
				}
			}
			pairs.all, pairs.wrong = pairs.all+n, pairs.wrong+wrong
		})
	}
	t.Logf("%d calls, %d of them with another's answer", pairs.all, pairs.wrong)
	if pairs.wrong > pairs.all/1000 {
		t.Errorf("%d of %d calls have another's answer", pairs.wrong, pairs.all)
	}
}

// lacks says why the whole does not hold a call, "" if it does.
func (w whole) lacks(c *call) (why string) {
	why = "there is no such call"
	for _, a := range w[c.flow] {
		if c.times[0] != 0 && !a.has(c, 0) {
			continue
		}
		for _, b := range w[c.flow] {
			switch {
			case c.times[2] == 0 && a != b, c.times[2] != 0 && !b.has(c, 2):
			case c.times[0] != 0 && a != b && !c.incomplete:
				why = mispaired
			case c.times[0] == 0 && a != b:
			default:
				if why = c.differs(a, b); why == "" {
					return ""
				}
			}
		}
	}
	return why
}

// family is the protocol, but of what is HTTP that it is.
func family(protocol string) string {
	switch protocol {
	case "grpc", "gql":
		return "http"
	}
	return protocol
}

// has says whether a call's request (half is 0) or response (2) may be that of the whole one.
func (x *call) has(c *call, half int) bool {
	if family(x.protocol) != family(c.protocol) {
		return false
	}
	src := x.src
	if c.times[0] == 0 && x.times[0] != 0 {
		src = x.dst
	}
	switch begin := c.times[half]; {
	case c.src != src || x.times[half] == 0:
		return false
	case c.transport != flow.TCP: // parts of it may have been sent again, or come in another order
		return begin >= x.times[0]
	case half == 0 && !c.incomplete:
		return begin == x.times[half]
	default:
		return begin >= x.times[half] && begin <= x.times[half+1]
	}
}

// either are fields that may say other things where not all was seen: what the first of two
// halves said, who answered at last, how a stream ended whose other half was not seen to, the
// last line that there is of a reply, a command of which only its preparation is left, a
// statement that was prepared earlier; and how much is missing.
var either = []string{"http_version", "sip_to", "http2_error", "http2_missing_headers", "ftp_reply", "smtp_reply",
	"postgresql_command", "postgresql_tag", "cassandra_query", "tlsx_info", "quic_retry"}

// pieced are fields that are put together from several things, of which some may be missing, or
// trailers that look like headers where those are missing.
var pieced = []string{"response.headers", "ldap_summary", "ldap_filter"}

// differs says what is told of a call, and of neither of the two that its halves belong to.
func (c *call) differs(a, b *call) string {
	part := c.incomplete || (c.times[0] != 0) != (a.times[0] != 0) || (c.times[2] != 0) != (b.times[2] != 0)
	for name, v := range c.fields {
		switch {
		case part && slices.Contains(pieced, name):
		case b.incomplete && b.fields[name] == nil: // it knows less
		case slices.Contains(either, name), strings.HasSuffix(name, "_size"), strings.HasSuffix(name, "_length"), strings.HasSuffix(name, "_entries"):
		case !within(v, a.fields[name], part) && !within(v, b.fields[name], part):
			return fmt.Sprintf("%s was %v", name, a.fields[name])
		}
	}
	return ""
}

// within says whether a value is the whole's, or part of it if that is enough.
func within(v, whole any, part bool) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		w, ok := whole.(string)
		return ok && (v == w || part && strings.HasPrefix(w, v))
	case float64:
		w, ok := whole.(float64)
		return ok && (v == w || part && v < w)
	case bool:
		return v == whole || !v && part
	case []any:
		w, ok := whole.([]any)
		if !ok || len(v) > len(w) || len(v) < len(w) && !part {
			return false
		}
		for i := range v {
			if !within(v[i], w[i], part) {
				return false
			}
		}
	case map[string]any:
		w, ok := whole.(map[string]any)
		if !ok || len(v) < len(w) && !part {
			return false
		}
		for k := range v {
			if !within(v[k], w[k], part) {
				return false
			}
		}
	}
	return true
}

// fragment says whether a packet is part of one, which has the time of its last part.
func fragment(p *pcap.Packet) bool {
	var h flow.Header
	h.Parse(p.Iface.Link, p.Data)
	return h.Fragments
}

// damaged is a capture that lost, or has twice, what real ones do.
func damaged(tb testing.TB, r *rand.Rand, c *capture) (packets []pcap.Packet, how string) {
	did := func(format string, args ...any) {
		how = strings.TrimPrefix(how+", "+fmt.Sprintf(format, args...), ", ")
	}
	packets = slices.Clone(c.packets)
	if len(packets) == 0 {
		return nil, ""
	}
	// Which side of a flow is whole: as long as one is, the halves of a pair can be told.
	side := func(p *pcap.Packet) bool {
		var h flow.Header
		h.Parse(p.Iface.Link, p.Data)
		return h.Dir == 0
	}
	one := r.IntN(2) == 0
	hit := func(p *pcap.Packet, of int) bool { return r.IntN(100) < of && side(p) == one }
	kinds := []int{r.IntN(8), r.IntN(16)} // half of them once
	slices.Sort(kinds)
	for _, kind := range kinds {
		switch kind {
		case 3:
			of := 1 + r.IntN(40)
			did("%d %% lost", of)
			packets = slices.DeleteFunc(packets, func(p pcap.Packet) bool { return hit(&p, of) })
		case 4:
			of := 1 + r.IntN(40)
			did("%d %% cut", of)
			for i := range packets {
				if p := &packets[i]; hit(p, of) {
					p.Data = p.Data[:40+r.IntN(max(1, len(p.Data)-40))]
				}
			}
		case 5:
			did("twice")
			for i := 0; i < len(packets); i++ {
				if r.IntN(5) == 0 {
					packets = slices.Insert(packets, i+r.IntN(min(20, len(packets)-i)), packets[i])
					i++
				}
			}
		case 6, 7:
			far := []int{2, 4, 30, 1000}[r.IntN(4)]
			did("up to %d late", far)
			for i := range packets {
				if r.IntN(10) == 0 && side(&packets[i]) == one && !fragment(&packets[i]) {
					j := min(len(packets)-1, i+r.IntN(far))
					p := packets[i]
					copy(packets[i:j], packets[i+1:j+1])
					packets[j] = p
				}
			}
		case 0:
			from := r.IntN(len(packets))
			did("from packet %d on", from)
			packets = packets[from:]
		case 1:
			did("one side")
			packets = slices.DeleteFunc(packets, func(p pcap.Packet) bool { return side(&p) == one })
		case 2:
			at := r.IntN(len(c.text))
			did("torn at byte %d", at)
			packets = packets[:min(len(packets), len(read(tb, c.name, c.text[:at]).packets))]
		}
		if len(packets) == 0 {
			break
		}
	}
	return packets, how
}
