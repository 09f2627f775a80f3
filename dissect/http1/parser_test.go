package http1

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
)

const (
	ok5  = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	none = "HTTP/1.1 204 No Content\r\n\r\n"
)

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }

var conversations = []struct {
	name  string
	steps []step
	want  []string
}{
	{"get", []step{c(get("/a")), s(ok5)}, []string{"GET /a -> 200 [5]"}},
	{"keep-alive", []step{c(get("/a")), s(ok5), c(get("/b")), s(none)}, []string{"GET /a -> 200 [5]", "GET /b -> 204"}},
	{"post with length", []step{c("POST /p HTTP/1.1\r\ncontent-LENGTH :  3 \r\n\r\nabc"), s(ok5)}, []string{"POST /p [3] -> 200 [5]"}},
	{"webdav", []step{c("PROPFIND /dav HTTP/1.1\r\nDepth: 1\r\n\r\n"), s("HTTP/1.1 207 Multi-Status\r\nContent-Length: 0\r\n\r\n")}, []string{"PROPFIND /dav -> 207"}},
	{"unknown method", []step{c("BREW /pot HTTP/1.1\r\n\r\n"), s("HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n")}, []string{"BREW /pot -> 418"}},
	{"pipelining", []step{c(get("/a") + get("/b") + get("/c")), s(ok5 + none + ok5)}, []string{"GET /a -> 200 [5]", "GET /b -> 204", "GET /c -> 200 [5]"}},
	{"chunked", []step{c(get("/")), s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" + none)}, []string{"GET / -> 200 [11]", "<204"}},
	{"chunked with extensions and trailers", []step{c(get("/")), s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n05;a=\"b\"\r\nhello\r\n0;x\r\nChecksum: 1\r\nMore: 2\r\n\r\n"), c(get("/2")), s(ok5)},
		[]string{"GET / -> 200 [5]", "GET /2 -> 200 [5]"}},
	{"chunked request", []step{c("POST / HTTP/1.1\r\nTransfer-Encoding: CHUNKED\r\n\r\na\r\n0123456789\r\n0\r\n\r\n" + get("/2")), s(ok5 + ok5)}, []string{"POST / [10] -> 200 [5]", "GET /2 -> 200 [5]"}},
	{"chunked, bare LF", []step{c(get("/")), s("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n" + none)}, []string{"GET / -> 200 [5]", "<204"}},
	{"bare LF", []step{c("GET /a HTTP/1.1\nHost: a\n\n"), s("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi")}, []string{"GET /a -> 200 [2]"}},
	{"until close", []step{c("GET / HTTP/1.0\r\n\r\n"), s("HTTP/1.0 200 OK\r\n\r\n" + rep(100)), s(rep(50))}, []string{"GET / -> 200 [150]"}},
	{"1.0 keep-alive", []step{c("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), s("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"), c("GET /2 HTTP/1.0\r\n\r\n"), s("HTTP/1.0 200 OK\r\n\r\nxy")},
		[]string{"GET /1 -> 200 [1]", "GET /2 -> 200 [2]"}},
	{"head", []step{c("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), s("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"), c(get("/2")), s(ok5)}, []string{"HEAD / -> 200", "GET /2 -> 200 [5]"}},
	{"head, request not seen", []step{s("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"), s(ok5)}, []string{"<200", "<200 [5]"}},
	{"not modified with a length", []step{c(get("/")), s("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), c(get("/2")), s(ok5)}, []string{"GET / -> 304", "GET /2 -> 200 [5]"}},
	{"no content with a length", []step{c(get("/")), s("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), c(get("/2")), s(ok5)}, []string{"GET / -> 204", "GET /2 -> 200 [5]"}},
	{"100-continue", []step{c("POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"), s("HTTP/1.1 100 Continue\r\n\r\n"), c("abc"), s(ok5)}, []string{"<100", "POST / [3] -> 200 [5]"}},
	{"early hints and processing", []step{c(get("/")), s("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok5)}, []string{"<102", "<103", "GET / -> 200 [5]"}},
	{"answer before the request is complete", []step{c("POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc"), s("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"), c("def"), c(get("/2")), s(ok5)},
		[]string{"POST / [6] -> 413", "GET /2 -> 200 [5]"}},
	{"answer before the request, which never ends", []step{c("POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc"), s("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")}, []string{"~POST / [3] -> 413"}},
	{"100-continue refused", []step{c("POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"), s("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"), c(get("/2")), s(ok5)}, []string{"POST / -> 417", "GET /2 -> 200 [5]"}},
	{"100-continue refused at the end", []step{c("POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"), s("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")}, []string{"POST / -> 417"}},
	{"100-continue refused, sent all the same", []step{c("POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"), s("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"), c("abc" + get("/2")), s(ok5)}, []string{"POST / [3] -> 417", "GET /2 -> 200 [5]"}},
	{"no answer", []step{c(get("/a"))}, []string{"GET /a ->"}},
	{"no answers", []step{c(get("/a") + get("/b"))}, []string{"GET /a ->", "GET /b ->"}},
	{"responses only", []step{s(ok5), s(none)}, []string{"<200 [5]", "<204"}},
	{"response first, then a call", []step{s(ok5), c(get("/b")), s(none)}, []string{"<200 [5]", "GET /b -> 204"}},
	{"cut response", []step{c(get("/")), s(ok5[:len(ok5)-2])}, []string{"~GET / -> 200 [3]"}},
	{"cut in the response's head", []step{c(get("/")), s("HTTP/1.1 200 OK\r\nContent-Le")}, []string{"~GET / -> 200"}},
	{"cut in the status line", []step{c(get("/")), s("HTTP/1.1 2")}, []string{"GET / ->"}},
	{"cut in the request line", []step{c("GET /path HTT")}, []string{"~GET /path ->"}},
	{"cut in the path", []step{c("GET /pat")}, nil},
	{"empty lines before messages", []step{c("\r\n\r\n" + get("/a") + "\r\n"), s("\n" + ok5), c(get("/b")), s(ok5)}, []string{"GET /a -> 200 [5]", "GET /b -> 200 [5]"}},
	{"cruft between messages", []step{c(get("/a")), s(ok5), c("what is this?\r\n\r\n"), s("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), c(get("/b")), s(ok5)},
		[]string{"GET /a -> 200 [5]", "<400", "GET /b -> 200 [5]"}},
	{"cruft behind a body", []step{c(get("/a")), s(ok5 + "\x00\x01cruft" + none)}, []string{"GET /a -> 200 [5]", "<204"}},
	{"folded header", []step{c("POST / HTTP/1.1\r\nX-A: one\r\n two\r\nContent-Length:\r\n 4\r\n\r\nabcd"), s(ok5)}, []string{"POST / [4] -> 200 [5]"}},
	{"absolute target", []step{c("GET http://h:8080/p?q=1 HTTP/1.1\r\n\r\n"), s(ok5)}, []string{"GET http://h:8080/p?q=1 -> 200 [5]"}},
	{"target with blanks", []step{c("GET /a b HTTP/1.1\r\n\r\n"), s(ok5)}, []string{"GET /a b -> 200 [5]"}},
	{"options *", []step{c("OPTIONS * HTTP/1.1\r\n\r\n"), s(none)}, []string{"OPTIONS * -> 204"}},
	{"server asks client", []step{s(get("/back")), c(ok5)}, []string{"<GET /back -> 200 [5]"}},

	{"length and chunked", []step{c("POST / HTTP/1.1\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + get("/2")), s(ok5 + none)}, []string{"POST / [1] -> 200 [5]", "GET /2 -> 204"}},
	{"same length twice", []step{c("POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2, 2\r\n\r\nab" + get("/2")), s(ok5 + none)}, []string{"POST / [2] -> 200 [5]", "GET /2 -> 204"}},
	{"two lengths", []step{c("POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"), s("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"), c(get("/2")), s(none)}, []string{"~POST / -> 400", "GET /2 -> 204"}},
	{"length with a sign", []step{c("POST / HTTP/1.1\r\nContent-Length: +2\r\n\r\nab" + get("/2")), s(ok5 + none)}, []string{"~POST / -> 200 [5]", "GET /2 -> 204"}},
	{"length that overflows", []step{c("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nab" + get("/2")), s(ok5 + none)}, []string{"~POST / -> 200 [5]", "GET /2 -> 204"}},
	{"blank before the colon", []step{c("POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"), s(ok5)}, []string{"POST / [1] -> 200 [5]"}},
	{"chunked is not last", []step{c(get("/")), s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc")}, []string{"GET / -> 200 [3]"}},
	{"unknown coding in a request", []step{c("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n1\r\nx\r\n" + get("/2")), s(ok5 + none)}, []string{"~POST / -> 200 [5]", "GET /2 -> 204"}},
	{"identity", []step{c(get("/")), s("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi" + none)}, []string{"GET / -> 200 [2]", "<204"}},
	{"chunk size that is none", []step{c(get("/")), s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"), c(get("/2")), s(ok5)}, []string{"~GET / -> 200", "GET /2 -> 200 [5]"}},
	{"chunk size that overflows", []step{c(get("/")), s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc"), c(get("/2")), s(ok5)}, []string{"~GET / -> 200", "GET /2 -> 200 [5]"}},
	{"chunk without its line end", []step{c(get("/")), s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc"), c(get("/2")), s(ok5)}, []string{"~GET / -> 200 [2]", "GET /2 -> 200 [5]"}},
	{"head without end", []step{c("GET / HTTP/1.1\r\nX: " + rep(70_000)), c(get("/2")), s(ok5)}, []string{"~GET / -> 200 [5]", "GET /2 ->"}},

	{"gap in a body of known length", []step{c(get("/a")), s("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + rep(20)), sgap(60), s(rep(20)), c(get("/b")), s(ok5)}, []string{"~GET /a -> 200 [100]", "GET /b -> 200 [5]"}},
	{"gap to the body's end", []step{c(get("/a")), s("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + rep(20)), sgap(80), c(get("/b")), s(ok5)}, []string{"~GET /a -> 200 [100]", "GET /b -> 200 [5]"}},
	{"gap beyond the body", []step{c(get("/a")), s("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + rep(20)), sgap(200), s("tent-Length: 5\r\n\r\nhello"), c(get("/c")), s(ok5)}, []string{"~GET /a -> 200 [100]", "GET /c -> 200 [5]"}},
	{"gap of unknown size", []step{c(get("/a")), s("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + rep(20)), sgap(0), s(rep(10)), c(get("/c")), s(ok5)}, []string{"~GET /a -> 200 [20]", "GET /c -> 200 [5]"}},
	{"gap inside a chunk", []step{c(get("/a")), s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + rep(20)), sgap(60), s(rep(20) + "\r\n1\r\nx\r\n0\r\n\r\n"), c(get("/c")), s(ok5)}, []string{"~GET /a -> 200 [101]", "GET /c -> 200 [5]"}},
	{"gap over chunks", []step{c(get("/a")), s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + rep(20)), sgap(90), s(rep(20) + "\r\n1\r\nx\r\n0\r\n\r\n"), c(get("/c")), s(ok5)}, []string{"~GET /a -> 200 [20]", "GET /c -> 200 [5]"}},
	{"gap in a body until close", []step{c(get("/a")), s("HTTP/1.0 200 OK\r\n\r\n" + rep(20)), sgap(90), s(rep(20))}, []string{"~GET /a -> 200 [130]"}},
	{"gap in a request's head", []step{c("GET /a HTTP/1.1\r\nHo"), cgap(10), c("x: y\r\n\r\n"), s(ok5), c(get("/b")), s(ok5)}, []string{"~GET /a -> 200 [5]", "GET /b -> 200 [5]"}},
	{"gap in a path", []step{c("GET /a"), cgap(10), c("b HTTP/1.1\r\n\r\n"), s(ok5), c(get("/b")), s(ok5)}, []string{"<200 [5]", "GET /b -> 200 [5]"}},
	{"gap in a response's head", []step{c(get("/a")), s("HTTP/1.1 200 OK\r\nConten"), sgap(10), s(": 3\r\n\r\nabc"), c(get("/b")), s(ok5)}, []string{"~GET /a -> 200", "GET /b -> 200 [5]"}},
	{"lost request", []step{c(get("/a")), s(ok5), cgap(40), s(ok5), c(get("/c")), s(none)}, []string{"GET /a -> 200 [5]", "<200 [5]", "GET /c -> 204"}},
	{"lost response", []step{c(get("/a")), sgap(40), c(get("/b")), s(none)}, []string{"~GET /a ->", "GET /b -> 204"}},
	{"lost responses, pipelined", []step{c(get("/a") + get("/b")), sgap(40), s(none), c(get("/c")), s(ok5)}, []string{"~GET /a ->", "~GET /b ->", "<204", "GET /c -> 200 [5]"}},
	{"every packet cut, as by a snap length", []step{c("GET /a HTTP/1.1\r\nHo"), cgap(99), s("HTTP/1.1 200 OK\r\nX:"), sgap(200), c("GET /b HTTP/1.1\r\nHo"), cgap(99), s("HTTP/1.1 404 Not"), sgap(300)}, []string{"~GET /a -> 200", "~GET /b -> 404"}},
	{"begins in a response's body", []step{s(rep(500)), c(get("/b")), s(none)}, []string{"GET /b -> 204"}},
	{"begins in a response's body, a head behind it in one piece", []step{s(rep(500) + ok5), c(get("/b")), s(none)}, []string{"<200 [5]", "GET /b -> 204"}},
	{"begins in a request's body, glued to a head", []step{c(`{"a":1}` + "POST /p HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), s(none)}, []string{"POST /p -> 204"}},
}

func TestConversations(t *testing.T) {
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			k := &sink{TB: t, Tell: tell}
			if err := run(k, tt.steps, 0); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(k.Calls, tt.want) {
				t.Errorf("got  %q\nwant %q", k.Calls, tt.want)
			}
			if k.Switched {
				t.Error("switched")
			}
		})
	}
}

// TestChunking: the same bytes in other pieces are the same calls.
func TestChunking(t *testing.T) {
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 5, 7, 13, 40} {
				k := &sink{TB: t, Tell: tell}
				if err := run(k, tt.steps, n); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(k.Calls, tt.want) {
					t.Errorf("in pieces of %d: got %q, want %q", n, k.Calls, tt.want)
				}
			}
		})
	}
}

func TestSwitch(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []step
		want  []string
		next  string
		rest  string
	}{
		{"websocket", []step{c("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), s("HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n\r\n\x81\x02hi")},
			[]string{"GET /ws -> 101"}, "ws", "\x81\x02hi"},
		{"h2c", []step{c("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"), s("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")}, []string{"GET / -> 101"}, "http2", ""},
		{"tcp", []step{c("POST /attach HTTP/1.1\r\nUpgrade: tcp\r\n\r\n"), s("HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nraw")}, []string{"POST /attach -> 101"}, "", "raw"},
		{"request not seen", []step{s("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")}, []string{"<101"}, "ws", ""},
		{"connect", []step{c("CONNECT h:443 HTTP/1.1\r\n\r\n"), s("HTTP/1.1 200 Established\r\nContent-Length: 9\r\n\r\n\x16\x03")}, []string{"CONNECT h:443 -> 200"}, "", "\x16\x03"},
		{"behind bytes that were looked for", []step{c("GET /a HTTP/1.1\r\n\r\n"), s("junk"), s("junk HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\nrest")}, []string{"GET /a -> 101"}, "ws", "rest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &sink{TB: t, Tell: tell}
			if err := run(k, tt.steps, 0); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(k.Calls, tt.want) || !k.Switched || k.Next != tt.next || k.Rest != tt.rest {
				t.Errorf("got %q, switched %v to %q, rest %q", k.Calls, k.Switched, k.Next, k.Rest)
			}
		})
	}
	t.Run("connect refused", func(t *testing.T) {
		k := &sink{TB: t, Tell: tell}
		if err := run(k, []step{c("CONNECT h:443 HTTP/1.1\r\n\r\n"), s("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), c(get("/b"))}, 0); err != nil {
			t.Fatal(err)
		}
		if want := []string{"CONNECT h:443 -> 403 [2]", "GET /b ->"}; k.Switched || !slices.Equal(k.Calls, want) {
			t.Error(k.Calls, k.Switched)
		}
	})
}

func TestTimesAndSizes(t *testing.T) {
	const ms = int64(1_000_000)
	at := func(n int64) dissect.Stamp { return dissect.Stamp{Time: n * ms} }
	var got *dissect.Call
	k := &sink{TB: t, Tell: tell, Each: func(c *dissect.Call) { v := *c; got = &v }}
	p := newParser(k)
	p.Data(0, []byte("POST / HTTP/1.1\r\nContent-"), at(1))
	p.Data(0, []byte("Length: 4\r\n\r\nab"), at(2))
	p.Data(0, []byte("cd"), at(5))
	p.Data(1, []byte("HTTP/1.1 500 Oops\r\nTransfer-Enc"), at(9))
	p.Data(1, []byte("oding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r"), at(10))
	p.Data(1, []byte("\n"), at(12))
	if got == nil {
		t.Fatal("no call")
	}
	want := dissect.Call{Time: 1 * ms, RequestEnd: 5 * ms, ResponseStart: 9 * ms, ResponseEnd: 12 * ms, RequestSize: 42, ResponseSize: 62, Error: true, Message: got.Message}
	if *got != want {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	if ns, ok := got.Elapsed(); ns != 4*ms || !ok {
		t.Error(ns, ok)
	}
}

func TestLateRequest(t *testing.T) {
	// The sides were captured, or reassembled, the other way round.
	for _, tt := range []struct {
		name     string
		response []string
		want     []string
	}{
		{"whole response first", []string{ok5}, []string{"GET /a -> 200 [5]"}},
		{"response is still on its way", []string{ok5[:30], ok5[30:]}, []string{"GET /a -> 200 [5]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &sink{TB: t, Tell: tell}
			p := newParser(k)
			p.Data(1, []byte(tt.response[0]), dissect.Stamp{Time: 2000})
			p.Data(0, []byte(get("/a")), dissect.Stamp{Time: 1000})
			for _, r := range tt.response[1:] {
				p.Data(1, []byte(r), dissect.Stamp{Time: 3000})
			}
			p.Close(dissect.Stamp{Time: 4000})
			if !slices.Equal(k.Calls, tt.want) {
				t.Errorf("got %q, want %q", k.Calls, tt.want)
			}
		})
	}
}

func TestHeldResponsesGoOutInTime(t *testing.T) {
	k := &sink{TB: t, Tell: tell}
	p := newParser(k)
	p.Data(1, []byte(none), dissect.Stamp{Time: 1})
	p.Data(1, []byte(none[:4]), dissect.Stamp{Time: 2 + holdTime})
	if len(k.Calls) != 1 {
		t.Errorf("after a second: %q", k.Calls)
	}
}

func TestBounds(t *testing.T) {
	t.Run("requests without answers", func(t *testing.T) {
		k := &sink{TB: t, Tell: tell}
		p := newParser(k)
		for i := range maxPending + 10 {
			p.Data(0, []byte(get(fmt.Sprint("/", i))), dissect.Stamp{Time: int64(i)})
		}
		if len(k.Calls) != 10 || k.Calls[0] != "~GET /0 ->" || len(p.queue)-p.head != maxPending {
			t.Errorf("%d calls, %d wait", len(k.Calls), len(p.queue)-p.head)
		}
		p.Data(1, []byte(none), dissect.Stamp{Time: maxPending + 11})
		if k.Calls[10] != "GET /10 -> 204" {
			t.Error(k.Calls[10])
		}
		p.Close(dissect.Stamp{})
		if len(k.Calls) != maxPending+10 {
			t.Error(len(k.Calls))
		}
	})
	t.Run("large heads", func(t *testing.T) {
		k := &sink{TB: t, Tell: tell}
		p := newParser(k)
		for range 200 {
			p.Data(0, []byte("GET / HTTP/1.1\r\nX: "+rep(60_000)+"\r\n\r\n"), dissect.Stamp{})
		}
		if p.kept > maxKept || len(k.Calls) < 100 {
			t.Errorf("%d bytes kept, %d calls told", p.kept, len(k.Calls))
		}
	})
	t.Run("oldest is being answered", func(t *testing.T) {
		k := &sink{TB: t, Tell: tell}
		p := newParser(k)
		p.Data(0, []byte(get("/first")), dissect.Stamp{})
		p.Data(1, []byte(ok5[:len(ok5)-1]), dissect.Stamp{})
		for range maxPending {
			p.Data(0, []byte(get("/")), dissect.Stamp{})
		}
		p.Data(1, []byte("o"+none), dissect.Stamp{})
		if want := []string{"~GET /first -> 200 [4]", "GET / -> 204"}; !slices.Equal(k.Calls, want) {
			t.Errorf("%q", k.Calls)
		}
	})
	t.Run("not HTTP at all", func(t *testing.T) {
		p := newParser(&sink{TB: t, Tell: tell})
		var err error
		for i := 0; i < 10_000 && err == nil; i++ {
			err = p.Data(0, []byte(rep(1448)), dissect.Stamp{})
		}
		if err != dissect.ErrNotMine {
			t.Error(err)
		}
	})
	t.Run("held responses", func(t *testing.T) {
		k := &sink{TB: t, Tell: tell}
		p := newParser(k)
		p.Data(1, []byte(strings.Repeat(none, 1000)), dissect.Stamp{})
		if len(p.held) > maxHeld || len(k.Calls) != 1000-maxHeld {
			t.Error(len(p.held), len(k.Calls))
		}
	})
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	k := &cuttest.Counter{}
	p := newParser(k)
	if n := testing.AllocsPerRun(1000, func() {
		p.Data(0, smallRequest, dissect.Stamp{})
		p.Data(1, smallResponse[:40], dissect.Stamp{})
		p.Data(1, smallResponse[40:], dissect.Stamp{})
	}); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}
