package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sshark/sshark/cmd/netlab"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
)

// The lab of the capture: two hosts. tcpdump runs once in each, as sshark captures both.
const (
	labPrefix = "ssbench"
	addrA     = "10.77.8.1"
	addrB     = "10.77.8.2"
)

func openLab() (*netlab.Lab, error) {
	lab, err := netlab.Open(labPrefix, []netlab.Host{
		{Name: "a", Addrs: []netip.Prefix{netip.MustParsePrefix(addrA + "/24")}},
		{Name: "b", Addrs: []netip.Prefix{netip.MustParsePrefix(addrB + "/24")}},
	})
	if errors.Is(err, netlab.ErrRights) {
		return nil, fmt.Errorf("%w: %w", errMissing, err)
	}
	return lab, err
}

// workload is traffic from host a to host b, a fixed amount of it.
type workload struct {
	name   string
	units  int
	server []string // roles of this program
	client []string
}

// recorder captures what passes the lab until it is stopped.
type recorder struct {
	procs []*exec.Cmd
	dir   string // all files below are its own
	up    string // the ssh command of sshark
}

// capture measures capturing to disk.
func capture(ctx context.Context, s *settings) (err error) {
	tcpdump, err := tool("tcpdump")
	if err != nil {
		return err
	}
	lab, err := openLab()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	for _, w := range []workload{
		{"UDP, 64 B of payload, flat out", s.udpPackets,
			[]string{"udp-recv", addrB + ":9"}, []string{"udp-send", addrB + ":9", strconv.Itoa(s.udpPackets), "64"}},
		{"HTTP, 8 connections kept alive, flat out", s.httpRequests,
			[]string{"http-serve", addrB + ":80"}, []string{"http-load", "http://" + addrB + "/", strconv.Itoa(s.httpRequests), "8"}},
	} {
		fmt.Printf("%s: %d\n", w.name, w.units)
		t := newTable(column{"per second", "%.0f"}, column{"rate kept", "%.2f"}, column{"CPU us/packet", "%.3f"}, column{"machine us/packet", "%.3f"}, column{"dropped %", "%.3f"})
		for range s.rounds {
			base, baseBusy := 0.0, 0.0
			for _, variant := range []string{"none", "tcpdump", "sshark"} {
				start := func() (*recorder, error) { return &recorder{}, nil }
				switch variant {
				case "tcpdump":
					start = func() (*recorder, error) { return startTcpdump(ctx, lab, tcpdump, s.dir) }
				case "sshark":
					start = func() (*recorder, error) { return startSshark(ctx, s) }
				}
				m, err := one(ctx, lab, &w, start)
				if err != nil {
					return fmt.Errorf("%s: %w", variant, err)
				}
				if variant != "none" && m.kept == 0 {
					return fmt.Errorf("%s kept none of %d packets", variant, m.passed)
				}
				rate := float64(w.units) / m.wall
				if variant == "none" {
					base, baseBusy = rate, m.busy.Seconds()
					t.add(variant, rate, 1, 0, 0, 0)
					continue
				}
				t.add(variant, rate, rate/base, float64(m.cpu.Microseconds())/float64(m.kept),
					(m.busy.Seconds()-baseBusy)*1e6/float64(m.passed), 100*(1-float64(m.kept)/float64(m.passed)))
			}
		}
		t.ratio("sshark", "tcpdump", "CPU us/packet")
		t.ratio("sshark", "tcpdump", "machine us/packet")
		t.ratio("sshark", "tcpdump", "rate kept")
		t.note("CPU: of the capturing processes, for each packet kept; machine: what all CPUs worked more than without, for each packet passed")
		t.print()
	}
	return nil
}

// sample is one run of a workload under a recorder.
type sample struct {
	wall         float64       // seconds of the traffic
	cpu          time.Duration // of the recorder
	busy         time.Duration // of all CPUs, traffic and settling
	passed, kept int64         // packets through the devices of both hosts; of them in the recorder's files
}

// settle is how long a recorder is given to write what it still holds.
const settle = 1500 * time.Millisecond

func one(ctx context.Context, lab *netlab.Lab, w *workload, start func() (*recorder, error)) (m sample, err error) {
	rec, err := start()
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, rec.stop(), os.RemoveAll(rec.dir)) }()
	server, out, err := role(ctx, lab, "b", w.server)
	if err != nil {
		return m, err
	}
	if _, err = until(ctx, out, func(line string) bool { return line == "ready" }); err != nil {
		return m, errors.Join(err, stop(server))
	}
	defer func() { err = errors.Join(err, stop(server)) }()

	passed0, busy0, cpu0, err := readings(lab, rec)
	if err != nil {
		return m, err
	}
	client, out, err := role(ctx, lab, "a", w.client)
	if err != nil {
		return m, err
	}
	said, readErr := io.ReadAll(out)
	if err := errors.Join(readErr, client.Wait()); err != nil {
		return m, fmt.Errorf("%s: %w", w.client[0], err)
	}
	if m.wall, err = strconv.ParseFloat(strings.TrimSpace(string(said)), 64); err != nil {
		return m, err
	}
	if err := wait(ctx, settle); err != nil {
		return m, err
	}
	passed1, busy1, cpu1, err := readings(lab, rec)
	if err != nil {
		return m, err
	}
	m.passed, m.busy, m.cpu = passed1-passed0, busy1-busy0, cpu1-cpu0
	if err := rec.stop(); err != nil {
		return m, err
	}
	m.kept, err = countPackets(rec.dir)
	return m, err
}

func readings(lab *netlab.Lab, rec *recorder) (passed int64, busy, cpu time.Duration, err error) {
	for _, host := range []string{"a", "b"} {
		err := lab.Do(host, func() error {
			n, err := passedPackets("/proc/thread-self/net/dev")
			passed += n
			return err
		})
		if err != nil {
			return 0, 0, 0, err
		}
	}
	for _, p := range rec.procs {
		t, err := cpuTime(p.Process.Pid)
		if err != nil {
			return 0, 0, 0, err
		}
		cpu += t
	}
	busy, err = busyTime()
	return passed, busy, cpu, err
}

// passedPackets reads what eth0 sent and received (proc_pid_net(5)).
func passedPackets(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		device, counts, ok := strings.Cut(line, ":")
		fields := strings.Fields(counts)
		if !ok || strings.TrimSpace(device) != "eth0" || len(fields) < 10 {
			continue
		}
		received, err1 := strconv.ParseInt(fields[1], 10, 64)
		sent, err2 := strconv.ParseInt(fields[9], 10, 64)
		return received + sent, errors.Join(err1, err2)
	}
	return 0, fmt.Errorf("no eth0 in %s", path)
}

// busyTime is what all CPUs have worked since boot (proc_stat(5)), in ticks of 10 ms.
func busyTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	var user, nice, system, idle, iowait, irq, softirq int64
	if _, err := fmt.Sscanf(first, "cpu %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq); err != nil {
		return 0, fmt.Errorf("/proc/stat: %w", err)
	}
	return time.Duration(user+nice+system+irq+softirq) * 10 * time.Millisecond, nil
}

// role starts this program in a host, in a role.
func role(ctx context.Context, lab *netlab.Lab, host string, args []string) (*exec.Cmd, io.Reader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := lab.Start(host, cmd); err != nil {
		return nil, nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	return cmd, out, nil
}

// startTcpdump runs it in both hosts, with a buffer as large as sshark's ring.
func startTcpdump(ctx context.Context, lab *netlab.Lab, tcpdump, dir string) (*recorder, error) {
	rec := &recorder{dir: filepath.Join(dir, "tcpdump")}
	if err := os.MkdirAll(rec.dir, 0o755); err != nil {
		return nil, err
	}
	for _, host := range []string{"a", "b"} {
		cmd := exec.CommandContext(ctx, tcpdump, "-i", "eth0", "-n", "-B", "65536", "-Z", "root", "-w", filepath.Join(rec.dir, host+".pcap"))
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		stderr, err := cmd.StderrPipe()
		if err != nil {
			return nil, errors.Join(err, rec.stop())
		}
		if err := lab.Start(host, cmd); err != nil {
			return nil, errors.Join(err, rec.stop())
		}
		rec.procs = append(rec.procs, cmd)
		if _, err := until(ctx, stderr, func(line string) bool { return strings.Contains(line, "listening on") }); err != nil {
			return nil, errors.Join(fmt.Errorf("tcpdump: %w", err), rec.stop())
		}
	}
	return rec, nil
}

// startSshark runs `sshark up` on a free port.
func startSshark(ctx context.Context, s *settings, more ...string) (*recorder, error) {
	rec := &recorder{dir: filepath.Join(s.dir, "state")}
	cmd := exec.CommandContext(ctx, s.sshark, slices.Concat([]string{"up", "--listen", "127.0.0.1:0", "--state", rec.dir}, more, s.upArgs)...)
	var problem tail
	cmd.Stderr = &problem
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	rec.procs = append(rec.procs, cmd)
	rec.up, err = until(ctx, out, func(line string) bool { return strings.HasPrefix(line, "ssh ") })
	if err != nil {
		stopErr := rec.stop() // and with it, standard error is complete
		return nil, errors.Join(fmt.Errorf("sshark up: %w: %s", err, problem), stopErr)
	}
	return rec, nil
}

// stop ends the processes as Ctrl-C does; again is no harm.
func (r *recorder) stop() error {
	var errs []error
	for _, p := range r.procs {
		errs = append(errs, stop(p))
	}
	r.procs = nil
	return errors.Join(errs...)
}

// stop interrupts a process, kills it if that does not help, and waits for it.
func stop(cmd *exec.Cmd) error {
	cmd.Process.Signal(syscall.SIGINT)
	kill := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
	defer kill.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		return nil // programs differ in how they exit when they are interrupted
	}
	return err
}

// countPackets counts the packets of the lab's hosts in all capture files of a folder.
func countPackets(dir string) (n int64, err error) {
	if dir == "" {
		return 0, nil
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err != nil || d.IsDir() || ext != ".pcap" && ext != ".pcapng" {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		r, err := pcapng.NewReader(bufio.NewReaderSize(file, 1<<20), pcapng.ReaderOptions{})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for p := new(pcap.Packet); ; {
			if err := r.Next(p); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			// sshark also keeps what the node itself does; tcpdump's files name no pod.
			if p.Iface.Name != "lo" && (filepath.Ext(path) == ".pcap" || strings.HasPrefix(p.Iface.Pod.Name, labPrefix)) {
				n++
			}
		}
	})
	return n, err
}
