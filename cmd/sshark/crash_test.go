package main_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// life is one run of the product in TestCrash, from when it was ready, if it came to that, until
// it was killed.
type life struct {
	ready, killed time.Time
}

// TestCrash kills the product at random moments under load, CRASH_KILLS times (20; make crash:
// 200), on one store, every third time while it starts, so that it crashes while it mends what
// the crash before left. Each datagram that was sent while it ran, longer before its end than
// it takes to be synced, is kept once; each segment can be read; nothing older is harmed.
func TestCrash(t *testing.T) {
	needsRoot(t)
	needs(t, "ssh")
	const (
		prefix = "sshcrash"
		rate   = 20_000
		synced = 100 * time.Millisecond // --store-sync
		// From the device to the store, and until this machine lets everybody run.
		slack = 150 * time.Millisecond
	)
	kills := 20
	if text := os.Getenv("CRASH_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil || kills < 1 {
			t.Fatalf("CRASH_KILLS=%q: want a number from 1 on", text)
		}
	}
	lab := openLab(t, prefix, twoHosts(66)...)
	state := t.TempDir()
	to := openSink(t, lab, "10.77.66.2:9000")
	var sender flood
	stop := make(chan struct{})
	sender.start(dialSink(t, lab, to), 256, rate, stop)

	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	var lives []life
	begun := time.Now()
	for n := range kills {
		c := launch(t, state, "--store-mb", "4096", "--store-sync", synced.String())
		c.alone(prefix)
		c.start()
		var l life
		if n%3 != 2 {
			c.ready()
			l.ready = time.Now()
		}
		<-time.After(time.Duration(random.Int64N(int64(500 * time.Millisecond)))) // any moment
		l.killed = time.Now()
		c.kill()
		lives = append(lives, l)
		if t.Failed() {
			break
		}
	}
	took := time.Since(begun)
	close(stop)
	<-sender.done

	c := startAlone(t, prefix, state, "--store-mb", "4096")
	if n := c.node(); n.Problem != "" {
		t.Errorf("after all that: %s", n.Problem)
	}
	c.interrupt()
	if left, err := filepath.Glob(filepath.Join(state, "store", ".0*")); err != nil || len(left) > 0 {
		t.Errorf("files that are not complete: %q %v", left, err)
	}
	kept := map[uint64]int{}
	missed := map[uint64]uint64{} // before a packet, as it reports
	for _, path := range segments(t, state) {
		eachPacket(t, path, pcapng.ReaderOptions{}, func(p *pcap.Packet, h *flow.Header) {
			payload := h.Data(p.Data)
			if p.Iface.Pod.Name != prefix+"-b" || h.Key.Proto != flow.UDP || h.Key.PortA != 9000 && h.Key.PortB != 9000 || len(payload) < 8 {
				return
			}
			n := binary.BigEndian.Uint64(payload)
			kept[n]++
			missed[n] += p.Drops
		})
	}
	for n, times := range kept {
		if times > 1 {
			t.Errorf("datagram %d is kept %d times", n, times)
			break
		}
	}
	var lost []time.Duration // between the last datagram that is kept and the end
	promised := 0
	for n, l := range lives {
		if l.ready.IsZero() {
			continue
		}
		first, last := sender.after(l.ready), sender.before(l.killed.Add(-synced-slack))
		drops, missing := uint64(0), uint64(0)
		for k := first; k < last; k++ {
			drops += missed[k]
			if kept[k] == 0 {
				missing++
			}
			promised++
		}
		if missing > drops {
			t.Errorf("life %d of %v: of datagrams %d to %d %d are missing, %d are counted as dropped", n, l.killed.Sub(l.ready), first, last, missing, drops)
		}
		for k := sender.before(l.killed); k > first; k-- {
			if kept[k-1] > 0 {
				lost = append(lost, l.killed.Sub(sender.when(k-1)))
				break
			}
		}
	}
	slices.Sort(lost)
	if len(lost) == 0 {
		t.Fatal("no life was long enough to keep anything")
	}
	t.Logf("killed %d times in %v; %d datagrams kept, %d were promised; the last one kept was sent before the end by %v at the median, %v at most; %d segments",
		len(lives), took.Round(time.Second), len(kept), promised, lost[len(lost)/2].Round(time.Millisecond), lost[len(lost)-1].Round(time.Millisecond), len(segments(t, state)))
}
