package filter

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

var unixEpoch = time.Unix(0, 0).UTC()

// The kinds that protocols' fields have too.
const (
	str   = kind(dissect.String)
	num   = kind(dissect.Int)
	yes   = kind(dissect.Bool)
	strs  = kind(dissect.Strings)
	dict  = kind(dissect.Map)
	octet = kind(dissect.Bytes)
)

// declare fills the table: the base fields, the protocols' own, those of KFL2 whose protocol
// does not declare them (yet), and a flag for each protocol.
func (l *Language) declare(protocols []*dissect.Protocol) error {
	for _, f := range baseFields() {
		l.add(f)
	}
	for _, p := range protocols {
		for i := range p.Fields {
			if err := l.addProtocolField(p, &p.Fields[i]); err != nil {
				return err
			}
		}
	}
	for i := range kflFields {
		if err := l.addKFL(&kflFields[i], protocols); err != nil {
			return err
		}
	}
	return l.addFlags(protocols)
}

func (l *Language) add(f *field) { l.fields[f.name] = f }

func (l *Language) addProtocolField(p *dissect.Protocol, pf *dissect.Field) error {
	if why, ok := refused[pf.Name]; ok {
		return fmt.Errorf("protocol %s, field %s: refused by the filter language: %s", p.Name, pf.Name, why)
	}
	f := l.fields[pf.Name]
	switch {
	case f == nil:
		f = &field{name: pf.Name, kind: kind(pf.Kind), help: pf.Help, example: pf.Example, scope: scopeCall, bound: true, said: true}
		l.add(f)
	case len(f.impls) == 0:
		return fmt.Errorf("protocol %s, field %s: every call has a field of that name", p.Name, pf.Name)
	case f.kind != kind(pf.Kind):
		return fmt.Errorf("protocol %s, field %s: its kind is not that which protocol %s declared",
			p.Name, pf.Name, f.impls[0].protocol.Name)
	}
	f.implement(p, pf)
	return nil
}

func (f *field) implement(p *dissect.Protocol, pf *dissect.Field) {
	f.impls = append(f.impls, impl{p, pf.Name, pf.Get})
	f.transports.addAll(p)
	if !slices.Contains(f.owners, p.Name) {
		f.owners = append(f.owners, p.Name)
	}
}

// text is a string value, not known if empty.
func text(s string) ref.Val {
	if s == "" {
		return nil
	}
	return types.String(s)
}

func number[N int64 | uint64 | uint32 | uint16](n N) ref.Val { return types.Int(n) }

// truth is true or not known, so that has() of a flag is the flag.
func truth(b bool) ref.Val {
	if !b {
		return nil
	}
	return types.True
}

func list(s ...string) ref.Val {
	out := s[:0]
	for _, x := range s {
		if x != "" && !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return newList(out)
}

func dictOf(m map[string]string) ref.Val {
	if len(m) == 0 {
		return nil
	}
	return &mapVal{m: m}
}

var noIdentity dissect.Identity

// who is an end's identity, never nil.
func who(e *dissect.Endpoint) *dissect.Identity {
	if e.Identity == nil {
		return &noIdentity
	}
	return e.Identity
}

func address(a netip.Addr) ref.Val {
	if !a.IsValid() {
		return nil
	}
	return types.String(a.Unmap().String())
}

// name is an end's best name.
func name(e *dissect.Endpoint) ref.Val {
	if n := who(e).Name(); n != "" {
		return types.String(n)
	}
	return address(e.Addr.Addr())
}

func ifSet(cond, s string) ref.Val {
	if cond == "" {
		return nil
	}
	return text(s)
}

// endFields are the fields that both ends have, as src.… and dst.….
var endFields = []struct {
	name, help, example string
	kind                kind
	get                 func(*dissect.Endpoint) ref.Val
}{
	{"ip", "address", `"10.0.0.1"`, str, func(e *dissect.Endpoint) ref.Val { return address(e.Addr.Addr()) }},
	{"port", "port, 0 where there is none", "443", num, func(e *dissect.Endpoint) ref.Val {
		if e.Addr.Port() == 0 {
			return nil
		}
		return number(e.Addr.Port())
	}},
	{"name", "best name: service, else pod or workload, else DNS name, else address", `"cart"`, str, name},
	{"namespace", "namespace", `"shop"`, str, func(e *dissect.Endpoint) ref.Val { return text(who(e).Namespace) }},
	{"dns", "DNS name that was asked for", `"db.example.com"`, str, func(e *dissect.Endpoint) ref.Val { return text(who(e).DNS) }},
	{"pod.name", "pod", `"cart-0"`, str, func(e *dissect.Endpoint) ref.Val { return text(who(e).Pod) }},
	{"pod.namespace", "namespace of the pod", `"shop"`, str, func(e *dissect.Endpoint) ref.Val { return ifSet(who(e).Pod, who(e).Namespace) }},
	{"service.name", "service", `"cart"`, str, func(e *dissect.Endpoint) ref.Val { return text(who(e).Service) }},
	{"service.namespace", "namespace of the service", `"shop"`, str, func(e *dissect.Endpoint) ref.Val { return ifSet(who(e).Service, who(e).Namespace) }},
	{"workload", "workload (deployment, stateful set, …)", `"cart"`, str, func(e *dissect.Endpoint) ref.Val { return text(who(e).Workload) }},
	{"node", "node that it runs on", `"node-a"`, str, func(e *dissect.Endpoint) ref.Val { return text(who(e).Node) }},
	{"labels", "labels of the pod", `"app"`, dict, func(e *dissect.Endpoint) ref.Val { return dictOf(who(e).Labels) }},
}

// baseFields are the fields that do not depend on a protocol.
func baseFields() []*field {
	var out []*field
	add := func(sc scope, k kind, name, help, example string, get func(*subject) ref.Val) *field {
		f := &field{name: name, kind: k, help: help, example: example, scope: sc, get: get}
		out = append(out, f)
		return f
	}
	for _, e := range endFields {
		get := e.get
		add(scopeEnds, e.kind, "src."+e.name, "client: "+e.help, e.example,
			func(s *subject) ref.Val { return get(s.src) }).directed = true
		add(scopeEnds, e.kind, "dst."+e.name, "server: "+e.help, e.example,
			func(s *subject) ref.Val { return get(s.dst) }).directed = true
	}
	both := func(name, help, example string, get func(*dissect.Identity) string) {
		add(scopeEnds, strs, name, help+", of both ends", example,
			func(s *subject) ref.Val { return list(get(who(s.local)), get(who(s.remote))) })
	}
	both("namespaces", "namespaces", `"shop"`, func(i *dissect.Identity) string { return i.Namespace })
	both("pods", "pods", `"cart-0"`, func(i *dissect.Identity) string { return i.Pod })
	both("services", "services", `"cart"`, func(i *dissect.Identity) string { return i.Service })
	both("dns_resolutions", "DNS names", `"db.example.com"`, func(i *dissect.Identity) string { return i.DNS })

	side := func(prefix, help string, end func(*subject) *dissect.Endpoint) {
		add(scopeEnds, dict, prefix+"_labels", "labels of the "+help, `"app"`,
			func(s *subject) ref.Val { return dictOf(who(end(s)).Labels) })
		add(scopeEnds, dict, prefix+"_annotations", "annotations of the "+help, `"team"`,
			func(s *subject) ref.Val { return dictOf(who(end(s)).Annotations) })
		add(scopeEnds, str, prefix+"_resolution_status", `"" if it is known who the `+help+` is, else "unresolved"`, `"unresolved"`,
			func(s *subject) ref.Val {
				if who(end(s)).Name() != "" {
					return nil
				}
				return types.String("unresolved")
			})
		add(scopeEnds, str, prefix+"_node_name", "node of the "+help, `"node-a"`, func(s *subject) ref.Val {
			e := end(s)
			if n := who(e).Node; n != "" || e != s.local || s.flow.Vantage == dissect.SideUnknown {
				return text(n)
			}
			return text(s.flow.Node)
		})
	}
	side("local", "end where it was captured", func(s *subject) *dissect.Endpoint { return s.local })
	side("remote", "other end than where it was captured", func(s *subject) *dissect.Endpoint { return s.remote })

	node := func(s *subject) ref.Val { return text(s.flow.Node) }
	add(scopeEnds, dict, "node", "node that captured it: its name and ip", `"name"`, func(s *subject) ref.Val {
		m := make(map[string]string, 2)
		if s.flow.Node != "" {
			m["name"] = s.flow.Node
		}
		if s.flow.NodeIP.IsValid() {
			m["ip"] = s.flow.NodeIP.String()
		}
		return dictOf(m)
	})
	for _, n := range []string{"node_name", "node_id", "worker"} {
		add(scopeEnds, str, n, "node that captured it", `"node-a"`, node)
	}
	add(scopeEnds, str, "node_ip", "address of the node that captured it", `"10.0.0.1"`,
		func(s *subject) ref.Val { return address(s.flow.NodeIP) })
	add(scopeEnds, yes, "has_pcap", "its packets are kept (always)", "", func(*subject) ref.Val { return types.True })
	for _, n := range []string{"conn_id", "flow_id"} {
		add(scopeTime, num, n, "ID of the flow, as a number", "", func(s *subject) ref.Val { return number(int64(s.flow.ID)) })
	}
	add(scopeTime, str, "stream", "ID of the flow", `"0123456789abc"`, func(s *subject) ref.Val {
		if s.flow.ID == 0 {
			return nil
		}
		return types.String(s.flow.ID.String())
	})
	add(scopeTime, num, "id", "ID of the call, or of the flow", "", func(s *subject) ref.Val {
		if s.call == nil {
			return number(int64(s.flow.ID))
		}
		if s.call.Flow == nil {
			return nil
		}
		return number(s.call.ID())
	})
	add(scopeTime, num, "index", "tells calls of a flow apart that began at the same time, from 0", "1", func(s *subject) ref.Val {
		if s.call == nil {
			return nil
		}
		return number(s.call.Seq)
	})
	for _, n := range []string{"timestamp", "time"} {
		add(scopeTime, kindTimestamp, n, "time of the call's first byte, or of the flow's first packet", "", func(s *subject) ref.Val {
			t := s.flow.First
			if s.call != nil {
				t = s.call.Time
			}
			if t == 0 {
				return nil
			}
			return types.Timestamp{Time: time.Unix(0, t).UTC()}
		})
	}
	callFields(add)
	flowFields(add)
	ownFlowFields(add)
	transportFlags(add)
	return out
}

type adder func(sc scope, k kind, name, help, example string, get func(*subject) ref.Val) *field

// callFields are those of every call.
func callFields(add adder) {
	duration := func(ns int64, ok bool) ref.Val {
		if !ok {
			return nil
		}
		return types.Duration{Duration: time.Duration(ns)}
	}
	add(scopeDetect, str, "protocol", "name of the protocol", `"http"`, func(s *subject) ref.Val { return text(s.protocolName()) })
	add(scopeCall, num, "elapsed_time", "microseconds from the end of the request to the start of the response", "1000",
		func(s *subject) ref.Val {
			ns, ok := s.call.Elapsed()
			if !ok {
				return nil
			}
			return number(ns / 1000)
		})
	add(scopeCall, kindDuration, "latency", "from the end of the request to the start of the response", "",
		func(s *subject) ref.Val { return duration(s.call.Elapsed()) })
	add(scopeCall, kindDuration, "duration", "from the start of the request to the end of the response", "",
		func(s *subject) ref.Val { return duration(s.call.Duration()) })
	add(scopeCall, num, "duration_us", "microseconds from the start of the request to the end of the response", "1000",
		func(s *subject) ref.Val {
			ns, ok := s.call.Duration()
			if !ok {
				return nil
			}
			return number(ns / 1000)
		})
	add(scopeCall, yes, "error", "the protocol calls it an error", "", func(s *subject) ref.Val { return types.Bool(s.call.Error) })
	add(scopeCall, yes, "incomplete", "bytes of it are missing", "", func(s *subject) ref.Val { return types.Bool(s.call.Incomplete) })
	add(scopeCall, str, "summary", "what was asked, in one line", `"GET /cart"`, summary).said = true
	add(scopeCall, num, "size", "bytes of request and response on the wire", "1000",
		func(s *subject) ref.Val { return number(s.call.RequestSize + s.call.ResponseSize) })
	add(scopeBody, kindBody, "body", "the bodies of request and response: true of either", "", func(s *subject) ref.Val {
		b := &bodies{[2][]byte{data(s.call.Message, 0), data(s.call.Message, 1)}}
		if b.part[0] == nil && b.part[1] == nil {
			return nil
		}
		return b
	}).said = true
	for part, n := range []string{"request.body", "response.body"} {
		add(scopeBody, str, n, "body of the "+n[:strings.IndexByte(n, '.')]+", decoded", `"pong"`,
			func(s *subject) ref.Val { return text(string(data(s.call.Message, part))) }).said = true
	}
}

func summary(s *subject) ref.Val {
	if s.call.Message == nil {
		return nil
	}
	var buf [128]byte
	return text(string(s.call.Message.AppendSummary(buf[:0])))
}

// flowFields are those of a whole flow, under KFL2's two prefixes.
func flowFields(add adder) {
	for _, p := range []string{"conn", "flow"} {
		add(scopeFlow, yes, p, "it is a flow, not a call", "", func(*subject) ref.Val { return types.True })
		for _, t := range []flow.Proto{flow.TCP, flow.UDP} {
			f := add(scopeFlow, yes, t.String()+"_"+p, "it is a "+strings.ToUpper(t.String())+" flow, not a call", "",
				func(s *subject) ref.Val { return truth(s.flow.Transport == t) })
			f.bound = true
			f.transports.add(t)
		}
		add(scopeFlow, str, p+"_state", "open, in_progress or closed", `"open"`,
			func(s *subject) ref.Val { return types.String(s.flow.State.String()) })
		add(scopeFlow, num, p+"_group_id", "same for all flows between two addresses to one port", "",
			func(s *subject) ref.Val { return number(int64(group(s.flow))) })
		add(scopeFlow, strs, p+"_l7_detected", "protocols that were found in the flow, in capitals", `"HTTP"`,
			func(s *subject) ref.Val { return list(titles(s.flow.Protocol)...) }).detected = true
		for _, side := range []string{"local", "remote"} {
			remote := side == "remote"
			end := map[bool]string{false: "the end where it was captured", true: "the other end"}[remote]
			add(scopeFlow, num, p+"_"+side+"_pkts", "packets that "+end+" sent", "10",
				func(s *subject) ref.Val { return number(s.flow.Packets[s.dir(remote)]) })
			add(scopeFlow, num, p+"_"+side+"_bytes", "bytes on the wire that "+end+" sent", "1000",
				func(s *subject) ref.Val { return number(s.flow.Bytes[s.dir(remote)]) })
			if p == "flow" {
				add(scopeFlow, num, "flow_"+side+"_pps", "packets a second that "+end+" sent", "10",
					func(s *subject) ref.Val { return s.rate(s.flow.Packets[s.dir(remote)]) })
				add(scopeFlow, num, "flow_"+side+"_bps", "bytes a second that "+end+" sent", "1000",
					func(s *subject) ref.Val { return s.rate(s.flow.Bytes[s.dir(remote)]) })
			}
		}
	}
}

// ownFlowFields are those that are named as the JSON of a flow has them.
func ownFlowFields(add adder) {
	add(scopeFlow, kindTimestamp, "end", "time of the flow's last packet", "", func(s *subject) ref.Val {
		if s.flow.Last == 0 {
			return nil
		}
		return types.Timestamp{Time: time.Unix(0, s.flow.Last).UTC()}
	})
	add(scopeFlow, num, "packets", "packets of the flow", "10", func(s *subject) ref.Val { return number(s.flow.Packets[0] + s.flow.Packets[1]) })
	add(scopeFlow, num, "bytes", "bytes of the flow on the wire", "1000", func(s *subject) ref.Val { return number(s.flow.Bytes[0] + s.flow.Bytes[1]) })
	add(scopeFlow, num, "lost_bytes", "bytes of the flow that were not captured", "1000", func(s *subject) ref.Val { return number(s.flow.Lost[0] + s.flow.Lost[1]) })
	add(scopeFlow, yes, "reset", "the flow was reset by one of its ends", "", func(s *subject) ref.Val { return types.Bool(s.flow.State == dissect.Reset) })
}

// dir is the direction in which the local or the remote end sends: 0 is the client's.
func (s *subject) dir(remote bool) flow.Dir {
	if (s.local == &s.flow.Client) != remote {
		return 0
	}
	return 1
}

// rate is n per second of the flow's life; a flow of one packet has none.
func (s *subject) rate(n uint64) ref.Val {
	d := s.flow.Last - s.flow.First
	if d <= 0 {
		return nil
	}
	return number(int64(float64(n) / (float64(d) / 1e9)))
}

// group is a hash of what flows of one client to one port of a server share (FNV-1a), 52 bits.
func group(f *dissect.Flow) uint64 {
	h := uint64(14695981039346656037)
	mix := func(b byte) { h = (h ^ uint64(b)) * 1099511628211 }
	for _, e := range []*dissect.Endpoint{&f.Client, &f.Server} {
		for _, b := range e.Addr.Addr().As16() {
			mix(b)
		}
	}
	mix(byte(f.Server.Addr.Port() >> 8))
	mix(byte(f.Server.Addr.Port()))
	mix(byte(f.Transport))
	return h >> 12
}

// titles are the names a protocol has in flow_l7_detected: in capitals, with HTTP for all that
// is carried in it.
func titles(p *dissect.Protocol) []string {
	if p == nil {
		return nil
	}
	t := []string{strings.ToUpper(p.Name), p.Title}
	if p.Name == "tlsx" {
		t[0] = "TLS"
	}
	if isHTTP(p.Name) {
		t = append(t, "HTTP")
	}
	return t
}

// transportFlags tell what carries a call or a flow.
func transportFlags(add adder) {
	for _, t := range []flow.Proto{flow.TCP, flow.UDP, flow.SCTP} {
		add(scopeEnds, yes, t.String(), "carried by "+strings.ToUpper(t.String()), "",
			func(s *subject) ref.Val { return truth(s.flow.Transport == t) })
	}
	add(scopeEnds, yes, "icmp", "it is ICMP, of IPv4 or IPv6", "", func(s *subject) ref.Val {
		return truth(s.flow.Transport == flow.ICMP || s.flow.Transport == flow.ICMPv6)
	})
}
