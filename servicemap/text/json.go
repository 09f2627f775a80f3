package text

import (
	"strconv"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap"
)

// AppendEdge appends edge i of a map as one JSON object, without a line's end:
//
//	src dst               name kind namespace members, and the name again by what it is:
//	                      workload, service, pod, node, dns or ip
//	protocol protocols    the main one; all of them, if there are several
//	transport port        port of the server, left out where there are several
//	flows packets bytes
//	calls errors          where calls are known
//	elapsed_time          p50 p90 p99 of calls that were answered, microseconds
func AppendEdge(dst []byte, m *servicemap.Map, i int) []byte {
	e := &m.Edges[i]
	dst = append(dst, `{"src":`...)
	dst = appendNode(dst, &m.Nodes[e.From])
	dst = append(dst, `,"dst":`...)
	dst = appendNode(dst, &m.Nodes[e.To])
	if e.Protocol != "" {
		dst = dissect.AppendString(dissect.AppendKey(dst, "protocol"), e.Protocol)
	}
	if len(e.Protocols) > 0 {
		dst = dissect.AppendStrings(dissect.AppendKey(dst, "protocols"), e.Protocols)
	}
	dst = dissect.AppendString(dissect.AppendKey(dst, "transport"), e.Transport.String())
	if e.Port != 0 {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "port"), uint64(e.Port), 10)
	}
	dst = strconv.AppendUint(dissect.AppendKey(dst, "flows"), e.Flows, 10)
	dst = strconv.AppendUint(dissect.AppendKey(dst, "packets"), e.Packets, 10)
	dst = strconv.AppendUint(dissect.AppendKey(dst, "bytes"), e.Bytes, 10)
	if e.Calls > 0 {
		dst = strconv.AppendUint(dissect.AppendKey(dst, "calls"), e.Calls, 10)
		dst = strconv.AppendUint(dissect.AppendKey(dst, "errors"), e.Errors, 10)
	}
	if e.Latency.Count() > 0 {
		dst = append(dissect.AppendKey(dst, "elapsed_time"), '{')
		for n, q := range []struct {
			name string
			part float64
		}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}} {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(append(dst, '"'), q.name...), `":`...)
			dst = strconv.AppendInt(dst, e.Latency.Quantile(q.part)/1000, 10)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func appendNode(dst []byte, n *servicemap.Node) []byte {
	dst = append(dst, `{"name":`...)
	dst = dissect.AppendString(dst, n.Name)
	dst = dissect.AppendString(dissect.AppendKey(dst, "kind"), n.Kind)
	if n.Namespace != "" {
		dst = dissect.AppendString(dissect.AppendKey(dst, "namespace"), n.Namespace)
	}
	switch key := n.Key(); key {
	case "":
	case "pod", "service": // objects, as in a call
		dst = append(dissect.AppendKey(dst, key), `{"name":`...)
		dst = dissect.AppendString(dst, n.Name)
		if n.Namespace != "" {
			dst = dissect.AppendString(dissect.AppendKey(dst, "namespace"), n.Namespace)
		}
		dst = append(dst, '}')
	default:
		dst = dissect.AppendString(dissect.AppendKey(dst, key), n.Name)
	}
	if n.Members > 0 {
		dst = strconv.AppendInt(dissect.AppendKey(dst, "members"), int64(n.Members), 10)
	}
	return append(dst, '}')
}
