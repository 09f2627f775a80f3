// Command client makes TLS handshakes that s_client and curl do not: client MODE ADDRESS, where
// MODE is plain (with a post-quantum key share), segments (a few bytes of the hello at a time),
// records (the hello in many records), sslv2 (a hello in the format of SSL 2.0), long (HTTP
// requests for a second).
package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(mode, address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if mode == "sslv2" {
		_, err := c.Write(sslv2())
		if err != nil {
			return err
		}
		_, err = c.Read(make([]byte, 4096))
		return err
	}
	config := &tls.Config{ServerName: mode + ".example", NextProtos: []string{"h2", "http/1.1"}, InsecureSkipVerify: true}
	if mode == "long" {
		config.NextProtos = nil
	}
	t := tls.Client(&splitter{Conn: c, mode: mode}, config)
	if err := t.Handshake(); err != nil {
		return err
	}
	for n := 0; mode == "long" && n < 10; n++ {
		if _, err := t.Write([]byte("GET / HTTP/1.1\r\nHost: long.example\r\n\r\n")); err != nil {
			return err
		}
		if _, err := t.Read(make([]byte, 4096)); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return t.Close()
}

// splitter splits the first write, which is the ClientHello.
type splitter struct {
	net.Conn
	mode  string
	began bool
}

func (s *splitter) Write(b []byte) (int, error) {
	if s.began {
		return s.Conn.Write(b)
	}
	s.began = true
	switch s.mode {
	case "segments":
		for i := 0; i < len(b); i += 100 {
			if _, err := s.Conn.Write(b[i:min(i+100, len(b))]); err != nil {
				return 0, err
			}
			time.Sleep(2 * time.Millisecond)
		}
		return len(b), nil
	case "records":
		var out []byte
		for p := b[5:]; len(p) > 0; {
			n := min(len(p), 200)
			out = append(append(out, b[0], b[1], b[2], 0, byte(n)), p[:n]...)
			p = p[n:]
		}
		_, err := s.Conn.Write(out)
		return len(b), err
	}
	return s.Conn.Write(b)
}

// sslv2 is a ClientHello that offers TLS 1.2 (RFC 5246, E.2).
func sslv2() []byte {
	suites := []byte{0, 0xc0, 0x2f, 0, 0, 0x9c, 0, 0, 0x2f, 0, 0, 0xff}
	m := []byte{1, 3, 3, 0, byte(len(suites)), 0, 0, 0, 32}
	m = append(m, suites...)
	for i := range 32 {
		m = append(m, byte(i))
	}
	return append([]byte{0x80, byte(len(m))}, m...)
}
