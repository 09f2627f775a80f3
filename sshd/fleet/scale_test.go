package fleet

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/command"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/api/link"
	"github.com/sshark/sshark/worker/api/link/linktest"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/server"
)

// perWorker is how many calls each of many workers keeps: one each second.
const perWorker = 400

// spread is one of many workers: its calls lie between those of the others.
type spread struct {
	sourcetest.Source
	number int
	delay  time.Duration
}

func (s *spread) Calls(ctx context.Context, r *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	offset := int64(s.number) * 1e6
	r.Since = max(0, r.Since-offset)
	report, err := s.Source.Calls(ctx, r, func(c *dissect.Call) error {
		c.Time += offset
		c.Flow.ID += flow.ID(s.number) << 20
		return each(c)
	})
	return report, err
}

// kinds are the ways of a worker to be.
const (
	alive     = "alive"
	slow      = "slow"       // 200 ms
	refused   = "refused"    // nobody listens
	blackHole = "black hole" // takes connections and says nothing
)

// startWorkers makes n workers, every second of them of a kind, and returns their addresses.
func startWorkers(t testing.TB, n int, kind, folder string) (addrs []string) {
	for number := range n {
		k := alive
		if number%2 == 1 {
			k = kind
		}
		switch k {
		case alive, slow:
			s := &spread{Source: sourcetest.Source{Kept: perWorker}, number: number}
			if k == slow {
				s.delay = 200 * time.Millisecond
			}
			addr, _ := serve(t, "", folder, server.New(s))
			addrs = append(addrs, addr)
		default:
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addrs = append(addrs, l.Addr().String())
			if k == refused {
				l.Close()
			} else {
				t.Cleanup(func() { l.Close() }) // the kernel takes the connections
			}
		}
	}
	return addrs
}

// members lists workers by their addresses.
func listed(addrs []string) (workers []Worker) {
	for n, a := range addrs {
		workers = append(workers, Worker{Node: fmt.Sprintf("node-%04d", n), Addr: a})
	}
	return workers
}

// console runs a command as an operator does.
func console(f *Fleet, line ...string) (status int, stdout, stderr string) {
	var out, said bytes.Buffer
	e := &command.Env{Source: f, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &said,
		Now: func() time.Time { return sourcetest.Start.Add((perWorker + 2) * time.Second) }}
	status = command.Run(context.Background(), e, line)
	return status, out.String(), said.String()
}

// Half of the workers being gone or slow, the others' answer is whole and in order, and each
// that is missing is named.
func TestManyWorkers(t *testing.T) {
	const n = 50
	ca := linktest.New(t)
	folder := ca.Folder(t, link.WorkerName)
	for kind, why := range map[string]string{alive: "", slow: "", refused: "connection refused", blackHole: ""} {
		t.Run(kind, func(t *testing.T) {
			m := newMembers(t, MembersOptions{TLS: ca.Folder(t, link.HubName), Timeout: 2 * time.Second})
			m.Set(listed(startWorkers(t, n, kind, folder)))
			status, stdout, stderr := console(m.Fleet(), "calls", "--last", "100", "-o", "compact")
			lines := strings.Split(strings.TrimSpace(stdout), "\n")
			missing := strings.Count(stderr, " did not answer: ")
			want, wantStatus := 0, command.ExitOK
			if kind == refused || kind == blackHole {
				want, wantStatus = n/2, command.ExitPartial
			}
			if len(lines) != 100 || missing != want || status != wantStatus || strings.Count(stderr, why) < want {
				t.Errorf("%d lines, %d missing, status %d\n%s", len(lines), missing, status, stderr)
			}
			for i := 1; i < len(lines); i++ {
				if lines[i-1][:12] > lines[i][:12] {
					t.Fatalf("out of order:\n%s\n%s", lines[i-1], lines[i])
				}
			}
		})
	}
}

// workersEnv asks the test binary to be many workers: number, kind, TLS folder.
const workersEnv = "SSHARK_TEST_WORKERS"

// TestBeWorkers is the other process of BenchmarkFleet1000.
func TestBeWorkers(t *testing.T) {
	number, rest, ok := strings.Cut(os.Getenv(workersEnv), ",")
	if !ok {
		t.Skip("only as the other process of BenchmarkFleet1000")
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	kind, folder, _ := strings.Cut(rest, ",")
	fmt.Println("\naddresses " + strings.Join(startWorkers(t, n, kind, folder), " "))
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark ends
}

// otherProcess starts workers in another process, so that what is measured is the hub's.
func otherProcess(b *testing.B, test, env string) []string {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), env)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if list, ok := strings.CutPrefix(lines.Text(), "addresses "); ok {
			return strings.Fields(list)
		}
	}
	b.Fatal("the workers did not start")
	return nil
}

// resident is this process's memory in MB at most, from /proc/self/status.
func resident(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// BenchmarkFleet1000 is `calls --last 100` of 1,000 workers in another process on the same
// machine, every second of which is slow or gone. The budget is 1 s and 512 MB, for those that
// answer; the first question meets black holes for as long as the deadline is.
func BenchmarkFleet1000(b *testing.B) {
	const n = 1000
	ca := linktest.New(b)
	folder, hub := ca.Folder(b, link.WorkerName), ca.Folder(b, link.HubName)
	for _, bb := range []struct{ name, kind, folder, hub string }{
		{"plain", alive, "", ""}, {"tls", alive, folder, hub}, {"tls half slow", slow, folder, hub},
		{"tls half refused", refused, folder, hub}, {"tls half black hole", blackHole, folder, hub},
	} {
		b.Run(bb.name, func(b *testing.B) {
			addrs := otherProcess(b, "TestBeWorkers", fmt.Sprintf("%s=%d,%s,%s", workersEnv, n, bb.kind, bb.folder))
			m := newMembers(b, MembersOptions{TLS: bb.hub})
			m.Set(listed(addrs))
			f := m.Fleet()
			began := time.Now()
			first, _, _ := console(f, "calls", "--last", "100", "-o", "json")
			took := time.Since(began)
			b.ReportAllocs()
			for b.Loop() {
				status, stdout, stderr := console(f, "calls", "--last", "100", "-o", "json")
				if strings.Count(stdout, "\n") != 100 || status != first || status != 0 && status != command.ExitPartial {
					b.Fatalf("status %d (first %d): %s", status, first, stderr[:min(len(stderr), 2000)])
				}
			}
			runtime.GC()
			most := resident(b)
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			b.ReportMetric(float64(took.Milliseconds()), "ms-first") // with the connecting
			b.ReportMetric(most, "MB-most")
			b.ReportMetric(float64(mem.HeapInuse+mem.StackInuse)/(1<<20), "MB-idle")
		})
	}
}
