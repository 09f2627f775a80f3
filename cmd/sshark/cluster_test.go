package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/sshark/sshark/dissect/protocols"
	"github.com/sshark/sshark/sshd/fleet"
	"github.com/sshark/sshark/worker/api/link"
	"github.com/sshark/sshark/worker/api/link/linktest"
)

// part is a running `sshark worker` or `sshark hub`.
type part struct {
	t            *testing.T
	cmd          *exec.Cmd
	errs         *transcript
	exited       chan struct{}
	status       error  // once exited
	listen, http string // where it listens, as it logged
}

// asNode runs a program as on a node of its own: there are no other processes than the first,
// which hands on how it ended.
var asNode = []string{"unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", `"$@" & child=$!; trap : TERM; wait $child; wait $child`, "sh"}

// startPart starts one, through other words before its own, and returns when it logged that it
// has started.
func startPart(t *testing.T, via []string, args ...string) *part {
	t.Helper()
	p := &part{t: t, errs: &transcript{}, exited: make(chan struct{})}
	line := slices.Concat(via, []string{program(t)}, args)
	p.cmd = exec.Command(line[0], line[1:]...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stderr = p.errs
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.status = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("sshark %s said:\n%s", args[0], p.errs)
		}
		p.kill()
	})
	await(t, "sshark "+args[0]+" to start", func() bool {
		select {
		case <-p.exited:
			t.Fatalf("it ended: %v\n%s", p.status, p.errs)
		default:
		}
		for in := bufio.NewScanner(strings.NewReader(p.errs.String())); in.Scan(); {
			var line struct{ Msg, Listen, HTTP string }
			if json.Unmarshal(in.Bytes(), &line) == nil && line.Msg == args[0]+" started" {
				p.listen, p.http = line.Listen, line.HTTP
			}
		}
		return p.listen != ""
	})
	return p
}

// ask gets a page.
func (p *part) ask(path string) (int, string) {
	p.t.Helper()
	answer, err := http.Get("http://" + p.http + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// kill ends it as kill -9 does.
func (p *part) kill() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	<-p.exited
}

// end ends it as a kubelet does.
func (p *part) end() {
	p.t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		p.t.Error(err)
	}
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		p.t.Fatal("it does not end")
	}
	if p.status != nil {
		p.t.Errorf("it ended with %v", p.status)
	}
}

// TestWorker holds that the node agent captures, says how it is, and answers the hub and nobody
// else.
func TestWorker(t *testing.T) {
	needsRoot(t)
	needs(t, "unshare")
	ca := linktest.New(t)
	store := t.TempDir()
	w := startPart(t, asNode, "worker", "--node", "here", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--tls", ca.Folder(t, link.WorkerName),
		"--store", store, "--store-mb", "64", "--ring-mb", "8")
	await(t, "the worker to be ready", func() bool {
		code, _ := w.ask("/readyz")
		return code == http.StatusOK
	})
	if code, text := w.ask("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d %s", code, text)
	}

	ask := func(folder string) (string, error) {
		config, err := link.ClientTLS(folder, nil)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := grpc.NewClient("passthrough:///"+w.listen, append(link.DialOptions(), grpc.WithTransportCredentials(credentials.NewTLS(config)))...)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		nodes, _, err := fleet.NewNode(conn, protocols.All()).Nodes(ctx)
		if err != nil || len(nodes) != 1 {
			return "", fmt.Errorf("%d nodes: %w", len(nodes), err)
		}
		if nodes[0].Version == "" || nodes[0].Kernel == "" {
			t.Errorf("the worker says not what it is: %+v", nodes[0])
		}
		return nodes[0].Name, nil
	}
	if name, err := ask(ca.Folder(t, link.HubName)); err != nil || name != "here" {
		t.Errorf("the hub was told %q, %v", name, err)
	}
	for what, folder := range map[string]string{"another worker": ca.Folder(t, link.WorkerName), "another CA": linktest.New(t).Folder(t, link.HubName)} {
		if name, err := ask(folder); err == nil {
			t.Errorf("the worker answers %s: %s", what, name)
		}
	}
	_, text := w.ask("/metrics")
	for _, want := range []string{"\nsshark_worker_capturing 1\n", "\nsshark_worker_hub_connected 0\n", "\nsshark_worker_queries_total{question=\"nodes\",result=\"answered\"} 1\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	w.end()
	if files, err := filepath.Glob(filepath.Join(store, "*.pcapng")); err != nil || len(files) == 0 {
		t.Errorf("the store holds %v, %v", files, err)
	}
}

// TestWorkerRefused holds what the worker says where it may not do its job.
func TestWorkerRefused(t *testing.T) {
	needsRoot(t)
	needs(t, "setpriv")
	tls := linktest.New(t).Folder(t, link.WorkerName)
	worker := func(store string, drop string) answer {
		return run(t, exec.CommandContext(t.Context(), "setpriv", "--bounding-set="+drop, "--inh-caps="+drop, "--",
			program(t), "worker", "--node", "here", "--listen", "127.0.0.1:0", "--http", "", "--tls", tls, "--store", store, "--store-mb", "64"))
	}
	if a := worker(t.TempDir(), "-sys_admin,-bpf"); a.status != 1 || !strings.Contains(a.errs, "CAP_BPF") || !strings.Contains(a.errs, "securityContext.capabilities.add") {
		t.Errorf("without capabilities: %d %s", a.status, a.errs)
	}
	if a := worker("/proc/sshark", "-sys_boot"); a.status != 1 || !strings.Contains(a.errs, "--store") {
		t.Errorf("where nothing can be written: %d %s", a.status, a.errs)
	}
}

// hubSetup is what a hub needs, and who gets in.
type hubSetup struct {
	dir, tls, server, workerPort string
}

// newHubSetup is that of a hub whose cluster and workers are reached as the arguments say.
func newHubSetup(t *testing.T, tls, server, workerPort string) *hubSetup {
	t.Helper()
	s := &hubSetup{t.TempDir(), tls, server, workerPort}
	for _, key := range []string{"host/ssh_host_ed25519_key", "client"} {
		path := filepath.Join(s.dir, key)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if a := run(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f", path)); a.status != 0 {
			t.Fatal(a.errs)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "kubeconfig"), []byte(kubeconfig(server)), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// start starts a hub.
func (s *hubSetup) start(t *testing.T, more ...string) *part {
	t.Helper()
	return startPart(t, nil, append([]string{"hub", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--tls", s.tls, "--worker-port", s.workerPort,
		"--host-keys", filepath.Join(s.dir, "host"), "--authorized-keys", filepath.Join(s.dir, "client.pub"),
		"--namespace", "sshark", "--kubeconfig", filepath.Join(s.dir, "kubeconfig"), "--data", filepath.Join(s.dir, "data")}, more...)...)
}

// ssh is a command on a hub.
func (s *hubSetup) ssh(h *part, words ...string) *exec.Cmd {
	host, port, _ := strings.Cut(h.listen, ":")
	return exec.Command("ssh", append([]string{"-F", "none", "-p", port, "-i", filepath.Join(s.dir, "client"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=" + filepath.Join(s.dir, "known_hosts"), host}, words...)...)
}

// TestHub holds that the console is there before the cluster is: alive, not ready, and it says
// why.
func TestHub(t *testing.T) {
	needs(t, "ssh", "ssh-keygen")
	s := newHubSetup(t, linktest.New(t).Folder(t, link.HubName), "https://127.0.0.1:1", "1")
	h := s.start(t)
	if code, text := h.ask("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d %s", code, text)
	}
	await(t, "the hub to know why it is not ready", func() bool {
		code, text := h.ask("/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(text, "connection refused")
	})
	if a := run(t, s.ssh(h, "nodes")); a.status != 0 || !strings.Contains(a.errs, "there are no nodes") {
		t.Errorf("nodes: %d %s%s", a.status, a.out, a.errs)
	}
	a := run(t, s.ssh(h, "doctor"))
	if a.status != 0 || !strings.Contains(a.out, "not watched") || !strings.Contains(a.out, "there are no workers") {
		t.Errorf("doctor: %d %s%s", a.status, a.out, a.errs)
	}
	_, text := h.ask("/metrics")
	for _, want := range []string{"\nsshark_hub_cluster_synced 0\n", "\nsshark_hub_workers{state=\"connected\"} 0\n",
		"\nsshark_hub_commands_total{command=\"doctor\",status=\"0\"} 1\n", "\nsshark_hub_sessions_total{kind=\"command\"} 2\n",
		"\nsshark_hub_sign_ins_total{method=\"publickey\",result=\"accepted\"} 2\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}

	// Who is connected when it ends is told.
	screen := s.ssh(h)
	screen.Args = slices.Insert(screen.Args, 1, "-tt")
	screen.Env = append(os.Environ(), "TERM=xterm-256color")
	var errs bytes.Buffer
	screen.Stderr = &errs
	in, err := screen.StdinPipe() // stays open
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := screen.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the session to be open", func() bool {
		_, text := h.ask("/metrics")
		return strings.Contains(text, "\nsshark_hub_sessions_open{kind=\"screen\"} 1\n")
	})
	h.end()
	screen.Wait() // it was ended
	if !strings.Contains(errs.String(), "the server is stopping") {
		t.Errorf("the session was told %q", &errs)
	}
}

// TestHubRevokes holds that a key which was revoked does not get in, and that the list is read again.
func TestHubRevokes(t *testing.T) {
	needs(t, "ssh", "ssh-keygen")
	s := newHubSetup(t, linktest.New(t).Folder(t, link.HubName), "https://127.0.0.1:1", "1")
	key, err := os.ReadFile(filepath.Join(s.dir, "client.pub"))
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(s.dir, "revoked")
	if err := os.WriteFile(list, key, 0o600); err != nil {
		t.Fatal(err)
	}
	h := s.start(t, "--revoked", list)
	if a := run(t, s.ssh(h, "version")); a.status != 255 || !strings.Contains(h.errs.String(), "key or certificate is revoked") {
		t.Errorf("a revoked key: %d %s%s", a.status, a.out, a.errs)
	}
	if err := os.WriteFile(list, []byte("# nobody any more\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the key to get in again", func() bool { return run(t, s.ssh(h, "version")).status == 0 })
}

// TestRestarts holds that hub and workers find each other again whichever of them, or the API
// server, was away, and that meanwhile the console says who is missing.
func TestRestarts(t *testing.T) {
	needsRoot(t)
	needs(t, "ssh", "ssh-keygen", "unshare")
	ca := linktest.New(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(free.Addr().String())
	if err = errors.Join(err, free.Close()); err != nil {
		t.Fatal(err)
	}
	addrs := map[string]string{"node-a": "127.0.0.1", "node-b": "127.0.0.2"}
	tls, stores := ca.Folder(t, link.WorkerName), t.TempDir()
	worker := func(node string) *part {
		t.Helper()
		return startPart(t, asNode, "worker", "--node", node, "--listen", net.JoinHostPort(addrs[node], port), "--http", "127.0.0.1:0",
			"--tls", tls, "--store", filepath.Join(stores, node), "--store-mb", "64", "--ring-mb", "4")
	}
	api := newAPI(t, addrs)
	s := newHubSetup(t, ca.Folder(t, link.HubName), api.server.URL, port)
	h := s.start(t)
	awaitAnswer := func(what, command string, status int, texts ...string) {
		t.Helper()
		var a answer
		defer func() {
			if t.Failed() {
				t.Logf("%s: %d\n%s%s", command, a.status, a.out, a.errs)
			}
		}()
		await(t, what, func() bool {
			a = run(t, s.ssh(h, command))
			return a.status == status && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(a.out+a.errs, text) })
		})
	}

	awaitAnswer("both to be missing", "nodes", 3, "node-a did not answer", "node-b did not answer")
	workers := map[string]*part{"node-a": worker("node-a"), "node-b": worker("node-b")}
	awaitAnswer("both to answer", "nodes", 0, "node-a  capturing", "node-b  capturing")
	awaitAnswer("the doctor to find nothing wrong", "doctor", 0, "2 nodes, 2 workers", "nothing wrong was found")
	if code, text := h.ask("/readyz"); code != http.StatusOK {
		t.Errorf("the hub is not ready: %s", text)
	}
	if _, text := h.ask("/metrics"); !strings.Contains(text, "\nsshark_hub_workers{state=\"connected\"} 2\n") || !strings.Contains(text, "\nsshark_hub_cluster_synced 1\n") {
		t.Errorf("the hub's metrics tell of other workers: %s", text)
	}
	told := func(w *part) bool {
		_, text := w.ask("/metrics")
		return strings.Contains(text, "\nsshark_worker_hub_connected 1\n")
	}
	await(t, "the worker to be told who is who", func() bool { return told(workers["node-b"]) })

	workers["node-b"].kill()
	awaitAnswer("the killed worker to be missing", "nodes", 3, "node-a  capturing", "node-b did not answer")
	awaitAnswer("the doctor to miss it", "doctor", 3, "the worker did not answer")
	workers["node-b"] = worker("node-b")
	awaitAnswer("the worker to be back", "nodes", 0, "node-b  capturing")
	await(t, "the worker to be told again", func() bool { return told(workers["node-b"]) })

	api.set(true)
	awaitAnswer("the API server to be missed, by nobody but the doctor", "doctor", 0, "from memory since")
	awaitAnswer("the workers to answer still", "calls", 0)
	api.set(false)
	awaitAnswer("the API server to be back", "doctor", 0, "nothing wrong was found")

	h.kill()
	await(t, "the worker to miss the hub", func() bool { return !told(workers["node-a"]) })
	h = s.start(t)
	awaitAnswer("the hub to be back", "nodes", 0, "node-a  capturing", "node-b  capturing")
	await(t, "the worker to be told by the new hub", func() bool { return told(workers["node-a"]) })
	h.end()
	for _, w := range workers {
		w.end()
	}
}
