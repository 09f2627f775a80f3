package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshark/sshark/cmd/netlab"
)

const mapPrefix = "sshmap"

// served is what an HTTP server counted.
type served struct{ calls, errors, conns atomic.Int64 }

// serveCounted serves in a host of a lab: HTTP/1 and HTTP/2 without TLS. Each so many requests
// fails, 0: none.
func serveCounted(t *testing.T, lab *netlab.Lab, host, address string, failing int64) *served {
	t.Helper()
	s := &served{}
	var l net.Listener
	if err := lab.Do(host, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n := s.calls.Add(1); failing > 0 && n%failing == 0 {
			s.errors.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		io.WriteString(w, "answer\n")
	}), ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s
}

// inHost runs a program in a host of a lab.
func inHost(t *testing.T, host string, words ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", append([]string{"netns", "exec", mapPrefix + "-" + host}, words...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", words, err, out)
	}
	return string(out)
}

// redisCounted are the commands and connections that Redis counted.
func redisCounted(t *testing.T) (commands, conns int64) {
	t.Helper()
	for line := range strings.Lines(inHost(t, "db", "redis-cli", "info", "all")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "total_commands_processed":
			commands = n
		case "total_connections_received":
			conns = n
		}
	}
	return commands, conns
}

// edge is what the tests look at of a line of `map -o json`.
type edge struct {
	Src, Dst struct{ Name string }
	Port     int
	Calls    int64
	Errors   int64
	Flows    int64
}

type edgeCount struct{ calls, errors, flows int64 }

// edges asks for the map.
func (c *console) edges(words ...string) map[string]edgeCount {
	c.t.Helper()
	all := map[string]edgeCount{}
	for _, line := range lines(c.ask(append([]string{"map", "-o", "json", "--all"}, words...)...)) {
		var e edge
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			c.t.Fatalf("%v: %s", err, line)
		}
		pods := strings.HasPrefix(e.Src.Name, mapPrefix) && strings.HasPrefix(e.Dst.Name, mapPrefix)
		if pods && e.Src.Name == e.Dst.Name || strings.HasPrefix(e.Dst.Name, "ff02::") || e.Dst.Name == "outside" || e.Dst.Name == "::" {
			continue // the tests' own questions over the loopback; what systems say to their neighbours
		}
		name := strings.ReplaceAll(e.Src.Name+" > "+e.Dst.Name, mapPrefix+"-", "")
		n := all[name]
		all[name] = edgeCount{n.calls + e.Calls, n.errors + e.Errors, n.flows + e.Flows}
	}
	return all
}

// TestMapCounts: each edge of the map has the calls, errors and connections that load tools made
// and servers counted: of what is kept, filtered, and on the screen while they come in.
func TestMapCounts(t *testing.T) {
	needsRoot(t)
	needs(t, "ssh", "ip", "h2load", "redis-server", "redis-benchmark", "redis-cli")
	var hosts []netlab.Host
	for i, name := range []string{"user", "web", "api", "db", "node"} {
		hosts = append(hosts, netlab.Host{Name: name, Addrs: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.77.71.%d/24", i+1))}})
	}
	lab := openLab(t, mapPrefix, hosts...)
	c := startAlone(t, mapPrefix, t.TempDir())
	c.captured(mapPrefix, "eth0", len(hosts)-1)

	web := serveCounted(t, lab, "web", "10.77.71.2:8080", 12)
	api := serveCounted(t, lab, "api", "10.77.71.3:8080", 0)
	redis := exec.Command("ip", "netns", "exec", mapPrefix+"-db", "redis-server", "--bind", "10.77.71.4", "127.0.0.1", "--port", "6379", "--save", "", "--appendonly", "no",
		"--protected-mode", "no", "--dir", t.TempDir())
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		redis.Process.Kill() // it does not end by itself
		redis.Wait()
	})
	await(t, "Redis to answer", func() bool {
		return exec.Command("ip", "netns", "exec", mapPrefix+"-db", "redis-cli", "ping").Run() == nil
	})
	screen := c.screen(t, "map", "http")
	if screen != nil {
		await(t, "the map to be open", func() bool { return strings.Contains(screen(), "Nobody spoke") || strings.Contains(screen(), "edge") })
	}

	const asked = 240
	for range asked {
		if err := lab.Do("user", func() error {
			conn, err := net.Dial("tcp", "10.77.71.2:8080")
			if err != nil {
				return err
			}
			defer conn.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://10.77.71.2:8080/thing", nil)
			if err != nil {
				return err
			}
			req.Close = true
			if err := req.Write(conn); err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, conn)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	load := inHost(t, "user", "h2load", "-n", "300", "-c", "3", "http://10.77.71.3:8080/")
	done := regexp.MustCompile(`requests: (\d+) total.* (\d+) succeeded`).FindStringSubmatch(load)
	if done == nil || done[2] != "300" {
		t.Fatalf("h2load: %s", load)
	}
	before, beforeConns := redisCounted(t)
	inHost(t, "web", "redis-benchmark", "-h", "10.77.71.4", "-n", "500", "-c", "4", "-t", "set", "-q")
	middle, middleConns := redisCounted(t)
	inHost(t, "api", "redis-benchmark", "-h", "10.77.71.4", "-n", "200", "-c", "2", "-t", "get", "-q")
	after, afterConns := redisCounted(t)
	quiet(t, lab, "user", "web", "api")

	// redisCounted itself counts, once each time, over the loopback. A
	// command is counted when it has ended, a connection when it begins.
	want := map[string]edgeCount{
		"user > web": {web.calls.Load(), web.errors.Load(), web.conns.Load()},
		"user > api": {api.calls.Load(), 0, api.conns.Load()},
		"web > db":   {middle - before - 1, 0, middleConns - beforeConns - 1},
		"api > db":   {after - middle - 1, 0, afterConns - middleConns - 1},
	}
	if n := want["user > web"]; n != (edgeCount{asked, asked / 12, asked}) {
		t.Fatalf("the server counted %+v", n)
	}
	t.Logf("counted: %+v", want)
	only := func(names ...string) map[string]edgeCount {
		out := map[string]edgeCount{}
		for _, n := range names {
			out[n] = want[n]
		}
		return out
	}
	var sum edgeCount
	for _, n := range want {
		sum = edgeCount{sum.calls + n.calls, sum.errors + n.errors, sum.flows + n.flows}
	}
	pod := func(side, host string) string { return fmt.Sprintf("'%s.pod.name == %q'", side, mapPrefix+"-"+host) }
	for _, tt := range []struct {
		name  string
		words []string
		want  map[string]edgeCount
	}{
		{"all", nil, want},
		{"by pod", []string{"--by", "pod"}, want},
		{"of a pod", []string{pod("src", "user")}, only("user > web", "user > api")},
		{"to a pod", []string{pod("dst", "db")}, only("web > db", "api > db")},
		{"--pod", []string{"--pod", mapPrefix + "-web"}, only("user > web", "web > db")},
		{"of a protocol", []string{"redis"}, only("web > db", "api > db")},
		{"failed", []string{"error"}, map[string]edgeCount{"user > web": {asked / 12, asked / 12, asked / 12}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got map[string]edgeCount
			deadline := time.Now().Add(10 * time.Second)
			for got = c.edges(tt.words...); !maps.Equal(got, tt.want) && time.Now().Before(deadline); {
				got = c.edges(tt.words...)
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("%+v\nwant %+v", got, tt.want)
			}
		})
	}
	t.Run("by node", func(t *testing.T) {
		got := c.edges("--by", "node", "'tcp && src.pod.name != dst.pod.name'")
		if len(got) != 1 {
			t.Fatalf("%+v: all is on one node", got)
		}
		for _, n := range got {
			if n != sum {
				t.Errorf("%+v, want %+v", n, sum)
			}
		}
	})
	if screen == nil {
		return
	}
	// The client is the first box; its edges are told in full below.
	row := func(to string, n edgeCount) *regexp.Regexp {
		return regexp.MustCompile(fmt.Sprintf(`→ %s-%s +http\S* +%d `, mapPrefix, to, n.calls))
	}
	await(t, "the screen to have what was counted", func() bool {
		text := screen()
		return row("web", want["user > web"]).MatchString(text) && row("api", want["user > api"]).MatchString(text)
	})
}
