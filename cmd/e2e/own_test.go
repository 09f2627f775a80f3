package main_test

import "testing"

// testOwnTraffic: what an operator is shown is not captured in turn, whichever way it goes.
// If it was, following packets would never end.
func (s *suite) testOwnTraffic(t *testing.T) {
	stored := func() (bytes uint64) {
		for _, n := range objects[captured](t, s.console.ask(t, "nodes", "-o", "json")) {
			bytes += n.Bytes
		}
		return bytes
	}
	for name, c := range map[string]*console{
		"through kubectl exec":   s.byProxy(s.dir, s.operator),
		"through the hub's node": s.console,
		"through another node":   s.byPort(s.dir, s.operator, s.nodes[1].addr, s.port),
	} {
		t.Run(name, func(t *testing.T) {
			before := stored()
			var shown uint64
			for range 4 {
				shown += uint64(len(c.ask(t, "pcap", "--all", quote(of("across-nodes")+" || "+of("same-node")))))
			}
			// What else there is: health checks, the connections' own beginnings.
			grown := stored() - before
			t.Logf("%d bytes were shown, the stores grew by %d", shown, grown)
			if grown > shown/2 {
				t.Errorf("%d bytes were shown, and the stores grew by %d", shown, grown)
			}
		})
	}
}
