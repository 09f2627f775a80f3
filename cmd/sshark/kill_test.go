package main_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// numbered says which datagrams of a flood a capture has, from the receiver's side.
type numbered struct {
	packets, drops uint64
	first, last    uint64
	missing        uint64 // between first and last
	repeated       uint64
}

func numberedIn(t *testing.T, path, pod string, port uint16) numbered {
	t.Helper()
	var n numbered
	next := uint64(0)
	eachPacket(t, path, pcapng.ReaderOptions{}, func(p *pcap.Packet, h *flow.Header) {
		payload := h.Data(p.Data)
		if p.Iface.Pod.Name != pod || h.Key.Proto != flow.UDP || h.Key.PortA != port && h.Key.PortB != port || len(payload) < 8 {
			return
		}
		k := binary.BigEndian.Uint64(payload)
		switch {
		case n.packets == 0:
			n.first = k
		case k < next:
			n.repeated++
		default:
			n.missing += k - next
		}
		next, n.last = k+1, k
		n.packets++
		n.drops += p.Drops
	})
	return n
}

// indexes reads the index of each complete segment.
func indexes(t *testing.T, state string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, path := range segments(t, state) {
		name := strings.TrimSuffix(path, ".pcapng") + ".idx"
		text, err := os.ReadFile(name)
		if err != nil {
			t.Errorf("a complete segment has no index: %v", err)
		}
		all[name] = text
	}
	return all
}

func equalIndexes(t *testing.T, want map[string][]byte, state string) {
	t.Helper()
	got := indexes(t, state)
	for name, text := range want {
		if !bytes.Equal(got[name], text) {
			t.Errorf("%s: the index that was made anew has %d bytes, and differs from the one before with %d", filepath.Base(name), len(got[name]), len(text))
		}
	}
}

// TestKill holds that kill -9 in the middle of it all loses nothing that was synced.
func TestKill(t *testing.T) {
	needsRoot(t)
	needs(t, "tshark")
	const (
		prefix  = "sshkill"
		rate    = 50_000
		seconds = 3
	)
	lab := openLab(t, prefix, twoHosts(64)...)
	state := t.TempDir()
	c := startAlone(t, prefix, state, "--store-mb", "256") // segments of 32 MiB
	to := openSink(t, lab, "10.77.64.2:9000")

	var sender flood
	stop := make(chan struct{})
	begun := time.Now()
	sender.start(dialSink(t, lab, to), 256, rate, stop)
	await(t, "the flood to go on for a while, and a segment to be half written", func() bool {
		open, err := filepath.Glob(filepath.Join(state, "store", ".0*.pcapng"))
		if err != nil || len(open) == 0 || time.Since(begun) < seconds*time.Second {
			return false
		}
		info, err := os.Stat(open[0])
		return err == nil && info.Size() > 8<<20 && info.Size() < 24<<20
	})
	c.kill()
	killed := time.Now()
	close(stop)
	<-sender.done
	sent := sender.before(killed)
	synced := sender.before(killed.Add(-1500 * time.Millisecond)) // each second, and the disk may be slow
	if sent < rate*seconds*8/10 {
		t.Logf("only %d packets were sent in %d s: this machine is slow", sent, seconds)
	}

	before := indexes(t, state)
	if len(before) == 0 {
		t.Error("no segment was complete when it was killed: the test does not see their indexes lost")
	}
	hidden, err := filepath.Glob(filepath.Join(state, "store", ".0*.pcapng"))
	if err != nil || len(hidden) == 0 {
		t.Errorf("no segment was open when it was killed: %v", err)
	}

	again := startAlone(t, prefix, state, "--store-mb", "256")
	for _, path := range segments(t, state) {
		tshark(t, path, "-w", os.DevNull)
	}
	exported := filepath.Join(t.TempDir(), "exported.pcapng")
	again.exported(exported, "pcap", "--since", "10m", "'udp && dst.port == 9000'")
	n := numberedIn(t, exported, prefix+"-b", 9000)
	if n.first != 0 || n.repeated != 0 || n.missing > n.drops {
		t.Errorf("kept are numbers %d to %d, %d of them repeated, %d missing; %d were counted as dropped", n.first, n.last, n.repeated, n.missing, n.drops)
	}
	if n.last < synced {
		t.Errorf("kept are numbers up to %d, %d were sent 1.5 s before the end", n.last, synced)
	}
	t.Logf("%d sent in %v, killed; kept %d (0 to %d), %d dropped; %d were sent 1.5 s before; %d complete segments before, %d after",
		sent, killed.Sub(begun).Round(time.Millisecond), n.packets, n.last, n.drops, synced, len(before), len(segments(t, state)))
	if n := again.node(); n.Problem != "" {
		t.Errorf("after the start: %s", n.Problem)
	}
	equalIndexes(t, before, state)
	again.interrupt()

	// All indexes lost.
	whole := indexes(t, state)
	for name := range whole {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	last := startAlone(t, prefix, state, "--store-mb", "256")
	equalIndexes(t, whole, state)
	last.exported(exported, "pcap", "--since", "10m", "'udp && dst.port == 9000'")
	if m := numberedIn(t, exported, prefix+"-b", 9000); m != n {
		t.Errorf("after the indexes were lost there is %+v, before %+v", m, n)
	}
	last.interrupt()
}
