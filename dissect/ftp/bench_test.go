package ftp

import (
	"testing"

	"github.com/sshark/sshark/dissect/cuttest"
)

func BenchmarkTransfers(b *testing.B) {
	k := &cuttest.Counter{}
	p := newParser(k)
	said := [][]byte{[]byte("PASV\r\n"), []byte("227 Entering Passive Mode (10,0,0,7,221,90)\r\n"), []byte("RETR robots.txt\r\n"), []byte("150 Opening BINARY mode data connection\r\n226 Transfer complete.\r\n")}
	k.Bench(b, p, said...)
}
