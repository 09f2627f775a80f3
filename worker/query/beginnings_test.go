package query

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// longConnection is a capture of one HTTP/2 connection: a request a minute, each with a header
// that is in the table since the first.
func longConnection(t *testing.T, requests int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "long.pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := pcapng.NewWriter(f, pcapng.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, out)
	var wire, block [2]bytes.Buffer
	var frames [2]*http2.Framer
	var enc [2]*hpack.Encoder
	seq := [2]uint32{100, 200}
	for side := range 2 {
		frames[side], enc[side] = http2.NewFramer(&wire[side], nil), hpack.NewEncoder(&block[side])
	}
	send := func(side int) {
		w.say(t, side, 40000, seq[side], seq[1-side], flow.ACK, wire[side].String())
		seq[side] += uint32(wire[side].Len())
		wire[side].Reset()
	}
	headers := func(side int, stream uint32, pairs ...string) {
		block[side].Reset()
		for i := 0; i < len(pairs); i += 2 {
			if err := enc[side].WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}); err != nil {
				t.Fatal(err)
			}
		}
		if err := frames[side].WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block[side].Bytes(), EndHeaders: true, EndStream: true}); err != nil {
			t.Fatal(err)
		}
		send(side)
	}
	w.say(t, 0, 40000, 99, 0, flow.SYN, "")
	w.say(t, 1, 40000, 199, 100, flow.SYN|flow.ACK, "")
	wire[0].WriteString(http2.ClientPreface)
	if err := frames[0].WriteSettings(); err != nil {
		t.Fatal(err)
	}
	send(0)
	for i := range requests {
		headers(0, uint32(2*i+1), ":method", "GET", ":scheme", "http", ":path", "/item/"+strconv.Itoa(i), ":authority", "catalog", "x-tenant", "blue")
		headers(1, uint32(2*i+1), ":status", "200", "x-shop", "one")
		w.t += 60e9
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a call depends on is read although it was said long before the window.
func TestBeginnings(t *testing.T) {
	const requests = 60
	path := longConnection(t, requests)
	file, stored, s := kept(t, path)
	filter := `request.headers["x-tenant"] == "blue" && response.headers["x-shop"] == "one"`
	all := jsonLines(t, file, Request{Filter: filter})
	if len(all) != requests {
		t.Fatalf("the file has %d calls", len(all))
	}
	late := began + 50*60e9
	for name, r := range map[string]Request{
		"window": {Filter: filter, Since: late, Until: late + 5*60e9},
		"newest": {Filter: filter, Last: 3},
		"again":  {Filter: filter, Since: late + 60e9},
	} {
		got := jsonLines(t, stored, r)
		want := slices.DeleteFunc(slices.Clone(all), func(line string) bool { return !slices.Contains(got, line) })
		if len(got) < 3 || len(want) != len(got) {
			t.Errorf("%s: %d calls, of which %d are the file's", name, len(got), len(want))
		}
	}
	named := jsonLines(t, stored, Request{Filter: filter + ` && dst.pod.name == "catalog"`, Since: late})
	if want := jsonLines(t, stored, Request{Filter: filter, Since: late}); len(want) < 3 || !slices.Equal(named, want) {
		t.Errorf("by the pod's name: %d calls of %d, or not as from both ends", len(named), len(want))
	}
	var packets counter
	if _, err := stored.Packets(context.Background(), &Request{Filter: filter, Since: late}, &packets); err != nil || packets.packets == 0 {
		t.Errorf("%d packets: %v", packets.packets, err)
	}
	if packets.packets > 2*2*(requests-49)+2 {
		t.Errorf("%d packets: those before the window are told", packets.packets)
	}
	var flows []*dissect.Flow
	if _, err := stored.Flows(context.Background(), &Request{Filter: filter, Since: late, Vantage: Server}, func(f *dissect.Flow) error {
		own := *f
		flows = append(flows, &own)
		return nil
	}); err != nil || len(flows) != 1 || flows[0].Protocol == nil || !strings.HasPrefix(flows[0].Protocol.Name, "http") {
		t.Errorf("flows %v: %v", flows, err)
	}
	if n := s.Stats().Segments; n == 0 {
		t.Error("nothing is kept")
	}
}
