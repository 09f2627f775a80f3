package capture

import (
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/sshark/sshark/pcap"
)

// BenchmarkRead is the cost of a packet from the ring to a pcap.Packet, of UDP datagrams that
// were captured on a namespace's lo.
func BenchmarkRead(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root: makes network namespaces and loads eBPF")
	}
	const name = "sscap-bench"
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		b.Skipf("cannot make network namespaces: %v: %s", err, out)
	}
	b.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	if err := exec.Command("ip", "-n", name, "link", "set", "lo", "up").Run(); err != nil {
		b.Fatal(err)
	}
	c, err := Start(Options{OwnNamespace: "/run/netns/" + name})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	inode, err := statNamespace("/run/netns/" + name)
	if err != nil {
		b.Fatal(err)
	}
	fd, err := openNamespace("/run/netns/"+name, inode)
	if err != nil {
		b.Fatal(err)
	}
	var conn *net.UDPConn
	if err := inNamespace(fd, func() error {
		to, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7000})
		if err != nil {
			return err
		}
		b.Cleanup(func() { to.Close() })
		conn, err = net.DialUDP("udp4", nil, to.LocalAddr().(*net.UDPAddr))
		return err
	}); err != nil {
		b.Fatal(err)
	}
	defer conn.Close()

	r := reader{ring: c.ring, slots: c.slots, batch: make([]pcap.Packet, batchPackets)}
	r.clock.tick(time.Now())
	payload := make([]byte, 64)
	b.ReportAllocs()
	b.ResetTimer()
	var sum int
	for done := 0; done < b.N; {
		b.StopTimer()
		for range min(50000, b.N-done) {
			if _, err := conn.Write(payload); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		for {
			batch := r.read()
			if len(batch) == 0 {
				break
			}
			done += len(batch)
			for i := range batch {
				sum += len(batch[i].Data)
			}
			r.ring.Release()
		}
	}
	b.StopTimer()
	if sum == 0 {
		b.Fatal("nothing was read")
	}
}
