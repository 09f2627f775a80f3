package redis

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect/cuttest"
)

var (
	smallCommand = []byte(cmd("SET", "session:7d5e9f6a", "0123456789abcdef"))
	smallReply   = []byte("$16\r\n0123456789abcdef\r\n")
)

func BenchmarkSmallCalls(b *testing.B) {
	k := &cuttest.Counter{}
	p := newParser(k)
	k.Bench(b, p, smallCommand, smallReply)
}

// BenchmarkPipeline has 16 commands in a piece.
func BenchmarkPipeline(b *testing.B) {
	k := &cuttest.Counter{}
	p := newParser(k)
	ask, answer := []byte(strings.Repeat(string(smallCommand), 16)), []byte(strings.Repeat("+OK\r\n", 16))
	k.Bench(b, p, ask, answer)
}

// BenchmarkLargeValue sends 1 MB in segments.
func BenchmarkLargeValue(b *testing.B) {
	data := []byte("$1048576\r\n" + strings.Repeat("x", 1<<20) + "\r\n")
	k := &cuttest.Counter{}
	p := newParser(k)
	k.Bench(b, p, smallCommand, data)
}

func BenchmarkAppendFields(b *testing.B) {
	cuttest.BenchFields(b, Protocol(), smallCommand, smallReply)
}
