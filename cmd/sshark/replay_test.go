package main_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"
)

// shop serves what the scripts' capture has, with the second answer given, and returns its
// address.
func shop(t *testing.T, second string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	answers := map[string]string{"/item/1": "200 OK", "/item/2": second, "/item/3": "500 Internal Server Error"}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nok", answers[r.URL.Path])
				}
			}()
		}
	}()
	return ln.Addr().String()
}
