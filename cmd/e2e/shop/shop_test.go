package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// TestCall: each number is asked for once, however the client goes about it.
func TestCall(t *testing.T) {
	for _, tt := range []struct {
		name        string
		args        []string
		connections int
	}{
		{"paced", []string{"--rate", "1000"}, 20},
		{"at once", []string{"--rate", "0"}, 20},
		{"kept connection", []string{"--rate", "1000", "--keep-alive"}, 1},
		{"from another number on", []string{"--rate", "0", "--first", "21"}, 20},
		{"staying", []string{"--rate", "0", "--stay", "1ms"}, 20},
		{"failing", []string{"--rate", "1000", "--query", "status=503&latency=1ms"}, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var asked []string
			opened := map[string]bool{}
			s := &server{name: "me"}
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				asked = append(asked, r.URL.Path)
				opened[r.RemoteAddr] = true
				mu.Unlock()
				s.call(w, r)
			}))
			defer web.Close()
			var out bytes.Buffer
			if err := Run(t.Context(), append([]string{"call", "--name", "x", "--count", "20", "--url", web.URL}, tt.args...), &out); err != nil {
				t.Fatal(err)
			}
			var r Report
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			if r.Done != 20 || r.Failed != 0 || r.Servers["me"] != 20 || r.Seen["127.0.0.1"] != 20 {
				t.Errorf("%+v", r)
			}
			var want []string
			first := 1
			if i := slices.Index(tt.args, "--first"); i >= 0 {
				first, _ = strconv.Atoi(tt.args[i+1])
			}
			for n := range 20 {
				want = append(want, Path("x", first+n))
			}
			slices.Sort(asked)
			if !slices.Equal(asked, want) {
				t.Errorf("asked for %q", asked)
			}
			if len(opened) != tt.connections {
				t.Errorf("%d connections, want %d", len(opened), tt.connections)
			}
		})
	}
}

// TestCallOnce: where a kept connection breaks, the request that it was to carry has failed.
func TestCallOnce(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		mu.Unlock()
		if r.URL.Path == Path("x", 2) {
			panic(http.ErrAbortHandler)
		}
		(&server{name: "me"}).call(w, r)
	}))
	defer web.Close()
	var out bytes.Buffer
	if err := Run(t.Context(), []string{"call", "--name", "x", "--count", "3", "--rate", "1000", "--keep-alive", "--url", web.URL}, &out); err == nil {
		t.Error("no error")
	}
	var r Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Done != 2 || r.Failed != 1 || len(r.Errors) != 1 {
		t.Errorf("%+v", r)
	}
	for n := 1; n <= 3; n++ {
		if asked[Path("x", n)] != 1 {
			t.Errorf("asked for %v", asked)
		}
	}
}

func TestLookup(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	asked := map[string]int{}
	give := names(netip.MustParseAddr("192.0.2.1"))
	server := &dns.Server{PacketConn: udp, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		mu.Lock()
		asked[m.Question[0].Name]++
		mu.Unlock()
		give(w, m)
	})}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	var out bytes.Buffer
	if err := Run(t.Context(), []string{"lookup", "--name", "x", "--count", "10", "--rate", "1000", "--suffix", "example", "--server", udp.LocalAddr().String()}, &out); err != nil {
		t.Error(err)
	}
	if err := server.ShutdownContext(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(asked) != 10 || asked["x-00010.example."] != 1 {
		t.Errorf("asked for %v", asked)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"dance"}, {"call", "--loudly"}} {
		if err := Run(t.Context(), args, new(bytes.Buffer)); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
