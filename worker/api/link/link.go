// Package link is how a hub and its workers are connected: gRPC over mutual TLS, pinged so that
// a dead end is noticed, and with bounds on what one message may hold.
//
// Both ends have a folder with tls.crt, tls.key and ca.crt, as a Kubernetes secret is mounted.
// The certificate of every worker names worker.sshark, that of the hub hub.sshark; each end
// takes the name of the other, from the one CA that both know, and nothing else. The files are
// looked at again at each handshake, so that certificates may be renewed while both run; a
// folder that is broken by then is logged, and what was read before it goes on to count.
//
// What is returned here is immutable or safe for concurrent use.
package link

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
)

// The names in the certificates.
const (
	WorkerName = "worker.sshark"
	HubName    = "hub.sshark"
)

const (
	// maxMessage bounds one message in bytes: a node's pods with all that is known of them, or
	// one call with its bodies.
	maxMessage = 16 << 20
	// window is how many bytes of one answer a worker may send ahead of its reader. A hub with
	// 1,000 workers holds that much of each, so it does not grow by itself.
	window = 64 << 10
	// ahead is the same for all answers of one worker together.
	ahead = 1 << 20
	// pingEvery is how long a connection may be quiet before the hub asks whether it lives
	// (grpc-go takes nothing below 10s), pingWait how long the answer may take.
	pingEvery = 10 * time.Second
	pingWait  = 5 * time.Second
	// A worker that came back is to be found within this time, also after a long absence.
	retryFirst = 200 * time.Millisecond
	retryMost  = 2 * time.Second
	// connectTime bounds one attempt.
	connectTime = 5 * time.Second
	// buffer is how many bytes of a connection are read at once. With 1,000 of them the
	// usual 32 KiB are felt.
	buffer = 8 << 10
)

// ServerOptions are a worker's, without credentials.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery / 2, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 3 * pingEvery, Timeout: pingWait}),
		grpc.SharedWriteBuffer(true), grpc.ReadBufferSize(buffer),
	}
}

// DialOptions are a hub's, without credentials. No proxy is taken from the environment:
// workers are in the same cluster.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingWait, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: connectTime,
			Backoff: backoff.Config{BaseDelay: retryFirst, Multiplier: 1.6, Jitter: 0.2, MaxDelay: retryMost}}),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(ahead),
		grpc.WithSharedWriteBuffer(true), grpc.WithReadBufferSize(buffer),
		grpc.WithNoProxy(), grpc.WithDisableServiceConfig(), grpc.WithIdleTimeout(0),
	}
}
