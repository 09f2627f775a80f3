package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/sshark/sshark/cmd/netlab"
	"github.com/sshark/sshark/pcap"
)

const trafficPrefix = "sshe2e"

// route is a way for requests to go from host a to host b.
type route struct {
	name   string
	server string // address and port in b
	device string // of b, where tcpdump listens
	large  int    // bytes of each 50th answer, 0: all are small
}

const requests = 10_000

func trafficHosts() []netlab.Host {
	prefixes := func(list ...string) (out []netip.Prefix) {
		for _, p := range list {
			out = append(out, netip.MustParsePrefix(p))
		}
		return out
	}
	return []netlab.Host{
		{Name: "a", Addrs: prefixes("10.77.60.1/24", "fd77:60::1/64")},
		{Name: "b", Addrs: prefixes("10.77.60.2/24", "fd77:60::2/64")},
	}
}

// ip runs ip(8); @ stands for the prefix of the lab.
func ip(t *testing.T, prefix, words string) {
	t.Helper()
	args := strings.Fields(strings.ReplaceAll(words, "@", prefix+"-"))
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// addPair joins the hosts by another pair of devices, with addresses 10.77.NET.1 and 2.
func addPair(t *testing.T, device, net string) {
	t.Helper()
	ip(t, trafficPrefix, "link add "+device+" netns @a type veth peer name "+device+" netns @b")
	for n, host := range []string{"a", "b"} {
		ip(t, trafficPrefix, fmt.Sprintf("-n @%s addr add 10.77.%s.%d/24 dev %s", host, net, n+1, device))
		ip(t, trafficPrefix, fmt.Sprintf("-n @%s link set %s up", host, device))
	}
}

// classifier puts instructions in the way of the packets that a device receives or sends.
func classifier(t *testing.T, device string, attach ebpf.AttachType, do ...asm.Instruction) error {
	dev, err := net.InterfaceByName(device)
	if err != nil {
		return err
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: do})
	if err != nil {
		return err
	}
	defer prog.Close()
	l, err := link.AttachTCX(link.TCXOptions{Interface: dev.Index, Program: prog, Attach: attach})
	if err != nil {
		return err
	}
	t.Cleanup(func() { l.Close() }) // its device may have gone before
	return nil
}

// classified judges the result of classifier.
func classified(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ebpf.ErrNotSupported) {
		t.Skip("needs eBPF classifiers on tcx (Linux 6.6):", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// addVLAN joins the hosts by VLAN 100 on eth2: by a device on top of it, or where the kernel
// has no such devices by tags that are put on and taken off at eth2.
func addVLAN(t *testing.T, lab *netlab.Lab) {
	t.Helper()
	addPair(t, "eth2", "61")
	kernel := exec.Command("ip", "-n", trafficPrefix+"-a", "link", "add", "link", "eth2", "name", "eth2.100", "type", "vlan", "id", "100")
	if out, err := kernel.CombinedOutput(); err == nil {
		ip(t, trafficPrefix, "-n @b link add link eth2 name eth2.100 type vlan id 100")
		for n, host := range []string{"a", "b"} {
			ip(t, trafficPrefix, fmt.Sprintf("-n @%s addr del 10.77.61.%d/24 dev eth2", host, n+1))
			ip(t, trafficPrefix, fmt.Sprintf("-n @%s addr add 10.77.61.%d/24 dev eth2.100", host, n+1))
			ip(t, trafficPrefix, "-n @"+host+" link set eth2.100 up")
		}
		return
	} else {
		t.Logf("no VLAN devices (%s): eBPF tags the packets", bytes.TrimSpace(out))
	}
	for _, host := range []string{"a", "b"} {
		classified(t, lab.Do(host, func() error {
			push := classifier(t, "eth2", ebpf.AttachTCXEgress, asm.Mov.Imm(asm.R2, 0x0081), asm.Mov.Imm(asm.R3, 100),
				asm.FnSkbVlanPush.Call(), asm.Mov.Imm(asm.R0, 0), asm.Return())
			pop := classifier(t, "eth2", ebpf.AttachTCXIngress, asm.FnSkbVlanPop.Call(), asm.Mov.Imm(asm.R0, 0), asm.Return())
			return errors.Join(push, pop)
		}))
	}
}

// addRedirect joins the hosts by devices whose other ends are on the node. What leaves one pod
// is put right into the other one by bpf_redirect_peer, as Cilium does it.
func addRedirect(t *testing.T) {
	t.Helper()
	for n, host := range []string{"a", "b"} {
		ip(t, trafficPrefix, fmt.Sprintf("link add @%s type veth peer name eth1 netns @%s", host, host))
		t.Cleanup(func() { exec.Command("ip", "link", "del", trafficPrefix+"-"+host).Run() }) // it may have gone with the lab
		ip(t, trafficPrefix, fmt.Sprintf("-n @%s link set eth1 address 02:00:00:00:62:0%d", host, n+1))
		ip(t, trafficPrefix, fmt.Sprintf("-n @%s addr add 10.77.62.%d/24 dev eth1", host, n+1))
		ip(t, trafficPrefix, "-n @"+host+" link set eth1 up")
		ip(t, trafficPrefix, fmt.Sprintf("-n @%s neigh add 10.77.62.%d lladdr 02:00:00:00:62:0%d dev eth1", host, 2-n, 2-n))
		ip(t, trafficPrefix, "link set @"+host+" up")
	}
	for from, to := range map[string]string{"a": "b", "b": "a"} {
		peer, err := net.InterfaceByName(trafficPrefix + "-" + to)
		if err != nil {
			t.Fatal(err)
		}
		classified(t, classifier(t, trafficPrefix+"-"+from, ebpf.AttachTCXIngress, asm.Mov.Imm(asm.R1, int32(peer.Index)),
			asm.Mov.Imm(asm.R2, 0), asm.FnRedirectPeer.Call(), asm.Return()))
	}
}

// statuses are those of the answers, by the request's number.
var statuses = []int{200, 200, 201, 204, 200, 301, 400, 404, 200, 500, 503}

func statusOf(n int) int { return statuses[n%len(statuses)] }

// handle answers GET /n/NUMBER. It notes in took how long it worked on it.
func handle(large int, took []time.Duration) http.Handler {
	small := bytes.Repeat([]byte("small "), 200)
	big := bytes.Repeat([]byte("large"), large/5)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/n/"))
		if err != nil || n < 0 || n >= len(took) {
			http.NotFound(w, r)
			return
		}
		body := small[:n%len(small)]
		if large > 0 && n%50 == 0 {
			body = big
		}
		if statusOf(n) == http.StatusNoContent {
			body = nil
		} else {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		took[n] = time.Since(begun)
		w.WriteHeader(statusOf(n))
		w.Write(body)
	})
}

// passed is what the two ends know of the requests, by number.
type passed struct {
	worked []time.Duration // the server, before it answered
	waited []time.Duration // the client, until it had the answer's header
}

// exchange sends the numbered requests: most over kept connections, each eighth over one of
// its own.
func exchange(t *testing.T, lab *netlab.Lab, r route) *passed {
	t.Helper()
	p := &passed{worked: make([]time.Duration, requests), waited: make([]time.Duration, requests)}
	var listener net.Listener
	err := lab.Do("b", func() (err error) {
		listener, err = net.Listen("tcp", r.server)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handle(r.large, p.worked)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	dial := func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		doErr := lab.Do("a", func() error {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
			return nil
		})
		return conn, errors.Join(doErr, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const workers = 8
	var wg sync.WaitGroup
	failed := make([]error, workers)
	for worker := range workers {
		transport := &http.Transport{DialContext: dial, DisableKeepAlives: worker == 0, DisableCompression: true}
		client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		wg.Go(func() {
			defer transport.CloseIdleConnections()
			for n := worker; n < requests && failed[worker] == nil; n += workers {
				failed[worker] = p.one(ctx, client, r.server, n)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
	if err := server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	return p
}

func (p *passed) one(ctx context.Context, client *http.Client, server string, n int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/n/%d", server, n), nil)
	if err != nil {
		return err
	}
	begun := time.Now()
	resp, err := client.Do(req)
	p.waited[n] = time.Since(begun)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != statusOf(n) {
		return fmt.Errorf("request %d: status %d, want %d", n, resp.StatusCode, statusOf(n))
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// quiet waits until all connections of the hosts are over, so that no packet is to come.
func quiet(t *testing.T, lab *netlab.Lab, hosts ...string) {
	t.Helper()
	const timeWait, listening = "06", "0A"
	for _, host := range hosts {
		await(t, "the connections of "+host+" to end", func() bool {
			open := 0
			err := lab.Do(host, func() error {
				for _, table := range []string{"tcp", "tcp6"} {
					text, err := os.ReadFile("/proc/thread-self/net/" + table)
					if err != nil && !errors.Is(err, os.ErrNotExist) {
						return err
					}
					for n, line := range lines(string(text)) {
						if f := strings.Fields(line); n > 0 && f[3] != timeWait && f[3] != listening {
							open++
						}
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return open == 0
		})
	}
}

// told is what the tests look at of a line of `calls -o json`.
type told struct {
	Path     string
	Status   int    `json:"status_code"`
	Elapsed  *int64 `json:"elapsed_time"` // microseconds
	Duration *int64 `json:"duration_us"`
	Protocol string
	Src, Dst struct{ Name string }
}

// checkCalls holds that each request is told exactly once, and as it was.
func checkCalls(t *testing.T, text string, p *passed) {
	t.Helper()
	seen := make([]int, requests)
	var elapsed []int64
	wrong := 0
	bad := func(format string, args ...any) {
		if wrong++; wrong <= 10 {
			t.Errorf(format, args...)
		}
	}
	for _, line := range lines(text) {
		var c told
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		n, err := strconv.Atoi(strings.TrimPrefix(c.Path, "/n/"))
		if err != nil || n < 0 || n >= requests {
			bad("a call that nobody made: %s", line)
			continue
		}
		seen[n]++
		switch {
		case c.Protocol != "http" || c.Status != statusOf(n):
			bad("request %d: %s, status %d, want http, %d", n, c.Protocol, c.Status, statusOf(n))
		case c.Src.Name != trafficPrefix+"-a" || c.Dst.Name != trafficPrefix+"-b":
			bad("request %d: from %q to %q", n, c.Src.Name, c.Dst.Name)
		case c.Elapsed == nil || c.Duration == nil || *c.Duration < *c.Elapsed:
			bad("request %d has no latency: %s", n, line)
		case *c.Elapsed < p.worked[n].Microseconds() || *c.Elapsed > p.waited[n].Microseconds():
			bad("request %d: latency %d us, the server worked %v, the client waited %v", n, *c.Elapsed, p.worked[n], p.waited[n])
		default:
			elapsed = append(elapsed, *c.Elapsed)
		}
	}
	for n, times := range seen {
		if times != 1 {
			bad("request %d is told %d times", n, times)
		}
	}
	if wrong > 10 {
		t.Errorf("and %d more", wrong-10)
	}
	if slices.Sort(elapsed); len(elapsed) > 0 {
		t.Logf("%d calls, latency median %d us, largest %d us", len(elapsed), elapsed[len(elapsed)/2], elapsed[len(elapsed)-1])
	}
}

// checkFrames compares what was exported with what tcpdump wrote beside it.
func checkFrames(t *testing.T, exported, reference, device string, port uint16) (largest uint32) {
	t.Helper()
	got, n, size := framesOf(t, exported, port, func(p *pcap.Packet) bool {
		return p.Iface.Pod.Name == trafficPrefix+"-b" && p.Iface.Name == device
	})
	want, wantN, wantSize := framesOf(t, reference, port, func(*pcap.Packet) bool { return true })
	if n != wantN || size != wantSize || n == 0 {
		t.Errorf("%d packets with %d bytes, tcpdump has %d with %d", n, size, wantN, wantSize)
	}
	var worst int64
	missing, late := 0, 0
	for k, times := range want {
		largest = max(largest, k.length)
		if len(got[k]) != len(times) {
			missing += max(1, len(times)-len(got[k]))
			continue
		}
		for i, at := range times {
			apart := max(at-got[k][i], got[k][i]-at)
			worst = max(worst, apart)
			if apart > int64(100*time.Microsecond) {
				late++
			}
		}
	}
	if missing > 0 {
		t.Errorf("%d of tcpdump's packets are missing or differ", missing)
	}
	t.Logf("%d packets, %d bytes, the largest %d; times apart: %d beyond 100 us, at most %v", n, size, largest, late, time.Duration(worst))
	// Both read the clock for the same packet, one after the other. What comes between them, an
	// interrupt or the machine's host, is rare.
	if late*100 > n {
		t.Errorf("the times of %d of %d packets are more than 100 us apart", late, n)
	}
	return largest
}

// TestTraffic holds that the whole path neither loses, doubles nor changes anything.
func TestTraffic(t *testing.T) {
	needsRoot(t)
	needs(t, "ip", "tcpdump", "tshark")
	lab := openLab(t, trafficPrefix, trafficHosts()...)
	c := startUp(t, t.TempDir())
	for _, r := range []struct {
		route
		prepare func(t *testing.T)
	}{
		{route{"IPv4", "10.77.60.2:8001", "eth0", 0}, nil},
		{route{"IPv6", "[fd77:60::2]:8002", "eth0", 0}, func(t *testing.T) {
			if !netlab.HasIPv6() {
				t.Skip("this machine has no IPv6")
			}
		}},
		{route{"VLAN", "10.77.61.2:8003", "eth2", 0}, func(t *testing.T) { addVLAN(t, lab) }},
		{route{"superpackets", "10.77.60.2:8004", "eth0", 256 << 10}, nil},
		{route{"redirect_peer", "10.77.62.2:8005", "eth1", 0}, addRedirect},
	} {
		t.Run(r.name, func(t *testing.T) {
			if r.prepare != nil {
				r.prepare(t)
			}
			c := *c
			c.t = t
			c.captured(trafficPrefix, r.device, 2)
			dir := t.TempDir()
			reference, exported := filepath.Join(dir, "tcpdump.pcap"), filepath.Join(dir, "exported.pcapng")
			_, portText, err := net.SplitHostPort(r.server)
			port, err2 := strconv.ParseUint(portText, 10, 16)
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			beside := startTcpdump(t, lab, "b", r.device, reference)
			p := exchange(t, lab, r.route)
			quiet(t, lab, "a", "b")
			// The marker comes last: when it is there, all is.
			marker := "marker of " + r.name
			err = lab.Do("a", func() error {
				conn, err := net.Dial("udp", r.server)
				if err != nil {
					return err
				}
				defer conn.Close()
				_, err = conn.Write([]byte(marker))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			beside.stop(marker)
			filter := "'dst.port == " + portText + "'"
			await(t, "the marker to be kept", func() bool {
				c.exported(exported, "pcap", "--since", "10m", filter)
				text, err := tailOf(exported, 64<<10)
				return err == nil && bytes.Contains(text, []byte(marker))
			})
			checkCalls(t, c.ask("calls", "--since", "10m", "-o", "json", "'http && dst.port == "+portText+"'"), p)
			largest := checkFrames(t, exported, reference, r.device, uint16(port))
			if r.large > 0 && largest < 60000 {
				t.Errorf("the largest packet has %d bytes: there were no superpackets", largest)
			}
			// The file has each packet as both pods saw it: to tshark's reassembly the second is a
			// retransmission.
			complaints := "_ws.malformed || _ws.short || tcp.port == " + portText + " && vlan.id " + map[bool]string{true: "!= 100 || tcp && !vlan", false: "> 0"}[r.name == "VLAN"]
			out := tshark(t, exported, "-d", "tcp.port=="+portText+",http", "-o", "tcp.desegment_tcp_streams:FALSE", "-Y", complaints,
				"-T", "fields", "-e", "frame.number", "-e", "_ws.expert.message")
			if out != "" {
				t.Errorf("tshark finds packets malformed or not in their VLAN: %.1000q", out)
			}
		})
	}
	c.interrupt()
}
