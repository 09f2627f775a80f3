package memcached

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect/cuttest"
)

func benchmark(b *testing.B, ask, answer string) {
	k := &cuttest.Counter{}
	p := newParser(k)
	k.Bench(b, p, []byte(ask), []byte(answer))
}

func BenchmarkText(b *testing.B) {
	benchmark(b, "get session:7d5e9f6a\r\n", "VALUE session:7d5e9f6a 0 16\r\n0123456789abcdef\r\nEND\r\n")
}

func BenchmarkMeta(b *testing.B) { benchmark(b, "mg session:7d5e9f6a v\r\n", "VA 5\r\nhello\r\n") }

func BenchmarkBinary(b *testing.B) {
	benchmark(b, packet(magicAsk, 0, 0, 0, 0, "session:7d5e9f6a", ""), packet(magicReply, 0, 0, 0, 4, "", "0123456789abcdef"))
}

func BenchmarkPipeline(b *testing.B) {
	benchmark(b, strings.Repeat("set session:7d5e9f6a 0 0 5\r\nhello\r\n", 16), strings.Repeat("STORED\r\n", 16))
}

func BenchmarkDatagram(b *testing.B) {
	k := &cuttest.Counter{}
	p := newDatagrams(k)
	ask, answer := []byte(framed(1, 0, 1, "get a\r\n")), []byte(framed(1, 0, 1, "END\r\n"))
	k.Bench(b, p, ask, answer)
}
