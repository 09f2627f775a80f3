package http

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"io"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/memtest"
)

func encode(t testing.TB, coding string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch coding {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "raw deflate":
		w, err = flate.NewWriter(&b, 6)
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	default:
		return data
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzDecode(f *testing.F) {
	for i, c := range []string{"gzip", "deflate", "raw deflate", "br", "zstd"} {
		f.Add(encode(f, c, []byte("hello hello hello")), uint8(i), 10)
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
