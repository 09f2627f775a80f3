// Package reachtest has a server for tests of what opens connections.
package reachtest

import (
	"net"
	"net/netip"
	"testing"
)

// Serve listens on loopback until the test ends. Each connection is answered in a goroutine of its
// own, and closed after.
func Serve(t testing.TB, answer func(net.Conn)) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				answer(c)
			}()
		}
	}()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}
