package mqtt

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect/cuttest"
)

// BenchmarkPublish has 16 messages in a piece, and their acknowledgements in another.
func BenchmarkPublish(b *testing.B) {
	k := &cuttest.Counter{}
	p := newParser(k)
	data := []byte(strings.Repeat(pack(0x32, str("shop/orders/new"), "\x00\x01", "0123456789abcdef"), 16))
	acks := []byte(strings.Repeat("\x40\x02\x00\x01", 16))
	k.Bench(b, p, data, acks)
}
