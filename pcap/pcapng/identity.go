package pcapng

import (
	"strconv"
	"strings"

	"github.com/sshark/sshark/pcap"
)

// ownerLabel is what stands before the device's name in if_name: the pod, else the node.
func ownerLabel(p pcap.Pod, node string) string {
	if s := p.String(); s != "" {
		return s
	}
	if p.UID != "" {
		return p.UID
	}
	return node
}

// interfaceName is the if_name of an interface: whose it is, and the device.
func interfaceName(i *pcap.Interface) string {
	if label := ownerLabel(i.Pod, i.Node); label != "" {
		return label + ":" + i.Name
	}
	return i.Name
}

// appendIdentity appends the pairs that name a pod and a node, "" if there are none.
func appendIdentity(dst []byte, pod pcap.Pod, node string) []byte {
	for _, kv := range [...][2]string{{"pod", pod.Name}, {"ns", pod.Namespace}, {"pod_uid", pod.UID}, {"node", node}} {
		if kv[1] == "" {
			continue
		}
		if len(dst) > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, kv[0]...)
		dst = append(dst, '=')
		if strings.IndexFunc(kv[1], func(r rune) bool { return r <= ' ' || r == '"' || r == '`' || r == 0x7f }) >= 0 {
			dst = strconv.AppendQuote(dst, kv[1])
		} else {
			dst = append(dst, kv[1]...)
		}
	}
	return dst
}

// parseIdentity reads what appendIdentity wrote; ok is false for any other text.
func parseIdentity(s string) (pod pcap.Pod, node string, ok bool) {
	for s != "" {
		key, rest, found := strings.Cut(s, "=")
		if !found || rest == "" {
			return pcap.Pod{}, "", false
		}
		var value string
		if rest[0] == '"' {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return pcap.Pod{}, "", false
			}
			value, _ = strconv.Unquote(quoted)
			rest = rest[len(quoted):]
			if rest != "" && rest[0] != ' ' {
				return pcap.Pod{}, "", false
			}
			s = strings.TrimPrefix(rest, " ")
		} else {
			value, s, _ = strings.Cut(rest, " ")
		}
		switch key {
		case "pod":
			pod.Name = value
		case "ns":
			pod.Namespace = value
		case "pod_uid":
			pod.UID = value
		case "node":
			node = value
		default:
			return pcap.Pod{}, "", false
		}
		ok = true
	}
	return pod, node, ok
}
