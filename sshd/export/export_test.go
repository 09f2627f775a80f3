package export

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/worker/query"
)

var pods = []*pcap.Interface{
	{Name: "eth0", Link: pcap.LinkEthernet, Node: "node-a", Pod: pcap.Pod{Namespace: "shop", Name: "cart-0", UID: "1-2"}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}},
	{Name: "eth0", Link: pcap.LinkEthernet, Node: "node-b", Pod: pcap.Pod{Namespace: "shop", Name: "web-0", UID: "1-3"}},
	{Name: "eth0", Link: pcap.LinkEthernet, Node: "node-b"},
}

// frame is an Ethernet frame with a TCP segment, whose checksums were left to a device.
func frame(payload string) []byte {
	b := make([]byte, 54, 54+len(payload))
	b[12], b[13] = 8, 0
	ip := b[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(ip[2:], uint16(40+len(payload)))
	copy(ip[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	copy(ip[20:], []byte{0x9c, 0x40, 0, 80})
	ip[32], ip[33] = 0x50, flow.ACK
	return append(b, payload...)
}

// packets are n packets of all pods, in the order of time.
func packets(n int) (out []pcap.Packet) {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range n {
		b := frame(strings.Repeat("said ", r.IntN(200)))
		p := pcap.Packet{Time: 1_700_000_000_000_000_000 + int64(i)*1_234_567, Data: b, Length: uint32(len(b)), Iface: pods[i%len(pods)]}
		p.Flags = []uint32{0, pcap.FlagInbound, pcap.FlagOutbound | pcap.FlagChecksumPartial}[r.IntN(3)]
		if r.IntN(10) == 0 {
			p.Drops = uint64(r.IntN(5))
		}
		out = append(out, p)
	}
	return out
}

// write writes packets; the names come first.
func write(t testing.TB, o Options, all []pcap.Packet, report *query.Report) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := New(&out, o)
	if err != nil {
		t.Fatal(err)
	}
	for addr, name := range map[string]string{"10.0.0.1": "shop/cart-0", "10.0.0.2": "shop/web-0"} {
		if err := w.Name(pcap.Name{Addr: netip.MustParseAddr(addr), Names: []string{name, "ns=shop"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Secrets(0x544c534b, []byte("CLIENT_RANDOM 00 11\n")); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if err := w.Packet(&all[i]); err != nil {
			if !errors.Is(err, query.ErrStop) || i+1 != o.Count {
				t.Fatal(err)
			}
			break
		}
	}
	if err := w.End(report); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(t testing.TB, b []byte, o pcapng.ReaderOptions) (out []pcap.Packet, r *pcapng.Reader) {
	t.Helper()
	r, err := pcapng.NewReader(bytes.NewReader(b), o)
	if err != nil {
		t.Fatal(err)
	}
	for {
		var p pcap.Packet
		err := r.Next(&p)
		if err == io.EOF {
			return out, r
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Data = bytes.Clone(p.Data)
		out = append(out, p)
	}
}

func TestPackets(t *testing.T) {
	all := packets(300)
	before := make([][]byte, len(all))
	for i := range all {
		before[i] = bytes.Clone(all[i].Data)
	}
	for name, tt := range map[string]struct {
		o     Options
		check func(p, was *pcap.Packet) bool
		n     int
	}{
		"all": {Options{}, func(p, was *pcap.Packet) bool {
			return bytes.Equal(p.Data, was.Data) && p.Flags == was.Flags && p.Drops == was.Drops
		}, 300},
		"count": {Options{Count: 7}, func(p, was *pcap.Packet) bool { return true }, 7},
		"snap": {Options{Snap: 60}, func(p, was *pcap.Packet) bool {
			return len(p.Data) == min(60, len(was.Data)) && p.Iface.SnapLen == 60
		}, 300},
		"headers":       {Options{HeadersOnly: true}, func(p, was *pcap.Packet) bool { return len(p.Data) == 54 }, 300},
		"headers, snap": {Options{HeadersOnly: true, Snap: 40}, func(p, was *pcap.Packet) bool { return len(p.Data) == 40 }, 300},
		"checksums": {Options{FixChecksums: true}, func(p, was *pcap.Packet) bool {
			return p.Flags == was.Flags&^pcap.FlagChecksumPartial && (p.Data[24] != 0 || p.Data[25] != 0) && (was.Flags&pcap.FlagChecksumPartial == 0 || p.Data[50] != 0 || p.Data[51] != 0)
		}, 300},
		"classic": {Options{Classic: true, HeadersOnly: true}, func(p, was *pcap.Packet) bool { return len(p.Data) == 54 }, 300},
	} {
		t.Run(name, func(t *testing.T) {
			got, r := read(t, write(t, tt.o, all, nil), pcapng.ReaderOptions{})
			if len(got) != tt.n {
				t.Fatalf("%d packets, want %d", len(got), tt.n)
			}
			for i := range got {
				p, was := &got[i], &all[i]
				if p.Time != was.Time || p.Length != was.Length || !bytes.HasPrefix(was.Data, p.Data[:14]) || !tt.check(p, was) {
					t.Fatalf("packet %d: %+v, was %+v", i, p, was)
				}
				if !tt.o.Classic && (p.Iface.Pod != was.Iface.Pod || p.Iface.Node != was.Iface.Node || p.Iface.Comment != "node="+was.Iface.Node) {
					t.Fatalf("packet %d: %+v", i, p.Iface)
				}
			}
			want := uint64(1)
			if tt.o.HeadersOnly {
				want = 0
			}
			if c := r.Counts(); !tt.o.Classic && (c.Secrets != want || c.Names != 2 || c.Stats != 3) {
				t.Errorf("%+v", c)
			}
		})
	}
	for i := range all {
		if !bytes.Equal(all[i].Data, before[i]) {
			t.Fatalf("packet %d was changed where it came from", i)
		}
	}
}

// TestStatistics: what was lost is in the file.
func TestStatistics(t *testing.T) {
	all := packets(300)
	want := map[string][2]uint64{}
	var lost uint64
	for _, p := range all {
		v := want[p.Iface.Node+p.Iface.Pod.Name]
		want[p.Iface.Node+p.Iface.Pod.Name] = [2]uint64{v[0] + 1 + p.Drops, v[1] + p.Drops}
		lost += p.Drops
	}
	got := map[string][2]uint64{}
	b := write(t, Options{}, all, &query.Report{Nodes: []query.NodeReport{{Node: "node-a", Dropped: 100_000}, {Node: "node-b", Missing: "connection refused", Part: true}}})
	read(t, b, pcapng.ReaderOptions{OnStats: func(i *pcap.Interface, received, dropped uint64) {
		got[i.Node+i.Pod.Name] = [2]uint64{received, dropped}
	}})
	if lost == 0 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, text := range []string{"lost on this node in the window: 100000 packets", "node-b stopped answering: connection refused"} {
		if bytes.Count(b, []byte(text)) != 1 {
			t.Errorf("%q is not there", text)
		}
	}
}

func TestMixedLinks(t *testing.T) {
	w, err := New(io.Discard, Options{Classic: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Packet(&pcap.Packet{Iface: pods[0]}); err != nil {
		t.Fatal(err)
	}
	var mix *pcapng.LinkMixError
	if err := w.Packet(&pcap.Packet{Iface: &pcap.Interface{Name: "tun0", Link: pcap.LinkRaw}}); !errors.As(err, &mix) || !strings.Contains(err.Error(), "write pcapng") {
		t.Errorf("%v", err)
	}
}

// TestOtherTools: Wireshark's programs take every file that is written here.
func TestOtherTools(t *testing.T) {
	for _, tool := range []string{"capinfos", "tshark", "editcap", "mergecap"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool, "is not installed")
		}
	}
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		said := strings.ReplaceAll(errs.String(), "Running as user \"root\" and group \"root\". This could be dangerous.\n", "")
		if err != nil || said != "" {
			t.Errorf("%q: %v %s", args, err, said)
		}
		return out.String()
	}
	count := func(path string) string {
		f := strings.Fields(run("capinfos", "-c", "-M", path))
		return f[len(f)-1]
	}
	for n, o := range []Options{{}, {HeadersOnly: true}, {Snap: 33}, {FixChecksums: true}, {Classic: true}, {Classic: true, Snap: 60}} {
		for _, many := range []int{0, 1, 250} {
			path := filepath.Join(dir, fmt.Sprintf("%d-%d", n, many))
			if err := os.WriteFile(path, write(t, o, packets(many), &query.Report{}), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := count(path); got != fmt.Sprint(many) {
				t.Errorf("%s: capinfos counts %s", path, got)
			}
			if lines := strings.Count(run("tshark", "-r", path), "\n"); lines != many {
				t.Errorf("%s: tshark prints %d lines", path, lines)
			}
		}
	}
	path := filepath.Join(dir, "0-250")
	shown := run("tshark", "-r", path, "-N", "n", "-T", "fields", "-e", "ip.src_host", "-e", "frame.interface_name", "-e", "frame.interface_description", "-e", "frame.packet_flags_direction", "-c", "1")
	if host, _, _ := strings.Cut(shown, "\t"); host != "shop/cart-0" {
		t.Errorf("tshark calls the address %q", host)
	}
	for _, want := range []string{"shop/cart-0:eth0", "pod=cart-0 ns=shop pod_uid=1-2 node=node-a"} {
		if !strings.Contains(shown, want) {
			t.Errorf("tshark shows %q, without %s", shown, want)
		}
	}
	if info := run("capinfos", path); !strings.Contains(info, "Comment = node=node-a") && !strings.Contains(info, "node=node-a") {
		t.Errorf("capinfos does not name the node:\n%s", info)
	}
	bad := run("tshark", "-r", filepath.Join(dir, "3-250"), "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y", "ip.checksum.status != 1 || tcp.checksum.status == 0 && frame.packet_flags_direction == 2")
	if bad != "" {
		t.Errorf("checksums are wrong:\n%.400s", bad)
	}
	for _, name := range []string{"0-0", "0-1", "1-250", "4-0"} {
		run("mergecap", "-w", filepath.Join(dir, "twice"), filepath.Join(dir, name), filepath.Join(dir, name))
		run("editcap", filepath.Join(dir, name), filepath.Join(dir, "copied"))
	}
	merged, edited := filepath.Join(dir, "merged"), filepath.Join(dir, "edited")
	run("mergecap", "-w", merged, path, filepath.Join(dir, "4-250"))
	run("editcap", "-r", merged, edited, "1-100")
	if a, b := count(merged), count(edited); a != "500" || b != "100" {
		t.Errorf("mergecap and editcap leave %s and %s packets", a, b)
	}
	got, _ := read(t, func() []byte { b, _ := os.ReadFile(merged); return b }(), pcapng.ReaderOptions{})
	if len(got) != 500 {
		t.Errorf("%d packets of mergecap's file", len(got))
	}
}
