package grpc

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/pcap/memtest"
)

func frame(flags byte, payload string) string {
	b := binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(payload)))
	return string(append(b, payload...))
}

func TestMessages(t *testing.T) {
	two := frame(0, "hello") + frame(packedFlag, strings.Repeat("x", 300))
	ends := frame(0, "hello") + frame(trailerFlag, "grpc-status: 5\r\ngrpc-message: no%20luck\r\n")
	text := base64.StdEncoding.EncodeToString
	for _, tt := range []struct {
		name, contentType, body string
		n, size                 int64
		trailers                string
		broken                  bool
	}{
		{"none", "application/grpc", "", 0, 0, "", false},
		{"an empty one", "application/grpc+proto", frame(0, ""), 1, 0, "", false},
		{"two", "application/grpc", two, 2, 305, "", false},
		{"cut", "application/grpc", two[:20], 2, 305, "", false},
		{"trailers in the body", "application/grpc-web", ends, 1, 5, "grpc-status: 5\r\ngrpc-message: no%20luck\r\n", false},
		{"trailers where there are none", "application/grpc", ends, 1, 5, "", true},
		{"no message", "application/grpc", "<html>", 0, 0, "", true},
		{"as text", "application/grpc-web-text", text([]byte(ends)), 1, 5, "grpc-status: 5\r\ngrpc-message: no%20luck\r\n", false},
		{"as text, in parts", "application/grpc-web-text+proto", text([]byte(ends[:4])) + "\r\n" + text([]byte(ends[4:15])) + text([]byte(ends[15:])), 1, 5, "grpc-status: 5\r\ngrpc-message: no%20luck\r\n", false},
		{"no text", "application/grpc-web-text", "AAAAA{}A", 0, 0, "", true},
		{"padding in the middle of four", "application/grpc-web-text", "A=AAAAAA", 0, 0, "", true},
	} {
		for _, piece := range []int{1 << 20, 1, 3} {
			var m messages
			m.reset([]byte(tt.contentType))
			for body := tt.body; len(body) > 0; {
				n := min(piece, len(body))
				m.data([]byte(body[:n]))
				body = body[n:]
			}
			if m.n != tt.n || m.size != tt.size || string(m.trailers) != tt.trailers || m.broken != tt.broken {
				t.Errorf("%s: %d of %d bytes, trailers %q, broken %v", tt.name, m.n, m.size, m.trailers, m.broken)
			}
		}
	}
}

func TestIs(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "Application/GRPC; charset=utf-8": true, "application/grpc-web": true,
		"application/grpc-web-text+proto": true, "application/grpcx": false, "application/json": false, "": false, "application/connect+proto": false,
	} {
		if Is([]byte(contentType)) != want {
			t.Errorf("%s: %v", contentType, !want)
		}
	}
}

func TestSplit(t *testing.T) {
	for path, want := range map[string]string{"/shop.Cart/Add": "shop.Cart|Add", "/a/b/c": "a/b|c", "/x": "|x", "x": "|", "": "|", "/": "|", "//": "|"} {
		service, method := split([]byte(path))
		if got := string(service) + "|" + string(method); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte(frame(0, "hello")+frame(trailerFlag, "grpc-status: 5\r\n")), uint8(3))
	f.Add([]byte("AAAAABEKD2FwcGxl"), uint8(1))
	memory := memtest.New(cuttest.Memory)
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		memory.Input()
		defer memory.Check(t)
		for _, contentType := range []string{"application/grpc", "application/grpc-web", "application/grpc-web-text"} {
			var whole, parts messages
			whole.reset([]byte(contentType))
			parts.reset([]byte(contentType))
			whole.data(b)
			for rest := b; len(rest) > 0; {
				n := min(int(piece)+1, len(rest))
				parts.data(rest[:n])
				rest = rest[n:]
			}
			if whole.n != parts.n || whole.size != parts.size || string(whole.trailers) != string(parts.trailers) || len(whole.trailers) > maxTrailers {
				t.Errorf("%+v and %+v", whole, parts)
			}
		}
	})
}
