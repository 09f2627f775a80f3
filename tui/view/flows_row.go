package view

import (
	"cmp"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/tui/component"
	"github.com/sshark/sshark/tui/style"
)

// flowRow is one flow in the list.
type flowRow struct {
	flow   dissect.Flow
	client peer
	server peer
	proto  style.Text
}

func newFlowRow(f *dissect.Flow) *flowRow {
	r := &flowRow{flow: *f, client: newPeer(&f.Client), server: newPeer(&f.Server), proto: style.Text(f.Transport.String())}
	if f.Protocol != nil {
		r.proto += " " + style.Clean(f.Protocol.Name)
	}
	return r
}

// flowCount is the beginning of a flow on the chart. A reset is an error there.
func flowCount(f *dissect.Flow) component.Count {
	n := component.Count{All: 1}
	if f.State == dissect.Reset {
		n.Errors = 1
	}
	return n
}

// state says how far a flow has come, also how it ended.
func (r *flowRow) state() style.Text {
	tcp := r.flow.Transport == flow.TCP
	switch s := r.flow.State; {
	case s == dissect.Reset:
		return "reset"
	case s == dissect.Closed && tcp:
		return "closed"
	case s == dissect.Closed:
		return "idle"
	case s == dissect.Open && tcp:
		return "opening"
	}
	return "open"
}

func (r *flowRow) packets() uint64 { return r.flow.Packets[0] + r.flow.Packets[1] }
func (r *flowRow) bytes() uint64   { return r.flow.Bytes[0] + r.flow.Bytes[1] }
func (r *flowRow) lost() uint64    { return r.flow.Lost[0] + r.flow.Lost[1] }
func (r *flowRow) lasted() int64   { return r.flow.Last - r.flow.First }

func (r *flowRow) ref() Ref { return Ref{Stream: r.flow.ID.String(), Node: r.flow.Node} }

// line is the row as text, to be copied.
func (r *flowRow) line(loc *time.Location) string {
	return time.Unix(0, r.flow.First).In(loc).Format("2006-01-02T15:04:05.000000Z07:00") + "  " + string(r.client.full) + " → " + string(r.server.full) + "  " +
		string(r.proto) + "  " + string(r.state()) + "  " + group(r.packets()) + " packets  " + component.Bytes(r.bytes()) + "  " + r.flow.ID.String()
}

// The columns of the list of flows.
const (
	flowTime = iota
	flowClient
	flowServer
	flowProto
	flowState
	flowPackets
	flowSent
	flowReceived
	flowLost
	flowLasted
)

var flowColumns = [...]string{"time", "source", "destination", "protocol", "state", "packets", "bytes", "bytes", "lost bytes", "duration"}

// flowSorts are the columns that the letters of keys.Flows.Sort sort by.
var flowSorts = map[string]int{"T": flowTime, "S": flowClient, "D": flowServer, "P": flowProto, "A": flowState, "E": flowPackets,
	"B": flowSent, "O": flowLost, "U": flowLasted}

// compareFlows orders flows by a column.
func compareFlows(col int, a, b *flowRow) int {
	switch col {
	case flowClient:
		return cmp.Compare(a.client.full, b.client.full)
	case flowServer:
		return cmp.Compare(a.server.full, b.server.full)
	case flowProto:
		return cmp.Compare(a.proto, b.proto)
	case flowState:
		return cmp.Compare(a.state(), b.state())
	case flowPackets:
		return cmp.Compare(a.packets(), b.packets())
	case flowSent, flowReceived:
		return cmp.Compare(a.bytes(), b.bytes())
	case flowLost:
		return cmp.Compare(a.lost(), b.lost())
	case flowLasted:
		return cmp.Compare(a.lasted(), b.lasted())
	}
	return 0
}

// flowFilter is the filter that selects flows like r in a column; why says why there is none.
func flowFilter(r *flowRow, col int) (filter, why string) {
	switch col {
	case flowTime:
		return timeFilter(r.flow.First), ""
	case flowClient:
		return endpointFilter("src", &r.client), ""
	case flowServer:
		return endpointFilter("dst", &r.server), ""
	case flowProto:
		if r.flow.Protocol != nil {
			return protocolFilter(r.flow.Protocol.Name), ""
		}
		switch r.flow.Transport {
		case flow.TCP, flow.UDP:
			return r.flow.Transport.String() + "_flow", ""
		}
		return "", "no protocol was found in this flow"
	case flowState:
		if r.flow.State == dissect.Reset {
			return "", "a reset flow is a closed one for filters: A sorts by state"
		}
		return "flow_state == " + dissect.Quote(r.flow.State.String()), ""
	}
	return "", "no field of the filter holds this column: shift-letter sorts by it"
}
