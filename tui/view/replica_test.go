package view

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
)

func httpDetail(fields string, body *dissect.Body) *Detail {
	d := &Detail{Protocol: "http", Title: "HTTP", Transport: "tcp", RequestEnd: 1, RequestSize: 10, Fields: []byte(fields)}
	d.Dst.Addr = netip.MustParseAddrPort("10.0.1.7:8080")
	d.Bodies[0] = body
	return d
}

func TestCommandsOfCalls(t *testing.T) {
	for _, c := range []struct {
		name string
		d    *Detail
		want string // what is copied
		why  string // or why nothing is
	}{
		{"get", httpDetail(`,"method":"GET","url":"/a?b=c&d","host":"shop:80","request.headers":{"host":"shop:80","accept":"*/*","x-it's":"it's"}`, nil),
			`curl -g --path-as-is -H 'accept: */*' -H 'x-it'\''s: it'\''s' --url 'http://shop:80/a?b=c&d'`, ""},
		{"post", httpDetail(`,"method":"POST","url":"/","host":"shop","http_version":"HTTP/2","request.headers":{"content-type":"application/json","content-encoding":"gzip","content-length":"9"}`,
			&dissect.Body{Encoding: "gzip", Data: []byte(`{"a":"@b"}`), Size: 30}),
			`curl -g --path-as-is --http2-prior-knowledge -X POST -H 'content-type: application/json' --data-raw '{"a":"@b"}' --url http://shop/`, ""},
		{"lines and escapes", httpDetail(`,"method":"P'UT","url":"/\u001b[2J","host":"h;rm -rf /"`, &dissect.Body{Data: []byte("a\n'b\x1b!"), Size: 5}),
			`curl -g --path-as-is -X 'P'\''UT' --data-raw $'a\n\'b\033\041' -H 'content-type:' --url $'http://h;rm -rf //\033[2J'`, ""},
		{"hostile headers", httpDetail(`,"method":"GET","url":"/","host":"h","request.headers":{"@/etc/passwd":"x","a\nb":"c","":"d","empty":""}`, nil),
			`curl -g --path-as-is -H 'empty;' --url http://h/`, ""},
		{"no request", &Detail{Protocol: "http", Title: "HTTP", Fields: []byte(`,"status_code":200`)}, "", "its request was not seen"},
		{"cut", httpDetail(`,"method":"POST","url":"/","host":"h"`, &dissect.Body{Data: []byte("x"), Size: 100, Truncated: true}), "", "not all of its body"},
		{"binary", httpDetail(`,"method":"POST","url":"/","host":"h"`, &dissect.Body{Data: []byte("x\x00y"), Size: 3}), "", "binary"},
		{"unopened", httpDetail(`,"method":"POST","url":"/","host":"h"`, &dissect.Body{Data: []byte("x"), Size: 3, Err: errors.New("gzip: bad")}), "", "gzip: bad"},
		{"connect", httpDetail(`,"method":"CONNECT","url":"a:443","host":"a"`, nil), "", "tunnel"},
		{"redis", func() *Detail {
			d := httpDetail(`,"redis_command":"SET"`, &dissect.Body{Data: []byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na b\n\r\n"), Size: 30})
			d.Protocol = "redis"
			return d
		}(), `redis-cli -h 10.0.1.7 -p 8080 SET k $'a b\n'`, ""},
		{"dns", func() *Detail {
			d := httpDetail(`,"dns_request":true,"dns_questions":["-x.example"],"dns_question_types":["AAAA"]`, nil)
			d.Protocol, d.Transport = "dns", "udp"
			return d
		}(), `dig @10.0.1.7 -p 8080 -t AAAA -q -x.example`, ""},
		{"sql", func() *Detail {
			d := httpDetail(`,"postgresql_query":"select 1;\n-- \u001b]0;x"`, nil)
			d.Protocol = "postgresql"
			return d
		}(), "select 1;\n-- \\x1b]0;x", ""},
		{"grpc", func() *Detail {
			d := httpDetail(`,"method":"POST","url":"/shop.Cart/Add","host":"cart","grpc_service":"shop.Cart","grpc_method":"Add","request.headers":{"content-type":"application/grpc","x-id":"7"}`, &dissect.Body{Data: []byte("\x00\x00\x00\x00\x02\x08\x01")})
			d.Protocol = "grpc"
			return d
		}(), `grpcurl -plaintext -authority cart -H 'x-id: 7' -d @ 10.0.1.7:8080 shop.Cart/Add`, ""},
		{"no command", func() *Detail { d := httpDetail("", nil); d.Protocol, d.Title = "kafka", "Kafka"; return d }(), "", "no command for Kafka"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, why := command(c.d)
			if got != c.want || c.why == "" && why != "" || !strings.Contains(why, c.why) {
				t.Errorf("got  %s\nwant %s\nwhy %q, want %q", got, c.want, why, c.why)
			}
		})
	}
}

// TestCurlAsksTheSame lets a shell and curl do what was copied, and compares what a server gets.
func TestCurlAsksTheSame(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	type got struct{ method, url, header, body string }
	seen := make(chan got, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		if _, err := b.ReadFrom(r.Body); err != nil {
			t.Error(err)
		}
		seen <- got{r.Method, r.RequestURI, r.Header.Get("X-Odd"), b.String()}
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	for _, want := range []got{
		{"GET", "/a/../b?x=[1-3]&y={a,b}", `a'b"c $HOME`, ""},
		{"POST", "/", "", "@/etc/passwd"},
		{"PATCH", "/", "!x", "line one\r\nit's `id` $(id) \\ !! \x01\x7f größe"},
	} {
		d := httpDetail(fmt.Sprintf(`,"method":%q,"url":%q,"host":%q,"request.headers":{"x-odd":%q}`, want.method, want.url, host, want.header), nil)
		if want.body != "" {
			d.Bodies[0] = &dissect.Body{Data: []byte(want.body), Size: int64(len(want.body))}
		}
		line, why := command(d)
		if why != "" {
			t.Fatal(why)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		out, err := exec.CommandContext(ctx, "bash", "-c", line+" -s --noproxy '*'").CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
		if g := <-seen; g != want {
			t.Errorf("%s\ngot  %+q\nwant %+q", line, g, want)
		}
	}
}

// FuzzShell: a quoted word is one word for a shell, whatever it holds: outside of quotes there is
// nothing but letters.
func FuzzShell(f *testing.F) {
	for _, s := range []string{"", "a b", "it's", "$(id)", "\x1b[2J", "größe", "'\\''", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := shell(s)
		switch {
		case strings.HasPrefix(q, "$'"):
			for i := 2; i < len(q)-1; i++ {
				if q[i] == '\\' {
					i++
				} else if q[i] == '\'' || q[i] < 0x20 || q[i] >= 0x7f {
					t.Fatalf("%q is quoted as %s", s, q)
				}
			}
		case strings.HasPrefix(q, "'"):
			if in := strings.ReplaceAll(q[1:len(q)-1], `'\''`, ""); strings.ContainsAny(in, "'\n\x1b") {
				t.Fatalf("%q is quoted as %s", s, q)
			}
		default:
			if strings.ContainsAny(q, " \t\n'\"$`\\!*?[]{}()<>|&;#~=^") || q != s {
				t.Fatalf("%q is quoted as %s", s, q)
			}
		}
	})
}
