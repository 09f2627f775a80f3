package sshd

import (
	"io"
	"testing"

	"github.com/sshark/sshark/sshd/sourcetest"
)

// BenchmarkPcap is what one session can carry: packets to pcapng, through SSH, to a client in
// the same process.
func BenchmarkPcap(b *testing.B) {
	source := &sourcetest.Source{Kept: 20000, Step: 1e6, Payload: 1400}
	c := start(b, source, nil)
	client := c.dial()
	defer client.Close()
	b.SetBytes(int64(source.Kept) * 1400)
	for b.Loop() {
		s, err := client.NewSession()
		if err != nil {
			b.Fatal(err)
		}
		s.Stdout = io.Discard
		if err := s.Run("pcap --all"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSession is what a short command costs on a connection that is open already.
func BenchmarkSession(b *testing.B) {
	c := start(b, &sourcetest.Source{Kept: 100}, nil)
	client := c.dial()
	defer client.Close()
	for b.Loop() {
		s, err := client.NewSession()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Output("calls --last 20 -o json"); err != nil {
			b.Fatal(err)
		}
	}
}
