package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sshark/sshark/cmd/sshark/demo"
	"github.com/sshark/sshark/pcap/store"
	"github.com/sshark/sshark/sshd"
	"github.com/sshark/sshark/sshd/auth"
	"github.com/sshark/sshark/sshd/fleet"
	"github.com/sshark/sshark/sshd/savedfilters"
	"github.com/sshark/sshark/worker"
	"github.com/sshark/sshark/worker/bpf"
	"github.com/sshark/sshark/worker/capture"
	"github.com/sshark/sshark/worker/server"
)

// upOptions are the flags of up.
type upOptions struct {
	listen, state, keys string
	demo                bool
	snapshotsMB         int64
	captureOptions
}

// upCommand is the whole product on this machine: worker and hub in one process.
func upCommand(d *dialect) *cobra.Command {
	var o upOptions
	c := &cobra.Command{
		Use:   "up",
		Short: "capture this machine and serve the console on it, without Kubernetes (root)",
		Args:  flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			return up(c.Context(), d, o, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.listen, "listen", "127.0.0.1:2222", "`ADDRESS` of the console")
	f.StringVar(&o.state, "state", "/var/lib/sshark", "`DIR` for the store, the snapshots and the keys")
	f.StringVar(&o.keys, "authorized-keys", "", "`FILE` with the keys that get in; default: authorized_keys in the state folder, with a key made for you")
	f.BoolVar(&o.demo, "demo", false, "start a small shop to look at, in network namespaces of its own")
	o.captureOptions.declare(f)
	declareSnapshots(f, &o.snapshotsMB)
	return c
}

// up runs until ctx ends.
func up(ctx context.Context, d *dialect, o upOptions, out, errw io.Writer) (err error) {
	signal.Ignore(syscall.SIGPIPE) // whoever read our messages may go, the capture stays
	if err := o.check(); err != nil {
		return usageError{err}
	}
	if o.snapshotsMB < 1 {
		return usageError{errSnapshotsMB}
	}
	log := slog.New(slog.NewTextHandler(errw, nil))
	if err := os.MkdirAll(o.state, 0o700); err != nil {
		return withFile(fmt.Errorf("make the state folder: %w; run as root, or choose another with --state", err))
	}
	state, err := filepath.Abs(o.state)
	if err != nil {
		return err
	}
	keys, err := makeKeys(state, o.keys)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("keep keys in the state folder: %w; choose another with --state", err)
	}
	if err != nil {
		return err
	}
	// A port in use is told before anything is begun, and the capture leaves this one out.
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; choose another address with --listen", o.listen, err)
	}
	defer listener.Close() // the server's from when it serves; again is no harm
	port := uint16(listener.Addr().(*net.TCPAddr).Port)

	w, err := worker.Start(worker.Options{
		Node: nodeName(), Version: versionText(),
		Capture: capture.Options{RingSize: o.ringMB << 20, SnapLen: o.snap, OwnNamespace: "/proc/self/ns/net",
			Discover: []capture.Discoverer{capture.Named{Log: log}}, ExcludePorts: []uint16{port}},
		Store:     o.store(filepath.Join(state, "store")),
		Protocols: d.protocols, Language: d.language, Log: log,
	})
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()

	node, stop, err := inProcess(w, d)
	if err != nil {
		return err
	}
	defer stop()
	kept, err := openSnapshots(d, state, o.snapshotsMB, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	saved, err := savedfilters.Open(filepath.Join(state, "filters"))
	if err != nil {
		return err
	}
	all := fleet.New(func() []fleet.Member { return []fleet.Member{{Name: nodeName(), Source: node}} }, 5*time.Second)

	srv, err := sshd.New(sshd.Options{
		Listener: listener, HostKeys: []string{keys.host}, AuthorizedKeys: keys.authorized,
		Source: all, Replay: replayUp(d, all, w, port), Language: d.language, Version: versionText(), Spool: state, Snapshots: kept, Log: log,
		TUI: screens(d, nodeName(), saved),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx) }()

	if o.demo {
		shop, startErr := demo.Start(ctx, demo.Options{Log: log, Stdout: out})
		if startErr != nil {
			cancel()
			return errors.Join(startErr, <-served)
		}
		defer func() { err = errors.Join(err, shop.Stop()) }()
	}
	if err := awaitCapture(ctx, w); err != nil {
		cancel()
		return errors.Join(err, <-served)
	}
	greet(out, keys, srv.Addr(), state)
	return <-served
}

// explain adds to what is missing for a capture how to look at a file instead.
func explain(err error) error {
	var missing *bpf.MissingError
	if errors.As(err, &missing) || errors.Is(err, store.ErrNotWritable) || errors.Is(err, os.ErrPermission) {
		return withFile(err)
	}
	return err
}

func withFile(err error) error {
	return fmt.Errorf("%w\nwithout that you can still look at a capture file: sshark tap --pcap FILE, or sshark calls --pcap FILE", err)
}

// awaitCapture waits until every pod that is there by now is captured, a few seconds at most:
// what is wrong with one of them is in `nodes`, and keeps nobody else waiting.
func awaitCapture(ctx context.Context, w *worker.Worker) error {
	deadline := time.NewTimer(3 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !w.Ready() {
		select {
		case <-look.C:
		case <-deadline.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// inProcess puts the worker behind the same gRPC that a hub uses, over memory.
func inProcess(w *worker.Worker, d *dialect) (*fleet.Node, func(), error) {
	pipe := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	server.New(w.Source()).Register(g)
	go func() { _ = g.Serve(pipe) }() // it ends with Stop, without an error worth telling
	conn, err := grpc.NewClient("passthrough:///worker", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		g.Stop()
		return nil, nil, fmt.Errorf("reach the worker: %w", err)
	}
	return fleet.NewNode(conn, d.protocols), func() {
		_ = conn.Close() // nothing is asked any more
		g.Stop()
	}, nil
}

// consoleKeys are the paths of what the console's doors need.
type consoleKeys struct {
	host, authorized string
	client           string // the key that was made for whoever started us, "" if others were given
	hostKey          ssh.PublicKey
}

// makeKeys makes the host key, and unless keys were given a client key that gets in.
func makeKeys(state, authorized string) (*consoleKeys, error) {
	k := &consoleKeys{host: filepath.Join(state, "host_ed25519"), authorized: authorized}
	host, err := keyFile(k.host, "sshark console")
	if err != nil {
		return nil, err
	}
	k.hostKey = host.PublicKey()
	if authorized != "" {
		if _, err := os.Stat(authorized); err != nil {
			return nil, fmt.Errorf("authorized keys: %w", err)
		}
		if auth.NewKeys(authorized, nil, slog.New(slog.DiscardHandler), time.Now).Look() == 0 {
			return nil, fmt.Errorf("authorized keys: no line of %s is a public key that gets in; want lines as in ~/.ssh/id_ed25519.pub", authorized)
		}
		return k, nil
	}
	k.client = filepath.Join(state, "client_ed25519")
	client, err := keyFile(k.client, "sshark operator")
	if err != nil {
		return nil, err
	}
	k.authorized = filepath.Join(state, "authorized_keys")
	line := append(trimLine(ssh.MarshalAuthorizedKey(client.PublicKey())), " operator\n"...)
	text, err := os.ReadFile(k.authorized)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if !strings.Contains(string(text), strings.TrimSpace(string(line))) {
		if len(text) > 0 && text[len(text)-1] != '\n' {
			text = append(text, '\n')
		}
		if err := writeWhole(k.authorized, append(text, line...), 0o600); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// greet says how to get in: the command stands on a line of its own.
func greet(out io.Writer, k *consoleKeys, addr net.Addr, state string) {
	tcp := addr.(*net.TCPAddr)
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	fmt.Fprintf(out, "packets are kept in %s; the console is on %s; Ctrl-C ends it\n\n", filepath.Join(state, "store"), addr)
	port := strconv.Itoa(tcp.Port)
	var options []string
	if k.client != "" {
		options = append(options, "-i", k.client, "-o", "IdentitiesOnly=yes")
	}
	hosts := filepath.Join(state, "known_hosts")
	line := knownhosts.Line([]string{net.JoinHostPort(host, port)}, k.hostKey) + "\n"
	if err := writeWhole(hosts, []byte(line), 0o644); err == nil {
		if strings.Contains(hosts, " ") {
			hosts = `"` + hosts + `"` // the option is a list (ssh_config(5)), separated by blanks
		}
		options = append(options, "-o", "UserKnownHostsFile="+hosts)
	}
	remote := host
	if strings.Contains(host, ":") {
		remote = "[" + host + "]" // scp takes what is before the first colon for the host
	}
	fmt.Fprintf(out, "%s\n\nadd -t for the screen, or a command: calls --last 5, flows, nodes, help\nfor files: %s\n",
		shellLine("ssh", "-p", port, options, host), shellLine("scp", "-P", port, options, remote+":/last/5m.pcapng", "."))
}

// shellLine is a command with its arguments as one types them into a shell.
func shellLine(program, portFlag, port string, options []string, rest ...string) string {
	args := slices.Concat([]string{program, portFlag, port}, options, rest)
	for i, a := range args {
		if strings.ContainsAny(a, " '\"$\\") {
			args[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(args, " ")
}
