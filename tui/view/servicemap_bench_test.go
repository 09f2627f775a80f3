package view

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/servicemap"
	"github.com/sshark/sshark/tui/style"
)

// grown is a builder of a system of n services.
func grown(n int) *servicemap.Builder {
	b := servicemap.NewBuilder(servicemap.Workload)
	end := func(i int) dissect.Endpoint {
		return dissect.Endpoint{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80),
			Identity: &dissect.Identity{Namespace: fmt.Sprint("ns", i/10), Workload: fmt.Sprint("svc", i), Kind: "Deployment"}}
	}
	for i := 1; i < n; i++ {
		for _, from := range []int{i * 7 / 11, (i*i/7 + 3) % i} {
			f := &dissect.Flow{Transport: flow.TCP, Client: end(from), Server: end(i), Bytes: [2]uint64{100, 900}, First: 1, Last: 2}
			b.Flow(f)
			for k := range 5 {
				b.Call(&dissect.Call{Flow: f, Time: 1, RequestEnd: 1, ResponseStart: int64(k+1) * 1e6, ResponseEnd: int64(k+1) * 2e6})
			}
		}
	}
	return b
}

// BenchmarkMapUpdate is what each second costs in which something came in: the map that is made of
// what was counted, and the screen that takes it, with the same edges and with others.
func BenchmarkMapUpdate(b *testing.B) {
	for _, n := range []int{12, 60, 200, 2000} {
		system := grown(n)
		snapshot := func() *servicemap.Map {
			all := servicemap.NewBuilder(servicemap.Workload)
			all.Merge(system)
			return all.Map()
		}
		b.Run(fmt.Sprintf("%d/snapshot", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				snapshot()
			}
		})
		for _, same := range []bool{true, false} {
			b.Run(fmt.Sprintf("%d/screen, same edges %v", n, same), func(b *testing.B) {
				st := style.New(colorprofile.ANSI256, true)
				h := &Host{Context: context.Background(), Styles: &st, Clock: Clock{Now: time.Now, Location: time.UTC}}
				m := NewServiceMap(h, Scope{Window: Window{Last: time.Minute}})
				defer m.Close()
				m.SetSize(120, 38)
				msg := mapMsg{feed: m.feed, m: snapshot(), at: time.Now(), mapAnswers: mapAnswers{flows: &answer{}, calls: &answer{}}}
				m.take(msg)
				b.ReportAllocs()
				for b.Loop() {
					msg.at = msg.at.Add(time.Second)
					if !same {
						m.shape.full = nil
					}
					m.take(msg)
					_, _ = m.View()
				}
			})
		}
	}
}
