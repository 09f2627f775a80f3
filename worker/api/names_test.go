package api

import (
	"encoding/binary"
	"testing"
)

// The flows of an answer share the identities that are the same, and no others.
func TestNames(t *testing.T) {
	var names Names
	end := func(host uint32, pod, label string) *Endpoint {
		ip := binary.BigEndian.AppendUint32(nil, host)
		return &Endpoint{Ip: ip, Port: 80, Identity: &Identity{Pod: pod, Labels: map[string]string{"app": label}}}
	}
	told := func(client, server *Endpoint) (c, s any) {
		f := ToFlow(&Flow{Client: client, Server: server}, nil, &names)
		return f.Client.Identity, f.Server.Identity
	}
	client, server := told(end(1, "gateway", "a"), end(2, "cart", "a"))
	if c, s := told(end(1, "gateway", "a"), end(2, "cart", "a")); c != client || s != server || c == s {
		t.Error("the same identity is kept twice")
	}
	if c, _ := told(end(1, "gateway", "b"), end(2, "cart", "a")); c == client {
		t.Error("another label is not told")
	}
	if f := ToFlow(&Flow{Client: &Endpoint{Ip: []byte{10, 0, 0, 1}}}, nil, &names); f.Client.Identity != nil || f.Server.Identity != nil {
		t.Error("nobody has become somebody")
	}
	for i := range uint32(3 * maxNames) {
		told(end(i, "p", ""), end(i+1, "q", ""))
		if len(names.last) > maxNames {
			t.Fatalf("%d addresses are remembered", len(names.last))
		}
	}
}
