package main_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sshark/sshark/cmd/netlab"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// eachPacket visits the packets of a capture file; the data is borrowed.
func eachPacket(t *testing.T, path string, o pcapng.ReaderOptions, visit func(*pcap.Packet, *flow.Header)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := pcapng.NewReader(bufio.NewReader(file), o)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var h flow.Header
	for p := new(pcap.Packet); ; {
		if err := r.Next(p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		h.Parse(p.Iface.Link, p.Data)
		visit(p, &h)
	}
}

// frame is a packet without its time.
type frame struct {
	bytes  [sha256.Size]byte
	length uint32
}

// frames are the times of packets by what they are, in order.
type frames map[frame][]int64

// framesOf reads the packets of a flow with a port at either end.
func framesOf(t *testing.T, path string, port uint16, want func(*pcap.Packet) bool) (f frames, count int, size int64) {
	t.Helper()
	f = frames{}
	eachPacket(t, path, pcapng.ReaderOptions{}, func(p *pcap.Packet, h *flow.Header) {
		if h.Key.Proto != flow.TCP || h.Key.PortA != port && h.Key.PortB != port || !want(p) {
			return
		}
		k := frame{sha256.Sum256(p.Data), p.Length}
		f[k] = append(f[k], p.Time)
		count++
		size += int64(len(p.Data))
	})
	for _, times := range f {
		slices.Sort(times)
	}
	return f, count, size
}

// tcpdump captures one interface of a host, to compare with.
type tcpdump struct {
	t    *testing.T
	cmd  *exec.Cmd
	path string
	errs *transcript
}

func startTcpdump(t *testing.T, lab *netlab.Lab, host, device, path string) *tcpdump {
	t.Helper()
	// Each packet is handed on at once, so that the file has all that passed before the marker.
	d := &tcpdump{t: t, path: path, errs: &transcript{}, cmd: exec.Command("tcpdump", "-i", device, "-n", "-s", "0", "-B", "131072",
		"--immediate-mode", "-U", "--time-stamp-precision=nano", "-Z", "root", "-w", path)}
	d.cmd.Stderr = d.errs
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := lab.Start(host, d.cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.cmd.Process.Kill() }) // it may have ended
	await(t, "tcpdump to listen", func() bool { return strings.Contains(d.errs.String(), "listening on") })
	return d
}

// stop ends it once the file has the marker, and says what it dropped.
func (d *tcpdump) stop(marker string) {
	d.t.Helper()
	await(d.t, "tcpdump to see the marker", func() bool {
		tail, err := tailOf(d.path, 4096)
		return err == nil && bytes.Contains(tail, []byte(marker))
	})
	d.cmd.Process.Signal(syscall.SIGINT)
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("tcpdump: %v: %s", err, d.errs)
	}
	if !strings.Contains(d.errs.String(), "\n0 packets dropped by kernel") {
		d.t.Skipf("tcpdump lost packets, so there is nothing to compare with: %s", d.errs)
	}
}

func tailOf(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(n, size))
	_, err = f.ReadAt(b, size-int64(len(b)))
	return b, err
}

// tshark reads a file, and returns what it printed. It must not complain.
func tshark(t *testing.T, path string, args ...string) string {
	t.Helper()
	a := run(t, exec.Command("tshark", append([]string{"-n", "-r", path}, args...)...))
	var complaints []string
	for _, line := range lines(a.errs) {
		if !strings.HasPrefix(line, "Running as user") {
			complaints = append(complaints, line)
		}
	}
	if a.status != 0 || len(complaints) > 0 {
		t.Errorf("tshark on %s: exit status %d: %q", path, a.status, complaints)
	}
	return a.out
}

// exported runs a console command whose standard output is a capture, into a file.
func (c *console) exported(path string, words ...string) (said string) {
	c.t.Helper()
	f, err := os.Create(path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	cmd := c.ssh(words...)
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = f, &errs
	if err := cmd.Run(); err != nil {
		c.t.Fatalf("%q: %v: %s", words, err, &errs)
	}
	return errs.String()
}
