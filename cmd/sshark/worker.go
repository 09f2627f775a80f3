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
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/sshark/sshark/cmd/sshark/health"
	"github.com/sshark/sshark/pcap/store"
	"github.com/sshark/sshark/worker"
	"github.com/sshark/sshark/worker/api/link"
	"github.com/sshark/sshark/worker/bpf"
	"github.com/sshark/sshark/worker/capture"
	"github.com/sshark/sshark/worker/metrics"
	"github.com/sshark/sshark/worker/reach"
	"github.com/sshark/sshark/worker/server"
)

// workerOptions are the flags of worker.
type workerOptions struct {
	node, listen, tls, http, dir string
	targets                      worker.Targets
	replay, linkLocal            bool
	captureOptions
}

// workerGrace is how long the answers that are under way may take when the worker ends.
const workerGrace = 3 * time.Second

// workerCommand is the node agent.
func workerCommand(d *dialect) *cobra.Command {
	var o workerOptions
	c := &cobra.Command{
		Use:   "worker",
		Short: "the node agent: captures the pods of its node, keeps what they say, answers the hub",
		Args:  flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			return runWorker(c.Context(), d, o, c.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.node, "node", os.Getenv("NODE_NAME"), "`NAME` of the node; default: NODE_NAME of the environment")
	f.StringVar(&o.listen, "listen", ":4290", "`ADDRESS` for the hub")
	f.StringVar(&o.tls, "tls", "/etc/sshark/tls", "`DIR` with tls.crt, tls.key and ca.crt")
	f.StringVar(&o.dir, "store", "/var/lib/sshark", "`DIR` of the store")
	o.captureOptions.declare(f)
	f.StringSliceVar(&o.targets.Namespaces, "namespaces", nil, "`NAMESPACES` whose pods are captured, separated by commas; default: all")
	f.StringSliceVar(&o.targets.ExcludeNamespaces, "exclude-namespaces", nil, "`NAMESPACES` whose pods are not captured")
	f.StringVar(&o.targets.Labels, "labels", "", "`SELECTOR` of the pods that are captured, as kubectl's -l")
	f.BoolVar(&o.replay, "replay", true, "open connections for replays that the hub asks for")
	f.BoolVar(&o.linkLocal, "replay-link-local", false, "replays may go to link-local addresses, where clouds keep credentials")
	f.StringVar(&o.http, "http", ":9090", "`ADDRESS` of /metrics, /healthz and /readyz; \"\": none")
	return c
}

// check says what is wrong with the values.
func (o *workerOptions) check() error {
	if o.node == "" {
		return usageError{errors.New("which node is this? Give --node NAME, or set NODE_NAME from spec.nodeName (a fieldRef)")}
	}
	if err := o.captureOptions.check(); err != nil {
		return usageError{err}
	}
	if err := o.targets.Check(); err != nil {
		return usageError{fmt.Errorf("--labels: %w", err)}
	}
	return nil
}

// reach says what replays may reach from this node.
func (o *workerOptions) reach(w *worker.Worker) reach.Options {
	r := reach.Options{LinkLocal: o.linkLocal, Owner: w.Who().At}
	if !o.replay {
		r.Off = "replay is turned off at this worker"
	}
	return r
}

// runWorker runs until ctx ends.
func runWorker(ctx context.Context, d *dialect, o workerOptions, errw io.Writer) (err error) {
	signal.Ignore(syscall.SIGPIPE) // whoever read our messages may go, the capture stays
	if err := o.check(); err != nil {
		return err
	}
	log := newLog(errw).With("node", o.node)
	tlsConfig, err := link.ServerTLS(o.tls, log)
	if err != nil {
		return fmt.Errorf("%w; --tls names the folder: the hub is let in with a certificate of the same CA only", err)
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen for the hub: %w; choose another address with --listen", err)
	}
	defer listener.Close() // the server's from when it serves; again is no harm

	// Asked from the first moment: a large store takes its time to open.
	var running atomic.Pointer[worker.Worker]
	probes, err := startHealth(o.http, log, health.Options{
		Alive: func() error {
			if w := running.Load(); w != nil {
				_, _, err := w.Source().Nodes(ctx) // takes the locks of capture and store
				return errors.Join(err, w.Err())
			}
			return nil
		},
		Ready: func() error {
			w := running.Load()
			switch {
			case ctx.Err() != nil:
				return errors.New("the worker is ending")
			case w == nil:
				return errors.New("the store is being opened")
			case !w.Ready():
				return errors.New("not all pods of the node are captured: the hub's doctor says why")
			}
			return w.Err()
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, probes.Close()) }()

	w, err := worker.Start(worker.Options{
		Node: o.node, Version: versionText(), Targets: o.targets, Proc: "/proc",
		Capture: capture.Options{RingSize: o.ringMB << 20, SnapLen: o.snap, OwnNamespace: "/proc/1/ns/net",
			Discover: []capture.Discoverer{capture.Processes{Log: log}}},
		Store:     o.store(o.dir),
		Protocols: d.protocols, Language: d.language, Log: log,
	})
	if err != nil {
		return explainWorker(err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	running.Store(w)
	questions := metrics.NewQuestions("worker")
	if err := probes.Register(metrics.NewWorker(w.Source(), identityOf(w.Who()), nil), questions, metrics.BuildInfo("worker", version)); err != nil {
		return err
	}

	g := grpc.NewServer(append(link.ServerOptions(), grpc.Creds(credentials.NewTLS(tlsConfig)))...)
	server.New(questions.Of(w.Source())).Identified(w.Who()).Reaching(reach.NewDialer(o.reach(w))).Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	log.Info("worker started", "version", versionText(), "listen", listener.Addr().String(), "http", text(probes.Addr()), "store", o.dir)
	select {
	case err := <-served:
		return fmt.Errorf("serve the hub: %w", err)
	case <-ctx.Done():
	}
	log.Info("worker ends", "why", context.Cause(ctx))
	stopServer(g)
	<-served
	return nil
}

// identityOf is how a worker knows who is who. Before the hub's first word its age counts from
// now on.
func identityOf(who *worker.Who) func() metrics.Identity {
	begun := time.Now()
	return func() metrics.Identity {
		connected, heard, waiting := who.State()
		if heard.IsZero() {
			heard = begun
		}
		return metrics.Identity{Connected: connected, Heard: heard, Waiting: waiting}
	}
}

// stopServer lets answers end that are nearly done, and cuts off the others.
func stopServer(g *grpc.Server) {
	cut := time.AfterFunc(workerGrace, g.Stop)
	defer cut.Stop()
	g.GracefulStop()
}

// explainWorker says what a pod lacks, in the words of its manifest.
func explainWorker(err error) error {
	var missing *bpf.MissingError
	switch {
	case errors.As(err, &missing):
		return fmt.Errorf("%w\na worker's container needs hostPID of its pod, and the capabilities BPF, NET_ADMIN, NET_RAW, PERFMON, SYS_ADMIN and SYS_PTRACE (securityContext.capabilities.add); it need not be privileged", err)
	case errors.Is(err, capture.ErrNoHostPID):
		return fmt.Errorf("%w (spec.hostPID: true)", err)
	case errors.Is(err, store.ErrNotWritable), errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w; mount a volume that may be written to there, or choose another folder with --store", err)
	}
	return err
}

// startHealth serves health and metrics, or nothing if there is no address for them.
func startHealth(address string, log *slog.Logger, o health.Options) (*health.Server, error) {
	if address == "" {
		return health.Off(), nil
	}
	o.Listen, o.Log = address, log
	s, err := health.Start(o)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address with --http", err)
	}
	return s, nil
}

// text is an address for the log, "" if there is none.
func text(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}
