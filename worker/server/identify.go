package server

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/worker/api"
)

// Who takes what a hub tells of who is who, and says what it wants to know. Its methods are
// safe for concurrent use.
type Who interface {
	// Met says that a hub has come, until left is called: all that it says from now on is anew.
	Met() (left func())
	// Pods are those of this node that came or changed; gone are UIDs. whole: pods is all.
	Pods(pods []identity.Pod, gone []string, whole bool)
	// Owner is who has an address, since when in ns; 0: not said. The zero Owner: nobody.
	Owner(a netip.Addr, o identity.Owner, from int64)
	// Was says who had an address since from, and has it no longer.
	Was(a netip.Addr, o identity.Owner, from int64)
	// NeverPorts are all ports at the node's own addresses that lead to the console.
	NeverPorts(ports []uint16)
	// Ask waits for addresses to ask for. It returns ctx's error when that ends.
	Ask(ctx context.Context) ([]netip.AddrPort, error)
}

// Identified makes the service tell who what the hub says, and returns it. It is called
// before the service is used.
func (s *Server) Identified(who Who) *Server {
	s.hubs.who = who
	return s
}

// hubs lets one hub at a time tell who is who: the one that came last. A hub that was cut off
// may not notice for long, and what it says then is old.
type hubs struct {
	who Who

	mu     sync.Mutex // held while somebody tells
	newest *hub
}

// hub is one stream.
type hub struct {
	replaced context.CancelFunc
}

// tell runs f if h is the newest, so that nothing old follows on what is new.
func (h *hubs) tell(by *hub, f func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.newest != by {
		return false
	}
	f()
	return true
}

// errReplaced is what a hub is told when another one takes its place.
var errReplaced = status.Error(codes.Aborted, "another hub tells this worker who is who")

// Identify implements api.WorkerServer.
func (s *Server) Identify(stream grpc.BidiStreamingServer[api.Told, api.Asked]) error {
	if s.hubs.who == nil {
		return status.Error(codes.Unimplemented, "this worker knows by itself who is who")
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	by := &hub{cancel}
	s.hubs.mu.Lock()
	if old := s.hubs.newest; old != nil {
		old.replaced()
	}
	s.hubs.newest = by
	s.hubs.mu.Unlock()
	defer s.hubs.who.Met()()

	// Recv ends with the stream, which ends when this function returns.
	ended := make(chan error, 1)
	go func() {
		for {
			told, err := stream.Recv()
			if err != nil {
				ended <- err
				cancel()
				return
			}
			if !s.hubs.tell(by, func() { tell(s.hubs.who, told) }) {
				return
			}
		}
	}()
	for {
		asked, err := s.hubs.who.Ask(ctx)
		if err == nil {
			err = stream.Send(fromAsked(asked))
		}
		if err == nil {
			continue
		}
		if !s.hubs.tell(by, func() { s.hubs.newest = nil }) {
			return errReplaced
		}
		select {
		case err = <-ended:
		default:
		}
		if errors.Is(err, io.EOF) {
			return nil // the hub has nothing more to say
		}
		return toStatus(err)
	}
}

// tell hands on one message.
func tell(who Who, m *api.Told) {
	if m.Never {
		var list []uint16
		for _, p := range m.NeverPorts {
			if p != 0 && p <= 0xffff {
				list = append(list, uint16(p))
			}
		}
		who.NeverPorts(list)
	}
	if len(m.Pods) > 0 || len(m.Gone) > 0 || m.Whole {
		pods := make([]identity.Pod, 0, len(m.Pods))
		for _, p := range m.Pods {
			pods = append(pods, api.ToPod(p))
		}
		who.Pods(pods, m.Gone, m.Whole)
	}
	for _, o := range m.Owners {
		if a, owner, from := api.ToOwner(o); a.IsValid() {
			if o.Past {
				who.Was(a, owner, from)
				continue
			}
			who.Owner(a, owner, from)
		}
	}
}

func fromAsked(list []netip.AddrPort) *api.Asked {
	m := &api.Asked{Addresses: make([]*api.AddressPort, 0, len(list))}
	for _, a := range list {
		m.Addresses = append(m.Addresses, &api.AddressPort{Ip: a.Addr().AsSlice(), Port: uint32(a.Port())})
	}
	return m
}
