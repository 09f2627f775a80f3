package http1

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/dissect/http"
)

// bodyOf is the body of a response with these headers.
func bodyOf(t testing.TB, limit int, response string, steps ...step) dissect.Body {
	t.Helper()
	var got dissect.Body
	k := &sink{TB: t, Tell: tell, Limit: limit, Each: func(c *dissect.Call) {
		if b := c.Message.Body(1); b != nil {
			got = *b
			got.Data = bytes.Clone(b.Data)
		}
		if c.Message.Body(0) != nil {
			t.Error("a GET has a body")
		}
	}}
	if err := run(k, append([]step{c(get("/")), s(response)}, steps...), 0); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestBody(t *testing.T) {
	text := strings.Repeat("all work and no play\n", 100)
	for _, tt := range []struct {
		name    string
		applied []string
		header  string
	}{
		{"plain", nil, ""},
		{"identity", nil, "Content-Encoding: identity\r\n"},
		{"gzip", []string{"gzip"}, "Content-Encoding: gzip\r\n"},
		{"x-gzip, upper case", []string{"x-gzip"}, "CONTENT-ENCODING: X-GZIP\r\n"},
		{"deflate", []string{"deflate"}, "Content-Encoding: deflate\r\n"},
		{"raw deflate", []string{"raw deflate"}, "Content-Encoding: deflate\r\n"},
		{"br", []string{"br"}, "Content-Encoding: br\r\n"},
		{"zstd", []string{"zstd"}, "Content-Encoding: zstd\r\n"},
		{"stacked", []string{"gzip", "br"}, "Content-Encoding: gzip, br\r\n"},
		{"stacked in two headers", []string{"deflate", "zstd"}, "Content-Encoding: deflate\r\nContent-Encoding: zstd\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := []byte(text)
			for _, coding := range tt.applied {
				sent = dissecttest.Encode(t, coding, sent)
			}
			chunked := fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x;x=y\r\n%s\r\n0\r\n\r\n",
				tt.header, 10, sent[:10], len(sent)-10, sent[10:])
			plain := fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", tt.header, len(sent), sent)
			for _, response := range []string{chunked, plain} {
				b := bodyOf(t, 1<<20, response)
				if string(b.Data) != text || b.Truncated || b.Err != nil || b.Type != "text/plain" || b.Size != int64(len(sent)) {
					t.Errorf("%.40q of %d, truncated %v, type %q, size %d: %v", b.Data, len(b.Data), b.Truncated, b.Type, b.Size, b.Err)
				}
				if b := bodyOf(t, 50, response); len(b.Data) > 50 || !b.Truncated || b.Err == nil && !strings.HasPrefix(text, string(b.Data)) {
					t.Errorf("limited: %q, truncated %v", b.Data, b.Truncated)
				}
			}
		})
	}
}

func TestBodyThatCannotBeDecoded(t *testing.T) {
	for _, tt := range []struct {
		name, coding, data string
		want               error
	}{
		{"unknown coding", "rot13", "abc", http.ErrCoding},
		{"not gzip", "gzip", "no gzip at all", gzip.ErrHeader},
		{"too many", "gzip, gzip, gzip, gzip, gzip", "abc", http.ErrCodings},
		{"empty coding", ",", "abc", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bodyOf(t, 1000, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", tt.coding, len(tt.data), tt.data))
			if string(b.Data) != tt.data || !errors.Is(b.Err, tt.want) || tt.want == nil && b.Err != nil {
				t.Errorf("%q, %v", b.Data, b.Err)
			}
		})
	}
}

func TestDecompressionBomb(t *testing.T) {
	zeros := make([]byte, 200<<20)
	once := dissecttest.Encode(t, "gzip", zeros)
	t.Run("one coding", func(t *testing.T) {
		b := bodyOf(t, 1<<20, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(once), once))
		if len(b.Data) > 1<<20 || !b.Truncated {
			t.Error(len(b.Data), b.Truncated)
		}
	})
	t.Run("a coding that swallows what is below", func(t *testing.T) {
		// An endless gzip header: the outer coding gives bytes, the inner one takes them all.
		header := append([]byte{0x1f, 0x8b, 8, 0x10, 0, 0, 0, 0, 0, 0xff}, bytes.Repeat([]byte{'x'}, 100<<20)...)
		twice := dissecttest.Encode(t, "gzip", header)
		b := bodyOf(t, 1<<20, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n%s", len(twice), twice))
		if b.Err == nil {
			t.Errorf("%d bytes", len(b.Data))
		}
	})
}

func TestBodyWithGap(t *testing.T) {
	b := bodyOf(t, 1000, "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n"+rep(10), sgap(10), s(rep(10)))
	if string(b.Data) != rep(10) || !b.Truncated || b.Size != 30 {
		t.Errorf("%+v", b)
	}
	sent := dissecttest.Encode(t, "gzip", []byte(strings.Repeat("all work and no play\n", 1000)+fmt.Sprint(make([]int, 50))))
	b = bodyOf(t, 1<<20, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(sent), sent[:len(sent)-9]))
	if !strings.HasPrefix(string(b.Data), "all work") || !b.Truncated || b.Err != nil {
		t.Errorf("cut gzip: %.40q, %v, %v", b.Data, b.Truncated, b.Err)
	}
}

func TestNoBodiesUnlessAsked(t *testing.T) {
	k := &sink{TB: t, Tell: tell, Each: func(c *dissect.Call) {
		if c.Message.Body(0) != nil || c.Message.Body(1) != nil {
			t.Error("there is a body")
		}
	}}
	if err := run(k, []step{c(get("/")), s(ok5)}, 0); err != nil {
		t.Fatal(err)
	}
}

func TestRequestBody(t *testing.T) {
	var got string
	k := &sink{TB: t, Tell: tell, Limit: 100, Each: func(c *dissect.Call) { got = string(c.Message.Body(0).Data) }}
	if err := run(k, []step{c("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), s(none)}, 1); err != nil {
		t.Fatal(err)
	}
	if got != "abc" {
		t.Errorf("%q", got)
	}
}
