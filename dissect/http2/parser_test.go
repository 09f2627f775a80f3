package http2

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sshark/sshark/dissect"
)

func rep(n int) string { return strings.Repeat("x", n) }

// conversations are seen from their beginning; each is told the same however it is cut into
// pieces.
var conversations = []struct {
	name string
	talk func(t *talk)
	want []string
}{
	{"one call", func(t *talk) {
		t.c().get(1, "/a").send()
		t.s().answer(1, false, 200).data(1, true, "hello").send()
	}, []string{"GET /a -> 200 [5]"}},
	{"no body, an error", func(t *talk) {
		t.c().get(1, "/a").send()
		t.s().answer(1, true, 503).send()
	}, []string{"!GET /a -> 503"}},
	{"the end in an empty frame", func(t *talk) {
		t.c().post(1, "/a").data(1, false, "ab").data(1, false, "cd").data(1, true, "").send()
		t.s().answer(1, false, 200).data(1, false, "hello").data(1, true, "").send()
	}, []string{"POST /a [4] -> 200 [5]"}},
	{"multiplexed, answered out of order", func(t *talk) {
		t.c().get(1, "/a").get(3, "/b").get(5, "/c").send()
		t.s().answer(5, false, 200).answer(1, false, 201).data(1, false, "1").data(5, true, "555").answer(3, true, 204).data(1, true, "1").send()
	}, []string{"GET /c -> 200 [3]", "GET /b -> 204", "GET /a -> 201 [2]"}},
	{"padding", func(t *talk) {
		t.c().post(1, "/a").padded(1, false, "abc", 9).padded(1, false, "", 0).padded(1, true, "", 3).send()
		t.s().answer(1, false, 200).padded(1, true, "hello", 255).send()
	}, []string{"POST /a [3] -> 200 [5]"}},
	{"padded headers with a priority", func(t *talk) {
		c := t.c()
		c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields(":method GET", ":scheme http", ":path /a"), EndStream: true, EndHeaders: true,
			PadLength: 7, Priority: http2.PriorityParam{StreamDep: 3, Weight: 9}})
		c.framer.WritePriority(1, http2.PriorityParam{Weight: 3})
		c.send()
		t.s().answer(1, true, 200).send()
	}, []string{"GET /a -> 200"}},
	{"continuation", func(t *talk) {
		c := t.c()
		b := c.fields(":method GET", ":scheme http", ":path /a", "x-long "+rep(30000))
		c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:1], EndStream: true})
		c.framer.WriteContinuation(1, false, b[1:9000])
		c.framer.WriteContinuation(1, true, b[9000:])
		c.get(3, "/b").send()
		t.s().answer(1, true, 200).answer(3, true, 201).send()
	}, []string{"GET /a -> 200", "GET /b -> 201"}},
	{"interim responses", func(t *talk) {
		t.c().post(1, "/a", "expect 100-continue").send()
		t.s().answer(1, false, 100).send()
		t.c().data(1, true, "body").send()
		t.s().headers(1, false, ":status 103", "link </x>").answer(1, true, 200).send()
	}, []string{"<100", "<103", "POST /a [4] -> 200"}},
	{"trailers", func(t *talk) {
		t.c().post(1, "/a").data(1, false, "body").headers(1, true, "x-sum 17").send()
		t.s().answer(1, false, 200).data(1, false, "hello").headers(1, true, "x-end yes").send()
	}, []string{"POST /a [4] -> 200 [5]"}},
	{"the server is done first", func(t *talk) {
		t.c().post(1, "/a").data(1, false, "body").send()
		t.s().answer(1, true, 413).send()
		t.c().data(1, true, "body").send()
	}, []string{"!POST /a [8] -> 413"}},
	{"the server is done first, and resets", func(t *talk) {
		t.c().post(1, "/a").data(1, false, "body").send()
		t.s().answer(1, true, 200).reset(1, http2.ErrCodeNo).send()
		t.c().data(1, true, "body").get(3, "/b").send()
		t.s().answer(3, true, 200).send()
	}, []string{"POST /a [4] -> 200", "GET /b -> 200"}},
	{"push", func(t *talk) {
		t.c().get(1, "/a").send()
		s := t.s()
		s.framer.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: s.fields(":method GET", ":scheme http", ":path /style"), EndHeaders: true})
		s.answer(1, true, 200).answer(2, false, 200).data(2, true, "css").send()
	}, []string{"GET /a -> 200", "GET /style -> 200 [3]"}},
	{"given up by the client", func(t *talk) {
		t.c().get(1, "/a").get(3, "/b").send()
		t.s().answer(1, false, 200).data(1, false, "beginning").send()
		t.c().reset(1, http2.ErrCodeCancel).send()
		t.s().data(1, true, "end").answer(3, true, 200).send()
	}, []string{"~GET /a -> CANCEL [9]", "GET /b -> 200"}},
	{"given up before the answer", func(t *talk) {
		t.c().get(1, "/a").reset(1, http2.ErrCodeCancel).send()
		t.s().answer(1, true, 200).send()
		t.c().get(3, "/b").send()
		t.s().answer(3, true, 200).send()
	}, []string{"GET /a -> CANCEL", "GET /b -> 200"}},
	{"refused", func(t *talk) {
		t.c().get(1, "/a").send()
		t.s().reset(1, http2.ErrCodeRefusedStream).send()
	}, []string{"!GET /a -> REFUSED_STREAM"}},
	{"an error that has no name", func(t *talk) {
		t.c().get(1, "/a").send()
		t.s().reset(1, 4711).send()
	}, []string{"!GET /a -> UNKNOWN"}},
	{"the server goes away", func(t *talk) {
		t.c().get(1, "/a").get(3, "/b").send()
		t.s().framer.WriteGoAway(1, http2.ErrCodeNo, []byte("bye"))
		t.s().answer(1, true, 200).send()
	}, []string{"GET /b ->", "GET /a -> 200"}},
	{"the server goes away for an error", func(t *talk) {
		t.c().get(1, "/a").get(3, "/b").send()
		t.s().framer.WriteGoAway(1, http2.ErrCodeEnhanceYourCalm, nil)
		t.s().send()
	}, []string{"!GET /b -> ENHANCE_YOUR_CALM", "GET /a ->"}},
	{"never answered", func(t *talk) {
		t.c().get(1, "/a").post(3, "/b").data(3, false, "half").send()
		t.s().send()
	}, []string{"GET /a ->", "~POST /b [4] ->"}},
	{"answered in part", func(t *talk) {
		t.c().get(1, "/a").send()
		t.s().answer(1, false, 200).data(1, false, "half").send()
	}, []string{"~GET /a -> 200 [4]"}},
	{"the table is made smaller, and larger", func(t *talk) {
		t.c().get(1, "/a", "x-one 1").send()
		t.c().enc.SetMaxDynamicTableSize(0)
		t.c().get(3, "/b", "x-one 1").send()
		t.c().enc.SetMaxDynamicTableSize(100)
		t.c().get(5, "/c", "x-one 1").get(7, "/d", "x-one 1").send()
		t.s().answer(1, true, 200).answer(3, true, 200).answer(5, true, 200).answer(7, true, 200).send()
	}, []string{"GET /a -> 200", "GET /b -> 200", "GET /c -> 200", "GET /d -> 200"}},
	{"frames that nobody knows", func(t *talk) {
		t.c().framer.WriteRawFrame(0xbe, 0xff, 0, []byte("grease"))
		t.c().framer.WritePing(false, [8]byte{})
		t.c().framer.WriteWindowUpdate(0, 1)
		t.c().get(1, "/a").send()
		t.s().framer.WriteRawFrame(0xa, 0, 1, []byte("\x00\x00alt"))
		t.s().answer(1, true, 200).send()
	}, []string{"GET /a -> 200"}},
	{"CONNECT", func(t *talk) {
		t.c().headers(1, false, ":method CONNECT", ":authority db:5432").data(1, true, "to").send()
		t.s().answer(1, false, 200).data(1, true, "from").send()
	}, []string{"CONNECT db:5432 [2] -> 200 [4]"}},
	{"WebSocket", func(t *talk) {
		t.c().headers(1, false, ":method CONNECT", ":protocol websocket", ":scheme http", ":path /chat").send()
		t.s().answer(1, false, 200).send()
		t.c().data(1, false, "\x81\x82\x01\x02\x03\x04").data(1, false, "ik").get(3, "/b").send()
		t.s().data(1, false, "\x81\x03you").answer(3, true, 200).send()
		t.c().data(1, true, "\x88\x80\x00\x00\x00\x00").send()
		t.s().data(1, true, "\x88\x00").send()
	}, []string{"CONNECT /chat -> 200", "text 2 B", "<text 3 B", "GET /b -> 200", "close", "<close"}},
	{"the answer was captured first", func(t *talk) {
		t.c().get(1, "/a").send()
		t.s().answer(1, false, 200).data(1, true, "hello").send()
		n := len(t.steps)
		t.steps[n-2], t.steps[n-1] = t.steps[n-1], t.steps[n-2]
	}, []string{"GET /a -> 200 [5]"}},
	{"a response that nobody asked for", func(t *talk) {
		t.s().answer(1, false, 200).data(1, true, "hello").send()
	}, []string{"<200 [5]"}},
}

func TestConversations(t *testing.T) {
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			talk := begin()
			tt.talk(talk)
			for _, chunk := range []int{0, 1, 2, 3, 7, 10, 50, 1000} {
				k := &sink{TB: t, Tell: tell, Limit: 1 << 16}
				if err := run(k, talk.steps, chunk); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(k.Calls, tt.want) {
					t.Errorf("pieces of %d:\ngot  %q\nwant %q", chunk, k.Calls, tt.want)
				}
			}
		})
	}
}

// TestReversed: direction 0 turns out to be the server's.
func TestReversed(t *testing.T) {
	for _, tt := range conversations {
		talk := begin()
		tt.talk(talk)
		for i := range talk.steps {
			talk.steps[i].Dir ^= 1
		}
		var want []string
		for _, c := range tt.want {
			if rest, ok := strings.CutPrefix(c, "<"); ok {
				want = append(want, rest)
			} else {
				want = append(want, "<"+c)
			}
		}
		k := &sink{TB: t, Tell: tell}
		if err := run(k, talk.steps, 0); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(k.Calls, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.name, k.Calls, want)
		}
	}
}

func TestTimesAndSizes(t *testing.T) {
	talk := begin()
	base := int64(1_000_000_000 + 1e6*int64(len(talk.steps)))
	talk.c().post(1, "/a").send()
	talk.c().data(1, true, "body").send()
	talk.s().answer(1, false, 200).send()
	talk.s().data(1, true, "hello").send()
	request := len(talk.steps[3].Data) + len(talk.steps[4].Data)
	response := len(talk.steps[5].Data) + len(talk.steps[6].Data)
	k := &sink{TB: t, Tell: tell, Each: func(c *dissect.Call) {
		if c.Time != base+1e6 || c.RequestEnd != base+2e6 || c.ResponseStart != base+3e6 || c.ResponseEnd != base+4e6 {
			t.Errorf("%d %d %d %d", c.Time-base, c.RequestEnd-base, c.ResponseStart-base, c.ResponseEnd-base)
		}
		if c.RequestSize != uint64(request) || c.ResponseSize != uint64(response) {
			t.Errorf("sizes %d and %d, want %d and %d", c.RequestSize, c.ResponseSize, request, response)
		}
		if c.Protocol == nil || c.Protocol.Name != "http" {
			t.Errorf("protocol %v", c.Protocol)
		}
	}}
	if err := run(k, talk.steps, 0); err != nil || len(k.Calls) != 1 {
		t.Fatal(err, k.Calls)
	}
}

// TestGaps: what is missing is marked, and nothing else is harmed.
func TestGaps(t *testing.T) {
	for _, tt := range []struct {
		name string
		talk func(t *talk)
		want []string
	}{
		{"in a body", func(t *talk) {
			t.c().get(1, "/a").send()
			t.s().answer(1, false, 200).raw("\x00\x00\x0a\x00\x01\x00\x00\x00\x01hel").send()
			t.steps = append(t.steps, sgap(4))
			t.s().raw("end").send()
			t.c().get(3, "/b").send()
			t.s().answer(3, true, 200).send()
		}, []string{"~GET /a -> 200 [10]", "GET /b -> 200"}},
		{"over the end of a body", func(t *talk) {
			t.c().get(1, "/a").send()
			t.s().answer(1, false, 200).raw("\x00\x00\x0a\x00\x01\x00\x00\x00\x01hel").send()
			t.steps = append(t.steps, sgap(40))
			t.c().get(3, "/b").send()
			t.s().headers(3, true, ":status 200").send()
		}, []string{"GET /b -> 200", "~GET /a -> 200 [3]"}},
		{"in the headers of a request", func(t *talk) {
			b := t.c().fields(":method GET", ":scheme http", ":path /a")
			t.c().framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b, EndStream: true, EndHeaders: true})
			whole := t.c().out.String()
			t.c().out.Reset()
			t.c().raw(whole[:11]).send()
			t.steps = append(t.steps, cgap(int64(len(whole)-12)))
			t.c().raw(whole[len(whole)-1:]).send()
			t.c().get(3, "/b").send()
			t.s().answer(1, true, 200).answer(3, true, 200).send()
		}, []string{"GET /b -> 200", "<200"}},
		{"in the headers of a response", func(t *talk) {
			t.c().get(1, "/a").send()
			t.s().raw("\x00\x00\x0a\x01\x04\x00\x00\x00\x01\x88").send()
			t.steps = append(t.steps, sgap(8))
			t.s().raw("e").data(1, true, "body").send()
		}, []string{"~GET /a ->  [4]"}},
		{"of unknown length", func(t *talk) {
			t.c().get(1, "/a").send()
			t.steps = append(t.steps, cgap(0))
			t.c().get(3, "/b").send()
			t.s().answer(1, true, 200).answer(3, true, 200).send()
		}, []string{"GET /a -> 200", "~GET /b -> 200"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			talk := begin()
			tt.talk(talk)
			k := &sink{TB: t, Tell: tell, Limit: 1 << 16}
			if err := run(k, talk.steps, 0); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(k.Calls, tt.want) {
				t.Errorf("got  %q\nwant %q", k.Calls, tt.want)
			}
		})
	}
}

// TestMiddle: the tables are not known, and what is in them is not told.
func TestMiddle(t *testing.T) {
	talk := begin()
	talk.c().get(1, "/first", "x-one 1").send()
	talk.s().answer(1, true, 200).send()
	n := len(talk.steps)
	talk.c().get(3, "/second", "x-one 1").send()
	talk.s().answer(3, true, 200).send()
	talk.c().get(5, "/first", "x-one 1").send()
	talk.s().answer(5, true, 404).send()
	k := &sink{TB: t, Tell: tell}
	if err := run(k, talk.steps[n:], 0); err != nil {
		t.Fatal(err)
	}
	if want := []string{"~GET /second -> 200", "~!GET ? -> 404"}; !slices.Equal(k.Calls, want) {
		t.Fatalf("got  %q\nwant %q", k.Calls, want)
	}
	for i, want := range []string{
		`{"method":"GET","url":"/second","path":"/second","http_version":"HTTP/2","request.headers":{},`,
		`{"method":"GET","http_version":"HTTP/2","request.headers":{},`,
	} {
		if !strings.HasPrefix(k.Lines[i], want) || !strings.Contains(k.Lines[i], `"http2_missing_headers":`) {
			t.Errorf("%s", k.Lines[i])
		}
	}
}

// TestLimits: streams that never end are handed out, and bodies beyond the limit are cut.
func TestLimits(t *testing.T) {
	talk := begin()
	for i := range uint32(3 * maxStreams) {
		talk.c().get(2*i+1, "/a").send()
	}
	k := &sink{TB: t, Tell: tell}
	p := newParser(&dissect.Flow{}, k)
	for _, st := range talk.steps {
		if err := p.Data(st.Dir, st.Data, dissect.Stamp{Time: 1}); err != nil {
			t.Fatal(err)
		}
		if len(p.streams) > maxStreams {
			t.Fatalf("%d streams", len(p.streams))
		}
	}
	if p.Close(dissect.Stamp{}); len(k.Calls) != 3*maxStreams || p.kept != 0 {
		t.Errorf("%d calls, %d bytes kept", len(k.Calls), p.kept)
	}

	talk = begin()
	for i := range uint32(100) {
		talk.c().post(2*i+1, "/a").send()
		for range 64 {
			talk.c().data(2*i+1, false, rep(16000)).send()
		}
	}
	k = &sink{TB: t, Tell: tell, Limit: 1 << 20}
	p = newParser(&dissect.Flow{}, k)
	for _, st := range talk.steps {
		if err := p.Data(st.Dir, st.Data, dissect.Stamp{Time: 1}); err != nil {
			t.Fatal(err)
		}
		if p.kept > maxKept+(1<<20) {
			t.Fatalf("%d bytes kept", p.kept)
		}
	}
	if p.Close(dissect.Stamp{}); len(k.Calls) != 100 || p.kept != 0 {
		t.Errorf("%d calls, %d bytes kept", len(k.Calls), p.kept)
	}
}

// TestNotMine: what is no HTTP/2 is given up.
func TestNotMine(t *testing.T) {
	p := newParser(&dissect.Flow{}, &sink{TB: t, Tell: tell})
	var err error
	for i := 0; i < 200 && err == nil; i++ {
		err = p.Data(0, []byte(rep(16000)), dissect.Stamp{})
	}
	if err != dissect.ErrNotMine {
		t.Error(err)
	}
}

func TestBodies(t *testing.T) {
	talk := begin()
	talk.c().post(1, "/a", "content-type text/plain").data(1, false, "all ").padded(1, true, "work", 5).send()
	talk.s().answer(1, false, 200, "content-encoding gzip", "content-type text/html").data(1, true, "no gzip").send()
	k := &sink{TB: t, Tell: tell, Limit: 100, Each: func(c *dissect.Call) {
		b := c.Message.Body(0)
		if string(b.Data) != "all work" || b.Type != "text/plain" || b.Size != 8 || b.Truncated {
			t.Errorf("%+v", b)
		}
		if b = c.Message.Body(1); string(b.Data) != "no gzip" || b.Err == nil || b.Encoding != "gzip" || b.Type != "text/html" {
			t.Errorf("%+v", b)
		}
	}}
	if err := run(k, talk.steps, 0); err != nil || len(k.Calls) != 1 {
		t.Fatal(err, k.Calls)
	}
	k = &sink{TB: t, Tell: tell, Limit: 3, Each: func(c *dissect.Call) {
		if b := c.Message.Body(0); string(b.Data) != "all" || !b.Truncated || b.Size != 8 {
			t.Errorf("%+v", b)
		}
	}}
	if err := run(k, talk.steps, 0); err != nil {
		t.Fatal(err)
	}
}

func TestFields(t *testing.T) {
	talk := begin()
	talk.c().post(1, "/a%20b?q=1&q=2", "cookie a=1", "cookie b=2", "x-dup 1", "x-dup 2").data(1, true, "{}").send()
	talk.s().answer(1, false, 404, "set-cookie s=1; Path=/").data(1, false, "hello").headers(1, true, "x-end here").send()
	k := &sink{TB: t, Tell: tell}
	if err := run(k, talk.steps, 0); err != nil {
		t.Fatal(err)
	}
	request := len(talk.steps[3].Data) - 2*headerSize - 2
	want := fmt.Sprintf(`{"method":"POST","url":"/a%%20b?q=1&q=2","path":"/a%%20b","host":"shop","http_version":"HTTP/2","query_string":{"q":"1,2"},`+
		`"request.headers":{"cookie":"a=1; b=2","x-dup":"1, 2"},"request.cookies":{"a":"1","b":"2"},"request_headers_size":%d,"request_body_size":2,`+
		`"status_code":404,"response.headers":{"server":"test/2","set-cookie":"s=1; Path=/"},"response.cookies":{"s":"1"},"response.trailers":{"x-end":"here"},`, request)
	if len(k.Lines) != 1 || !strings.HasPrefix(k.Lines[0], want) || !strings.HasSuffix(k.Lines[0], `"response_body_size":5,"http2_stream":1}`) {
		t.Errorf("got  %s\nwant %s", k.Lines, want)
	}
}
