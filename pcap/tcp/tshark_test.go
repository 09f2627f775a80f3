package tcp

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// fields are the names of tshark's tcp.analysis fields, in the order of the marks.
var fields = [numMarks]string{"retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "lost_segment", "ack_lost_segment",
	"duplicate_ack", "zero_window", "zero_window_probe", "zero_window_probe_ack", "window_full", "window_update", "keep_alive", "keep_alive_ack"}

// TestAgainstTshark: what is said of the packets of recorded captures is what tshark says. Those
// in testdata are of a veth pair, cut to 80 bytes a packet: losses.pcap of a sender and a receiver
// that each drop about one packet in twenty (record.sh), full-windows.pcap of a receiver that
// reads late into a small buffer; both end with a port that is closed.
func TestAgainstTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed: apt-get install tshark")
	}
	packets, marked := 0, 0
	for _, pattern := range []string{"testdata/*.pcap", "../../dissect/http1/testdata/*.pcap"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files (%v)", pattern, len(files), err)
		}
		for _, file := range files {
			n, m := compare(t, tshark, file)
			packets, marked = packets+n, marked+m
		}
	}
	if packets < 100 || marked < 50 {
		t.Errorf("only %d packets, %d of them marked: nothing was compared", packets, marked)
	}
	t.Logf("%d packets agree, %d of them are marked", packets, marked)
}

func compare(t *testing.T, tshark, file string) (packets, marked int) {
	t.Helper()
	args := []string{"-r", file, "-n", "-T", "fields", "-E", "occurrence=l", "-e", "tcp.srcport"}
	for _, f := range fields {
		args = append(args, "-e", "tcp.analysis."+f)
	}
	out, err := exec.Command(tshark, args...).Output()
	if err != nil {
		t.Fatalf("tshark of %s: %v", file, err)
	}
	lines := bytes.Split(out, []byte{'\n'})
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	rd, err := pcapng.NewReader(in, pcapng.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tracker := flow.NewTracker[*Analyzer](1000, nil)
	var p pcap.Packet
	var h flow.Header
	for n := 0; ; n++ {
		if err := rd.Next(&p); errors.Is(err, io.EOF) {
			return packets, marked
		} else if err != nil {
			t.Fatal(err)
		}
		if !h.Parse(p.Iface.Link, p.Data) || h.Key.Proto != flow.TCP {
			continue
		}
		e, fresh := tracker.Packet(&p, &h)
		if fresh {
			e.Value = &Analyzer{}
		}
		got, want := e.Value.Packet(&h, p.Data, p.Time), Marks(0)
		for i, cell := range strings.Split(string(lines[n]), "\t")[1:] {
			if cell != "" {
				want |= 1 << i
			}
		}
		packets++
		if want != 0 {
			marked++
		}
		if got != want {
			t.Errorf("%s, packet %d: %q, tshark says %q", filepath.Base(file), n+1, got, want)
		}
	}
}
