// Package vantage tells once what was seen at several places.
//
// In a cluster one connection shows up in the client's pod, in the server's, and at the
// interfaces of nodes between them, and not always under one name: a service's address becomes
// that of one of its pods, and a client's may become its node's. Calls and Flows take the
// sightings from any number of places, find those that belong together, and hand each call or
// flow out once, in the order of time.
//
// # Which flows are one
//
// Two flows are sightings of one connection if both were seen to open and chose the same
// initial sequence numbers (dissect.Flow.Opening): address translation leaves these alone. A
// flow of which that is not known, as it was under way before, or is not TCP, is told by its
// ends: the client must be the same, and the server too, or be a service at one place and a
// pod of that service at the other (a pod of its namespace, if it is of several services); and
// the places must differ. What is translated at both ends, and was not seen to open, is told
// for each place.
//
// # Which calls are one
//
// Two calls of such flows are one if they say the same (protocol, summary, status, sizes) at
// the same time, request or response: one of them may have been held up on the way. Clocks of
// nodes differ: how far is learnt from how connections were opened, else from what was matched.
// Matching is one to one, so that repeated calls stay as many as there are. Of a call of which
// one place lost a part, the whole one is told.
//
// # What is told
//
// The sighting of the server's pod, else of any server's end, else the client's. Times, counts
// and the ID are of that sighting. If the client's end was seen as well, Flow.Vantage is
// dissect.SideBoth, and Call.Client has the client's times; the client is the one before its
// address was translated, and the server's identity names the service that it asked for.
//
// # Waiting
//
// A sighting waits for others for Hold of capture time, or HoldLive of the caller's clock, and
// is then told as it is. One that comes later still is known by what is remembered of those
// that were told, and left out. What cannot have been seen elsewhere, as its capture names
// neither node nor pod, waits for nothing. All that is held is bounded.
//
// Values are used by one goroutine at a time.
package vantage

import (
	"cmp"
	"slices"
	"time"

	"github.com/sshark/sshark/dissect"
)

// Hold and HoldLive are how long a call or flow waits for its other sightings: by the time of
// the newest packet, and by the clock of somebody who follows. What is followed and finds all
// its sightings goes out at once.
const (
	Hold     = 2 * time.Second
	HoldLive = 400 * time.Millisecond
)

// What is kept at most, in sightings.
const (
	maxHeld = 1 << 15 // that wait
	maxTold = 1 << 15 // that were told, or left out

	maxToldLive = 1 << 13 // the same for one who follows, of whom there may be a hundred, for days
)

// late is how much later than others a node may tell somebody who follows what it saw: beyond
// that it is told again.
const late = 15 * time.Second

// Sighted says whether a flow may have been seen elsewhere too.
func Sighted(f *dissect.Flow) bool { return f.Vantage != dissect.SideUnknown || f.Node != "" }

// Expected says whether a flow was seen at one end, and the other one is of the cluster, so
// that it is likely to have been seen there too. It need not be waited for otherwise.
func Expected(f *dissect.Flow) bool {
	other := f.Server.Identity
	switch f.Vantage {
	case dissect.SideBoth:
		return false
	case dissect.SideUnknown:
		return f.Node != ""
	case dissect.SideServer:
		other = f.Client.Identity
	}
	return other != nil && other.Pod+other.Service+other.Workload+other.Node != ""
}

// rank orders the sightings of a flow by how good they are to tell.
func rank(f *dissect.Flow) int {
	switch {
	case f.Vantage == dissect.SideServer && f.Server.Identity != nil && f.Server.Pod != "":
		return 4
	case f.Vantage == dissect.SideServer:
		return 3
	case f.Vantage == dissect.SideClient && f.Client.Identity != nil && f.Client.Pod != "":
		return 2
	case f.Vantage == dissect.SideClient:
		return 1
	}
	return 0
}

// clientRank orders them by how near they are to the client: NAT makes a client's address
// another one on its way to the server, never back.
func clientRank(f, told *dissect.Flow) int {
	pod := f.Client.Identity != nil && f.Client.Pod != ""
	switch {
	case pod && f.Vantage == dissect.SideClient:
		return 3
	case pod:
		return 2
	case f.Client.Addr != told.Client.Addr:
		return 1
	}
	return 0
}

// compose makes one flow of its sightings, of which told is the best. client is the one at
// the client's end, nil if it was not seen there or if that is what is told.
func compose(told *dissect.Flow, all []*dissect.Flow) (f dissect.Flow, client *dissect.Flow) {
	f = *told
	if told.Vantage == dissect.SideClient {
		return f, nil
	}
	nearest := slices.MaxFunc(all, func(a, b *dissect.Flow) int {
		return cmp.Compare(clientRank(a, told), clientRank(b, told))
	})
	if clientRank(nearest, told) == 0 {
		nearest = told
	}
	for _, s := range all {
		if s.Vantage == dissect.SideClient && s.Client.Addr == nearest.Client.Addr && (client == nil || s == nearest) {
			client = s
		}
		if f.Protocol == nil {
			f.Protocol = s.Protocol
		}
	}
	if client != nil {
		f.Vantage = dissect.SideBoth
		nearest = client
	}
	if nearest.Client.Addr != f.Client.Addr || f.Client.Identity == nil {
		f.Client = nearest.Client
	}
	f.Server.Identity = askedFor(f.Server.Identity, nearest.Server.Identity)
	return f, client
}

// askedFor is who the server is, with the service that the client named.
func askedFor(server, named *dissect.Identity) *dissect.Identity {
	switch {
	case named == nil || named.Service == "":
		return server
	case server == nil:
		return named
	case server.Service == named.Service || server.Namespace != "" && server.Namespace != named.Namespace:
		return server
	}
	own := *server
	own.Service, own.Namespace = named.Service, named.Namespace
	return &own
}
