package http

import (
	"testing"

	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/pcap/memtest"
)

func FuzzDecode(f *testing.F) {
	for i, c := range []string{"gzip", "deflate", "raw deflate", "br", "zstd"} {
		f.Add(dissecttest.Encode(f, c, []byte("hello hello hello")), uint8(i), 10)
	}
	memory := memtest.New(cuttest.Memory)
	f.Fuzz(func(t *testing.T, b []byte, which uint8, limit int) {
		memory.Input()
		defer memory.Check(t)
		limit = max(0, min(limit, 1<<16))
		codings := []string{"gzip", "deflate", "br", "zstd"}
		data, _, _ := Decode(b, []string{codings[which%4], codings[which/4%4]}[:1+which/16%2], limit)
		if len(data) > limit {
			t.Errorf("%d bytes with a limit of %d", len(data), limit)
		}
	})
}
