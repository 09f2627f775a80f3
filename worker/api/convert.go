// Package api is how a hub and its workers speak: the .proto, the code generated from it, and
// the conversion from and to the types of the project.
//
// Converted values share memory with what they were made from unless their comment says
// otherwise: send or copy them before a borrowed original is gone.
package api

import (
	"errors"
	"net/netip"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/worker/query"
)

//go:generate sh -c "protoc --plugin=protoc-gen-go=$(go tool -n protoc-gen-go) --plugin=protoc-gen-go-grpc=$(go tool -n protoc-gen-go-grpc) --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative worker.proto"

// FromRequest makes the message of a request.
func FromRequest(r *query.Request) *Request {
	return &Request{Since: r.Since, Until: r.Until, Filter: r.Filter, First: uint32(r.First), Last: uint32(r.Last),
		Follow: r.Follow, Vantage: uint32(r.Vantage), Bodies: uint32(r.Bodies), Stream: uint64(r.Stream), Hold: r.Hold,
		Access: &Access{Limited: r.Access.Limited, Namespaces: r.Access.Namespaces, Metadata: r.Access.Metadata, Payload: r.Access.Payload}}
}

// ToRequest is the request of a message.
func ToRequest(m *Request) *query.Request {
	return &query.Request{Since: m.Since, Until: m.Until, Filter: m.Filter, First: int(m.First), Last: int(m.Last),
		Follow: m.Follow, Vantage: query.Vantage(m.Vantage), Bodies: int(m.Bodies), Stream: flow.ID(m.Stream), Hold: m.Hold,
		Access: query.Access{Limited: m.GetAccess().GetLimited(), Namespaces: m.GetAccess().GetNamespaces(), Metadata: m.GetAccess().GetMetadata(), Payload: m.GetAccess().GetPayload()}}
}

func fromIdentity(i *dissect.Identity) *Identity {
	if i == nil {
		return nil
	}
	return &Identity{Namespace: i.Namespace, Pod: i.Pod, PodUid: i.PodUID, Service: i.Service, Workload: i.Workload,
		Kind: i.Kind, Node: i.Node, Dns: i.DNS, Labels: i.Labels, Annotations: i.Annotations}
}

func toIdentity(m *Identity) *dissect.Identity {
	if m == nil {
		return nil
	}
	return &dissect.Identity{Namespace: m.Namespace, Pod: m.Pod, PodUID: m.PodUid, Service: m.Service, Workload: m.Workload,
		Kind: m.Kind, Node: m.Node, DNS: m.Dns, Labels: m.Labels, Annotations: m.Annotations}
}

// FromPod makes the message of a pod.
func FromPod(p *identity.Pod) *Pod {
	m := &Pod{Identity: fromIdentity(p.Identity), HostNetwork: p.HostNetwork}
	for _, a := range p.Addrs {
		m.Ips = append(m.Ips, a.AsSlice())
	}
	return m
}

// ToPod is the pod of a message.
func ToPod(m *Pod) identity.Pod {
	p := identity.Pod{Identity: toIdentity(m.Identity), HostNetwork: m.HostNetwork}
	if p.Identity == nil {
		p.Identity = &dissect.Identity{}
	}
	for _, b := range m.Ips {
		if a, ok := netip.AddrFromSlice(b); ok {
			p.Addrs = append(p.Addrs, a)
		}
	}
	return p
}

// FromOwner makes the message of an address's owner since a time in ns.
func FromOwner(a netip.Addr, o identity.Owner, from int64) *Owner {
	m := &Owner{Ip: a.AsSlice(), Identity: fromIdentity(o.Identity), From: from}
	for port, id := range o.Ports {
		if m.Ports == nil {
			m.Ports = map[uint32]*Identity{}
		}
		m.Ports[uint32(port)] = fromIdentity(id)
	}
	return m
}

// ToOwner is the owner of a message, of which address, and since when.
func ToOwner(m *Owner) (a netip.Addr, o identity.Owner, from int64) {
	a, _ = netip.AddrFromSlice(m.Ip)
	o.Identity = toIdentity(m.Identity)
	for port, id := range m.Ports {
		if port > 0xffff || id == nil {
			continue
		}
		if o.Ports == nil {
			o.Ports = map[uint16]*dissect.Identity{}
		}
		o.Ports[uint16(port)] = toIdentity(id)
	}
	return a, o, m.From
}

func fromEndpoint(e *dissect.Endpoint) *Endpoint {
	return &Endpoint{Ip: e.Addr.Addr().AsSlice(), Port: uint32(e.Addr.Port()), Identity: fromIdentity(e.Identity)}
}

// Names are the identities that an answer has told so far, so that its flows share them: an
// answer tells who an address was with each flow, and a few of them may be of all flows. The
// zero value is ready. One goroutine uses it.
type Names struct {
	last map[netip.Addr]*dissect.Identity // what an address was called last
}

// maxNames is how many addresses are remembered.
const maxNames = 1 << 12

func (n *Names) identity(a netip.Addr, m *Identity) *dissect.Identity {
	id := toIdentity(m)
	if id == nil {
		return nil
	}
	if last := n.last[a]; identity.Equal(last, id) {
		return last
	}
	if n.last == nil || len(n.last) >= maxNames {
		n.last = map[netip.Addr]*dissect.Identity{}
	}
	n.last[a] = id
	return id
}

func (n *Names) endpoint(m *Endpoint) dissect.Endpoint {
	addr, _ := netip.AddrFromSlice(m.GetIp())
	return dissect.Endpoint{Addr: netip.AddrPortFrom(addr, uint16(m.GetPort())), Identity: n.identity(addr, m.GetIdentity())}
}

// FromFlow makes the message of a flow.
func FromFlow(f *dissect.Flow) *Flow {
	m := &Flow{Id: uint64(f.ID), Node: f.Node, Transport: uint32(f.Transport), Client: fromEndpoint(&f.Client), Server: fromEndpoint(&f.Server),
		Vantage: uint32(f.Vantage), First: f.First, Last: f.Last, PacketsOut: f.Packets[0], PacketsIn: f.Packets[1],
		BytesOut: f.Bytes[0], BytesIn: f.Bytes[1], PayloadOut: f.Payload[0], PayloadIn: f.Payload[1],
		LostOut: f.Lost[0], LostIn: f.Lost[1], State: uint32(f.State), Opening: f.Opening}
	if f.Protocol != nil {
		m.Protocol = f.Protocol.Name
	}
	return m
}

// FromEnds makes the message of what no longer changes in a flow that is still dissected.
func FromEnds(f *dissect.Flow) *Flow {
	return &Flow{Id: uint64(f.ID), Node: f.Node, Transport: uint32(f.Transport), Client: fromEndpoint(&f.Client),
		Server: fromEndpoint(&f.Server), Vantage: uint32(f.Vantage), First: f.First, Opening: f.Opening}
}

// ToFlow is the flow of a message, whose ends share what names has of them. Values that this
// version does not know become "unknown".
func ToFlow(m *Flow, protocols map[string]*dissect.Protocol, names *Names) *dissect.Flow {
	f := &dissect.Flow{ID: flow.ID(m.Id), Node: m.Node, Transport: flow.Proto(m.Transport), Client: names.endpoint(m.Client), Server: names.endpoint(m.Server),
		First: m.First, Last: m.Last, Packets: [2]uint64{m.PacketsOut, m.PacketsIn}, Bytes: [2]uint64{m.BytesOut, m.BytesIn},
		Payload: [2]uint64{m.PayloadOut, m.PayloadIn}, Lost: [2]uint64{m.LostOut, m.LostIn}, Opening: m.Opening, Protocol: protocols[m.Protocol]}
	if m.Vantage <= uint32(dissect.SideBoth) {
		f.Vantage = dissect.Side(m.Vantage)
	}
	if m.State <= uint32(dissect.Reset) {
		f.State = dissect.State(m.State)
	}
	return f
}

func fromBody(b *dissect.Body) *Body {
	if b == nil {
		return nil
	}
	m := &Body{Type: b.Type, Encoding: b.Encoding, Data: b.Data, Size: b.Size, Truncated: b.Truncated}
	if b.Err != nil {
		m.Error = b.Err.Error()
	}
	return m
}

func toBody(m *Body) *dissect.Body {
	if m == nil {
		return nil
	}
	b := &dissect.Body{Type: m.Type, Encoding: m.Encoding, Data: m.Data, Size: m.Size, Truncated: m.Truncated}
	if m.Error != "" {
		b.Err = errors.New(m.Error)
	}
	return b
}

func fromSighting(s *dissect.Sighting) *Sighting {
	if s == nil {
		return nil
	}
	return &Sighting{Node: s.Node, Time: s.Time, RequestEnd: s.RequestEnd, ResponseStart: s.ResponseStart, ResponseEnd: s.ResponseEnd}
}

func toSighting(m *Sighting) *dissect.Sighting {
	if m == nil {
		return nil
	}
	return &dissect.Sighting{Node: m.Node, Time: m.Time, RequestEnd: m.RequestEnd, ResponseStart: m.ResponseStart, ResponseEnd: m.ResponseEnd}
}

// FromCall makes the message of a call; flow is the flow's index in the answer.
func FromCall(c *dissect.Call, flow uint32) *Call {
	return &Call{Flow: flow, Protocol: c.Protocol.Name, Seq: c.Seq, Reverse: c.Reverse, Time: c.Time, RequestEnd: c.RequestEnd,
		ResponseStart: c.ResponseStart, ResponseEnd: c.ResponseEnd, RequestSize: c.RequestSize, ResponseSize: c.ResponseSize,
		Error: c.Error, Incomplete: c.Incomplete, Summary: c.Message.AppendSummary(nil), Status: c.Message.AppendStatus(nil),
		Fields: c.Message.AppendFields(nil), RequestBody: fromBody(c.Message.Body(0)), ResponseBody: fromBody(c.Message.Body(1)), Client: fromSighting(c.Client)}
}

// ToCall is the call of a message.
func ToCall(m *Call, f *dissect.Flow, p *dissect.Protocol) *dissect.Call {
	return &dissect.Call{Flow: f, Protocol: p, Seq: m.Seq, Reverse: m.Reverse, Time: m.Time, RequestEnd: m.RequestEnd,
		ResponseStart: m.ResponseStart, ResponseEnd: m.ResponseEnd, RequestSize: m.RequestSize, ResponseSize: m.ResponseSize,
		Error: m.Error, Incomplete: m.Incomplete, Client: toSighting(m.Client),
		Message: &query.Kept{Summary: m.Summary, Status: m.Status, Fields: m.Fields,
			Bodies: [2]*dissect.Body{toBody(m.RequestBody), toBody(m.ResponseBody)}}}
}

// FromReport makes the message of a report, which may be nil.
func FromReport(r *query.Report) *Report {
	m := &Report{}
	if r == nil {
		return m
	}
	for i := range r.Nodes {
		n := &r.Nodes[i]
		m.Nodes = append(m.Nodes, &NodeReport{Node: n.Node, Missing: n.Missing, Oldest: n.Oldest, Newest: n.Newest,
			Matched: n.Matched, More: n.More, Dropped: n.Dropped, Lagged: n.Lagged, Gone: uint32(n.Gone), Notes: n.Notes})
	}
	return m
}

// ToReport is the report of a message.
func ToReport(m *Report) *query.Report {
	r := &query.Report{}
	for _, n := range m.GetNodes() {
		r.Nodes = append(r.Nodes, query.NodeReport{Node: n.Node, Missing: n.Missing, Oldest: n.Oldest, Newest: n.Newest,
			Matched: n.Matched, More: n.More, Dropped: n.Dropped, Lagged: n.Lagged, Gone: int(n.Gone), Notes: n.Notes})
	}
	return r
}

func fromStats(s pcap.Stats) *Stats {
	return &Stats{Seen: s.Seen, Stored: s.Stored, Dropped: s.Dropped, Filtered: s.Filtered, Bytes: s.Bytes}
}

func toStats(m *Stats) pcap.Stats {
	return pcap.Stats{Seen: m.GetSeen(), Stored: m.GetStored(), Dropped: m.GetDropped(), Filtered: m.GetFiltered(), Bytes: m.GetBytes()}
}

// FromNode makes the message of a node's state.
func FromNode(n *query.Node) *Node {
	m := &Node{Name: n.Name, State: n.State, Problem: n.Problem, Time: n.Time, Stats: fromStats(n.Stats), PacketRate: n.PacketRate,
		ByteRate: n.ByteRate, DropRate: n.DropRate, QueueDrops: n.QueueDrops, DiskDrops: n.DiskDrops, Oldest: n.Oldest, Newest: n.Newest,
		StoreUsed: n.StoreUsed, StoreLimit: n.StoreLimit, Segments: uint32(n.Segments), Queries: uint32(n.Queries),
		Version: n.Version, Kernel: n.Kernel}
	for i := range n.Pods {
		p := &n.Pods[i]
		m.Pods = append(m.Pods, &PodState{Namespace: p.Pod.Namespace, Name: p.Pod.Name, Uid: p.Pod.UID, Interfaces: p.Interfaces,
			Problem: p.Problem, Stats: fromStats(p.Stats), Off: p.Off})
	}
	return m
}

// ToNode is the node's state of a message.
func ToNode(m *Node) query.Node {
	n := query.Node{Name: m.Name, State: m.State, Problem: m.Problem, Time: m.Time, Stats: toStats(m.Stats), PacketRate: m.PacketRate,
		ByteRate: m.ByteRate, DropRate: m.DropRate, QueueDrops: m.QueueDrops, DiskDrops: m.DiskDrops, Oldest: m.Oldest, Newest: m.Newest,
		StoreUsed: m.StoreUsed, StoreLimit: m.StoreLimit, Segments: int(m.Segments), Queries: int(m.Queries),
		Version: m.Version, Kernel: m.Kernel}
	for _, p := range m.Pods {
		n.Pods = append(n.Pods, query.PodState{Pod: pcap.Pod{Namespace: p.Namespace, Name: p.Name, UID: p.Uid}, Interfaces: p.Interfaces,
			Problem: p.Problem, Stats: toStats(p.Stats), Off: p.Off})
	}
	return n
}
