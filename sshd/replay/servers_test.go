package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/worker/reach/reachtest"
)

// shop is an HTTP server whose price changes.
func shop(price *atomic.Int64) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/price", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Request-Id", strconv.FormatInt(time.Now().UnixNano(), 36))
		json.NewEncoder(w).Encode(map[string]any{"item": string(b), "price": price.Load(), "served": time.Now().UTC().Format(time.RFC3339Nano)})
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s price %d", strings.Repeat("page ", 10000), price.Load())
	})
	mux.HandleFunc("/gone", func(w http.ResponseWriter, r *http.Request) {
		if price.Load() == 10 {
			http.Error(w, "gone", http.StatusNotFound)
		}
	})
	return mux
}

// calls makes the calls of the shop over one connection.
func calls(t *testing.T, c *http.Client, base string) {
	t.Helper()
	for _, x := range []struct{ method, path, body string }{{"POST", "/price", "tea"}, {"GET", "/page", ""}, {"GET", "/gone", ""}, {"POST", "/price", "milk"}} {
		r, err := http.NewRequestWithContext(t.Context(), x.method, base+x.path, strings.NewReader(x.body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	c.CloseIdleConnections()
}

func TestHTTP(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			var price atomic.Int64
			price.Store(10)
			server := httptest.NewUnstartedServer(shop(&price))
			var protocols http.Protocols
			protocols.SetHTTP1(!h2)
			protocols.SetUnencryptedHTTP2(h2)
			server.Config.Protocols = &protocols
			server.Start()
			defer server.Close()
			tape := newTape()
			transport := &http.Transport{MaxConnsPerHost: 1, Protocols: &protocols}
			calls(t, &http.Client{Transport: transport}, "http://"+tape.proxy(t, server.Listener.Addr().String()))
			until(t, "the connection has ended", tape.ended)

			again := tape.play(t, Order{})
			again.same(t, 4)
			if o := again.Shown.Outcomes[0]; !strings.Contains(strings.Join(o.Ignored, " "), "response.body.served") {
				t.Errorf("ignored %q, want the time in the body", o.Ignored)
			}
			// Many times, and at once.
			many := tape.play(t, Order{Times: 5, Pace: Pace{Timed: true}})
			many.same(t, 4)
			if many.Same != 5 {
				t.Errorf("%d runs the same, want 5", many.Same)
			}

			price.Store(12)
			changed := tape.play(t, Order{})
			changed.tells(t, "response.body.price: 10 became 12", `price 10" became 50009 bytes`, "status_code: 404 became 200")
			if changed.Same != 0 || changed.Different != 1 {
				t.Errorf("%d the same, %d different", changed.Same, changed.Different)
			}
			// What is ignored by name is not told of.
			rest := tape.play(t, Order{Ignore: []string{"response.body", "status_code", "response.headers"}})
			rest.same(t, 4)
		})
	}
}

// nginx serves the folder's files, and returns its address.
func startNginx(t *testing.T, dir string) string {
	t.Helper()
	path := tool(t, "nginx")
	addr := free(t)
	config := fmt.Sprintf("daemon off; master_process off; pid %[1]s/pid; error_log stderr; events {} http { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s; server { listen %[2]s; root %[1]s; } }", dir, addr)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, exec.Command(path, "-c", file), addr)
	return addr
}

func TestNginx(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("tea costs 10"), 0o644); err != nil {
		t.Fatal(err)
	}
	addr := startNginx(t, dir)
	tape := newTape()
	c := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	base := "http://" + tape.proxy(t, addr)
	for _, path := range []string{"/a.txt", "/none", "/a.txt"} {
		answer, err := c.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	c.CloseIdleConnections()
	until(t, "the connection has ended", tape.ended)
	again := tape.play(t, Order{})
	again.same(t, 3)
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("tea costs 12"), 0o644); err != nil {
		t.Fatal(err)
	}
	changed := tape.play(t, Order{})
	changed.tells(t, `response.body: 12 bytes, at 11 " costs 10" became 12 bytes, at 11 " costs 12"`)
}

// fixedWindows keeps the server from measuring the connection: it does not expect that a ping
// which it did not send is answered, as in a replay, and has a data race there.
var fixedWindows = []grpc.ServerOption{grpc.InitialWindowSize(1 << 20), grpc.InitialConnWindowSize(1 << 20)}

func TestGRPC(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	state := health.NewServer()
	state.SetServingStatus("cart", grpc_health_v1.HealthCheckResponse_SERVING)
	server := grpc.NewServer(fixedWindows...)
	grpc_health_v1.RegisterHealthServer(server, state)
	go server.Serve(ln)
	defer server.Stop()
	tape := newTape()
	conn, err := grpc.NewClient(tape.proxy(t, ln.Addr().String()), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"cart", "none", "cart"} {
		_, _ = grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
	}
	conn.Close()
	until(t, "the connection has ended", tape.ended)
	again := tape.play(t, Order{})
	again.same(t, 3)
	state.SetServingStatus("cart", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	changed := tape.play(t, Order{})
	changed.tells(t, "response.body: 7 bytes, at 6 ")
	state.SetServingStatus("none", grpc_health_v1.HealthCheckResponse_SERVING)
	changed = tape.play(t, Order{})
	changed.tells(t, "grpc_status: 5 became 0")
}

func TestRedis(t *testing.T) {
	addr := free(t)
	_, port, _ := net.SplitHostPort(addr)
	start(t, exec.Command(tool(t, "redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()), addr)
	tape := newTape()
	exchange(t, addr, [2]string{"SET price 10\r\n", "+OK\r\n"})
	exchange(t, tape.proxy(t, addr), [2]string{"*2\r\n$3\r\nGET\r\n$5\r\nprice\r\n", "$2\r\n10\r\n"},
		[2]string{"*2\r\n$3\r\nGET\r\n$4\r\nnone\r\n*1\r\n$4\r\nPING\r\n", "$-1\r\n+PONG\r\n"}, [2]string{"*2\r\n$4\r\nLLEN\r\n$5\r\nprice\r\n", "-WRONGTYPE"})
	until(t, "the connection has ended", tape.ended)
	again := tape.play(t, Order{})
	again.same(t, 4)
	exchange(t, addr, [2]string{"SET price 12\r\n", "+OK\r\n"})
	changed := tape.play(t, Order{})
	changed.tells(t, `response.body: `)
	if changed.Different != 1 || len(changed.Shown.Outcomes[1].Differences) != 0 {
		t.Errorf("more than the price differs:\n%s", changed.text)
	}
}

// startPostgres starts a new database as the user that Debian's package made: it refuses to run
// as root. auth is how the clients of TCP prove who they are.
func startPostgres(t *testing.T, auth string) string {
	t.Helper()
	initdb, path := tool(t, "initdb"), tool(t, "postgres")
	account, err := user.Lookup("postgres")
	if os.Getuid() != 0 || err != nil {
		t.Skipf("needs root and the user postgres: %v", err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	dir, err := os.MkdirTemp("", "replay-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(data, 0o700), os.Chown(data, uid, gid)); err != nil {
		t.Fatal(err)
	}
	as := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir = data
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return cmd
	}
	secret := filepath.Join(data, "..", "secret")
	if err := os.WriteFile(secret, []byte("secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if said, err := as(initdb, "-D", data, "--auth="+auth, "-N", "--pwfile="+secret, "-U", "postgres").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, said)
	}
	addr := free(t)
	_, port, _ := net.SplitHostPort(addr)
	start(t, as(path, "-D", data, "-F", "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "ssl=off"), addr)
	psql(t, addr, "SELECT 'ready'") // it listens before it is
	return addr
}

// psql runs statements, each by itself.
func psql(t *testing.T, addr string, statements ...string) {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	args := []string{"-h", host, "-p", port, "-U", "postgres", "-X", "-q", "-v", "ON_ERROR_STOP=0"}
	for _, s := range statements {
		args = append(args, "-c", s)
	}
	var said []byte
	until(t, "psql is answered", func() bool {
		cmd := exec.Command(tool(t, "psql"), args...)
		cmd.Env = append(os.Environ(), "PGSSLMODE=disable", "PGGSSENCMODE=disable", "PGPASSWORD=secret")
		var err error
		said, err = cmd.CombinedOutput()
		var status *exec.ExitError
		return err == nil || errors.As(err, &status) && status.ExitCode() != 2 // 2: no connection (psql(1))
	})
	t.Logf("%s", said)
}

func TestPostgreSQL(t *testing.T) {
	addr := startPostgres(t, "trust")
	psql(t, addr, "CREATE TABLE items (name text, price int)", "INSERT INTO items VALUES ('tea', 10), ('milk', 3)")
	tape := newTape()
	psql(t, tape.proxy(t, addr), "SELECT name, price FROM items ORDER BY name", "SELECT nothing", "SELECT price FROM items WHERE name = 'milk'")
	until(t, "the connection has ended", tape.ended)
	again := tape.play(t, Order{})
	again.same(t, len(again.Plan.Calls))
	if len(again.Plan.Calls) < 3 {
		t.Errorf("%d calls, want the queries", len(again.Plan.Calls))
	}
	psql(t, addr, "UPDATE items SET price = 12 WHERE name = 'tea'")
	changed := tape.play(t, Order{})
	changed.tells(t, `tea\t10\n" became 30 bytes, at 12`)
	psql(t, addr, "DROP TABLE items")
	changed = tape.play(t, Order{})
	changed.tells(t, "postgresql_error_code", "42P01")
}

// A password that is proven against a challenge cannot be replayed, and that is said.
func TestPostgreSQLPassword(t *testing.T) {
	addr := startPostgres(t, "scram-sha-256")
	tape := newTape()
	psql(t, tape.proxy(t, addr), "SELECT 1")
	until(t, "the connection has ended", tape.ended)
	p := tape.play(t, Order{})
	if !errors.Is(p.err, ErrAgainst) || !strings.Contains(p.err.Error(), "SCRAM") {
		t.Errorf("it says %v", p.err)
	}
}

func TestDNS(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	var turned, price atomic.Bool
	answer := func(q []byte) []byte {
		b := append([]byte(nil), q...)
		b[2], b[3], b[7] = 0x81, 0x80, 2
		list := [][4]byte{{10, 1, 0, 2}, {10, 1, 0, 3}}
		if turned.Load() {
			list[0], list[1] = list[1], list[0]
		}
		if price.Load() {
			list[0] = [4]byte{10, 1, 0, 9}
		}
		for _, a := range list {
			b = append(append(b, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04"...), a[:]...)
		}
		return b
	}
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := server.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			server.WriteToUDPAddrPort(answer(b[:n]), from)
		}
	}()
	tape := newTape()
	s := tape.speak(netip.MustParseAddrPort("127.0.0.1:40000"), server.LocalAddr().(*net.UDPAddr).AddrPort(), flow.UDP)
	for _, name := range []string{"\x04cart", "\x03web"} {
		q := []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + name + "\x04shop\x00\x00\x01\x00\x01")
		q[1] += name[0]
		s.say(0, q)
		s.say(1, answer(q))
	}
	turned.Store(true)
	again := tape.play(t, Order{})
	again.same(t, 2)
	price.Store(true)
	changed := tape.play(t, Order{})
	changed.tells(t, `"10.1.0.9"`)
	server.Close()
	silent := tape.play(t, Order{Wait: 200 * time.Millisecond})
	if silent.Failed != 1 {
		t.Errorf("a server that is gone: %s", silent.text)
	}
}

func TestPlainBytes(t *testing.T) {
	word := "tea"
	addr := serve(t, func(c net.Conn) {
		b := make([]byte, 3)
		for {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			fmt.Fprintf(c, "\x01\x02%s=%s;", b, word)
		}
	})
	tape := newTape()
	exchange(t, tape.proxy(t, addr), [2]string{"one", "\x01\x02one=tea;"}, [2]string{"two", "\x01\x02two=tea;"})
	until(t, "the connection has ended", tape.ended)
	again := tape.play(t, Order{})
	again.same(t, 0)
	other := serve(t, func(c net.Conn) {
		b := make([]byte, 3)
		for {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			fmt.Fprintf(c, "\x01\x02%s=milk;", b)
		}
	})
	changed := tape.play(t, Order{To: other})
	changed.differs(t, `bytes: 20 bytes, at 6 "tea;" became 22 bytes, at 6 "milk;"`)
}

// tells wants these words in the result.
func (p *played) tells(tb testing.TB, want ...string) {
	tb.Helper()
	if p.err != nil || p.AllSame() {
		tb.Fatalf("%v\n%s", p.err, p.text)
	}
	for _, w := range want {
		if !strings.Contains(p.text, w) {
			tb.Errorf("it does not say %q:\n%s", w, p.text)
		}
	}
}

// ended says whether each connection on the tape has.
func (t *tape) ended() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.packets) == 0 {
		return false
	}
	last := t.packets[len(t.packets)-1].Data
	return len(last) == 40 && last[33] == flow.ACK && t.packets[len(t.packets)-2].Data[33]&flow.FIN != 0
}

// until waits for something to be so.
func until(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-ctx.Done():
			tb.Fatalf("waited in vain: %s", what)
		}
	}
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// start runs a server until the test ends, and waits until it listens.
func start(t *testing.T, cmd *exec.Cmd, addr string) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		cmd.Wait()
	})
	until(t, cmd.Path+" listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// serve answers connections.
func serve(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	return reachtest.Serve(t, answer).String()
}
