package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sshark/sshark/cmd/sshark/health"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/servicemap/kube"
	"github.com/sshark/sshark/sshd"
	"github.com/sshark/sshark/sshd/command"
	"github.com/sshark/sshark/sshd/doctor"
	"github.com/sshark/sshark/sshd/fleet"
	hubmetrics "github.com/sshark/sshark/sshd/metrics"
	"github.com/sshark/sshark/sshd/savedfilters"
	"github.com/sshark/sshark/worker/metrics"
)

// hubOptions are the flags of hub.
type hubOptions struct {
	listen, tls, hostKeys                      string
	keys, userCA, revoked, policy              string
	tokens, replay                             bool
	workers, namespace, kubeconfig, data, http string
	workerPort                                 uint16
	snapshotsMB                                int64
}

// hubCommand is the console of a cluster.
func hubCommand(d *dialect) *cobra.Command {
	var o hubOptions
	c := &cobra.Command{
		Use:   "hub",
		Short: "the console: an SSH server that asks all workers of the cluster",
		Args:  flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			return runHub(c.Context(), d, o, c.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.listen, "listen", ":2222", "`ADDRESS` of the console")
	f.StringVar(&o.tls, "tls", "/etc/sshark/tls", "`DIR` with tls.crt, tls.key and ca.crt, for the workers")
	f.StringVar(&o.hostKeys, "host-keys", "/etc/sshark/host-keys", "`DIR` with the console's private keys")
	f.StringVar(&o.keys, "authorized-keys", "", "`FILE` with the keys that get in")
	f.StringVar(&o.userCA, "user-ca", "", "`FILE` with the CAs whose user certificates get in")
	f.StringVar(&o.revoked, "revoked", "", "`FILE` of keys and certificates that get in no more, in the words of ssh-keygen's revocation lists; while it cannot be read no key and no certificate gets in")
	f.StringVar(&o.policy, "policy", "", "`FILE` that says who may do what; default: who gets in by key or certificate may do everything")
	f.BoolVar(&o.tokens, "tokens", false, "who has a token of the cluster gets in; the policy says what they may")
	f.BoolVar(&o.replay, "replay", true, "recorded flows may be sent again, by those whom the policy lets")
	f.StringVar(&o.workers, "workers", kube.DefaultWorkers, "`SELECTOR` of the workers' labels")
	f.Uint16Var(&o.workerPort, "worker-port", 4290, "`PORT` of the workers")
	f.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "`NAMESPACE` of hub and workers; default: POD_NAMESPACE of the environment")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "`FILE` that says how to reach the cluster; default: the one that this runs in")
	f.StringVar(&o.data, "data", "/data", "`DIR` that may be written to, for snapshots, exports and saved filters")
	declareSnapshots(f, &o.snapshotsMB)
	f.StringVar(&o.http, "http", ":9090", "`ADDRESS` of /metrics, /healthz and /readyz; \"\": none")
	return c
}

// check says what is wrong with the values.
func (o *hubOptions) check() error {
	switch {
	case o.namespace == "":
		return usageError{errors.New("where are the workers? Give --namespace, or set POD_NAMESPACE from metadata.namespace (a fieldRef)")}
	case o.keys == "" && o.userCA == "" && !o.tokens:
		return usageError{errors.New("who gets in? Give --authorized-keys, --user-ca or --tokens")}
	case o.snapshotsMB < 1:
		return usageError{errSnapshotsMB}
	case o.workerPort == 0:
		return usageError{errors.New("--worker-port 0: want a port from 1 to 65535")}
	}
	return nil
}

// runHub runs until ctx ends.
func runHub(ctx context.Context, d *dialect, o hubOptions, errw io.Writer) (err error) {
	signal.Ignore(syscall.SIGPIPE) // whoever read our messages may go, the console stays
	if err := o.check(); err != nil {
		return err
	}
	log := newLog(errw)
	keys, err := hostKeys(o.hostKeys)
	if err != nil {
		return err
	}
	if err := writable(o.data); err != nil {
		return fmt.Errorf("%w; mount a volume that may be written to there, or choose another folder with --data", err)
	}
	kept, err := openSnapshots(d, o.data, o.snapshotsMB, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	saved, err := savedfilters.Open(filepath.Join(o.data, "filters"))
	if err != nil {
		return err
	}
	client, err := kube.Connect(o.kubeconfig)
	if err != nil {
		return fmt.Errorf("%w; --kubeconfig FILE names one", err)
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; choose another address with --listen", o.listen, err)
	}
	defer listener.Close() // the server's from when it serves; again is no harm

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cluster, err := kube.Start(ctx, kube.Options{Client: client, Namespace: o.namespace, Workers: o.workers, WorkerPort: int(o.workerPort), Log: log})
	if err != nil {
		return usageError{err}
	}
	known := directory{cluster, uint16(listener.Addr().(*net.TCPAddr).Port)}
	members, err := fleet.NewMembers(fleet.MembersOptions{TLS: o.tls, Protocols: d.protocols, Directory: known, Log: log})
	if err != nil {
		return fmt.Errorf("%w; --tls names the folder: workers answer to a certificate of the same CA only", err)
	}
	defer members.Close()
	go follow(ctx, cluster, members)

	questions := metrics.NewQuestions("hub")
	counts := hubmetrics.NewConsole(command.Names())
	console := sshd.Options{
		Listener: listener, HostKeys: keys, AuthorizedKeys: o.keys, UserCA: o.userCA, Revoked: o.revoked, Policy: o.policy, Reviews: reviews{client, cluster},
		Source: questions.Of(members.Fleet()), Language: d.language, Version: versionText(), Spool: o.data, Snapshots: kept, Log: log,
		Cluster: func() *doctor.Cluster { return expected(cluster, o.namespace) }, Observer: counts, TUI: screens(d, nodeName(), saved),
	}
	if o.tokens {
		console.Tokens = client
	}
	if o.replay {
		console.Replay = replayCluster(d, members.Fleet(), known, o.namespace)
	}
	srv, err := sshd.New(console)
	if err != nil {
		return err
	}

	var serving atomic.Bool
	probes, err := startHealth(o.http, log, health.Options{
		Alive: func() error { // takes the locks of the cluster and of the members
			cluster.Workers()
			members.States()
			return nil
		},
		Ready: func() error {
			switch {
			case ctx.Err() != nil:
				return errors.New("the hub is ending")
			case !serving.Load():
				return errors.New("the console does not listen yet")
			case !cluster.Synced():
				return fmt.Errorf("the cluster is not known yet: %s", cluster.Problem())
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, probes.Close()) }()
	if err := probes.Register(questions, counts, hubmetrics.NewCluster(func() hubmetrics.View { return viewOf(cluster, members) }),
		metrics.BuildInfo("hub", version)); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx) }()
	serving.Store(true)
	log.Info("hub started", "version", versionText(), "listen", srv.Addr().String(), "http", text(probes.Addr()), "namespace", o.namespace)
	err = <-served
	log.Info("hub ends", "why", context.Cause(ctx))
	return err
}

// follow keeps the fleet's members those that the cluster lists, until ctx ends.
func follow(ctx context.Context, c *kube.Cluster, m *fleet.Members) {
	for {
		changed := c.Changed() // before the list: a change in between is seen
		var workers []fleet.Worker
		for _, w := range c.Workers() {
			workers = append(workers, fleet.Worker{Node: w.Node, Addr: w.Addr, Problem: w.Problem})
		}
		m.Set(workers)
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// directory tells workers who is who. Of an address that nobody has it says so once the whole
// cluster is known, and nothing before.
type directory struct {
	*kube.Cluster
	port uint16 // of the console, in its pod
}

// ConsolePorts implements fleet.Directory: also the port that node ports lead to, since a node
// may hand a connection on to the hub's.
func (d directory) ConsolePorts() []uint16 {
	return slices.Concat(d.Cluster.ConsolePorts(), []uint16{d.port})
}

// Who implements fleet.Directory.
func (d directory) Who(a netip.AddrPort, at int64) (o identity.Owner, from int64, known bool) {
	o, from, known = d.Cluster.Who(a, at)
	return o, from, known || d.Synced()
}

// reviews asks the cluster's RBAC what users may, in the namespaces that there are.
type reviews struct {
	*kube.Client
	*kube.Cluster
}

// viewOf is what the metrics tell of the cluster.
func viewOf(c *kube.Cluster, m *fleet.Members) hubmetrics.View {
	connected, missing, absent := m.States()
	return hubmetrics.View{Workers: map[string]int{"connected": connected, "missing": missing, "starting": absent},
		Synced: c.Synced(), Lag: c.Lag(), Pods: len(c.Running())}
}

// expected is what the cluster says that there should be.
func expected(c *kube.Cluster, namespace string) *doctor.Cluster {
	e := &doctor.Cluster{Problem: c.Problem(), Lag: c.Lag(), Nodes: c.Nodes(), Console: namespace + "/" + nodeName()} // a pod's host name is its own
	for _, w := range c.Workers() {
		e.Workers = append(e.Workers, doctor.Worker{Node: w.Node, Ready: w.Ready, Problem: w.Problem})
	}
	for _, p := range c.Running() {
		if p.Worker {
			continue // it captures nothing of itself
		}
		e.Pods = append(e.Pods, doctor.Pod{Namespace: p.Namespace, Name: p.Name, UID: p.UID, Node: p.Node, HostNetwork: p.HostNetwork, Since: p.Since})
	}
	return e
}

// hostKeys are the private keys of a folder, as a secret is mounted: public halves and hidden
// names are left out.
func hostKeys(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("host keys: %w; --host-keys names the folder", err)
	}
	var keys []string
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, ".pub") && !e.IsDir() {
			keys = append(keys, filepath.Join(dir, name))
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("host keys: there is no key in %s; make one: ssh-keygen -t ed25519 -N '' -f %s", dir, filepath.Join(dir, "ssh_host_ed25519_key"))
	}
	return keys, nil
}

// writable finds out early whether files can be made in a folder.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	f, err := os.CreateTemp(dir, ".try-*")
	if err != nil {
		return fmt.Errorf("write to the data folder: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
