package dns

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

type nothing struct{}

func (nothing) Call(*dissect.Call)    {}
func (nothing) FlowEnd(*dissect.Flow) {}
func (nothing) Batch()                {}

// A question that nobody answered must not keep the engine busy while others go on.
func TestUnansweredBesideStreams(t *testing.T) {
	ip := func(proto byte, payload []byte) []byte {
		b := make([]byte, 20, 20+len(payload))
		b[0], b[8], b[9] = 0x45, 64, proto
		binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
		copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
		return append(b, payload...)
	}
	question := []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01")
	udp := make([]byte, 8, 8+len(question))
	binary.BigEndian.PutUint16(udp, 40000)
	binary.BigEndian.PutUint16(udp[2:], 53)
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(question)))
	done := make(chan struct{})
	go func() {
		defer close(done)
		e := dissect.NewEngine(dissect.Options{Protocols: []*dissect.Protocol{Protocol()}, Workers: 1, Handler: func(int) dissect.Handler { return nothing{} }})
		iface := &pcap.Interface{Link: pcap.LinkRaw}
		feed := func(at time.Duration, b []byte) {
			e.Packet(&pcap.Packet{Time: int64(at), Data: b, Length: uint32(len(b)), Iface: iface}, 0, flow.UnknownOpener)
			e.Flush()
		}
		feed(time.Second, ip(17, append(udp, question...)))
		for i := range 8 {
			syn := make([]byte, 20)
			binary.BigEndian.PutUint16(syn, uint16(50000+i))
			binary.BigEndian.PutUint16(syn[2:], 80)
			syn[12], syn[13] = 0x50, byte(flow.SYN)
			feed(6*time.Second, ip(6, syn))
		}
		e.Close()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the engine does not come to an end")
	}
}
