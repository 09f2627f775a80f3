package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/cmd/netlab"
)

// talk makes a little of each kind of traffic from host a to an address of host b, and returns
// when all of it is over: requests over HTTP, and questions over DNS.
func talk(t *testing.T, lab *netlab.Lab, address string) {
	t.Helper()
	var listener net.Listener
	var names net.PacketConn
	if err := lab.Do("b", func() (err error) {
		if listener, err = net.Listen("tcp", net.JoinHostPort(address, "8080")); err != nil {
			return err
		}
		names, err = net.ListenPacket("udp", net.JoinHostPort(address, "53"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	reach(t, lab, net.ParseIP(address))
	took := make([]time.Duration, 40)
	server := &http.Server{Handler: handle(20_000, took)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	go func() {
		for b := make([]byte, 512); ; {
			n, from, err := names.ReadFrom(b)
			if err != nil {
				return
			}
			// The question comes back with one answer: 10.0.0.60 for a minute.
			answer := append(bytes.Clone(b[:n]), "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x3c"...)
			answer[2], answer[3], answer[7] = 0x81, 0x80, 1
			names.WriteTo(answer, from)
		}
	}()
	dial := func(ctx context.Context, network, to string) (conn net.Conn, err error) {
		doErr := lab.Do("a", func() error {
			conn, err = new(net.Dialer).DialContext(ctx, network, to)
			return nil
		})
		return conn, errors.Join(doErr, err)
	}
	for range 4 {
		transport := &http.Transport{DialContext: dial, DisableCompression: true}
		client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		for n := range 10 {
			resp, err := client.Get(fmt.Sprintf("http://%s/n/%d", listener.Addr(), n))
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, resp.Body)
			if err := errors.Join(err, resp.Body.Close()); err != nil {
				t.Fatal(err)
			}
		}
		transport.CloseIdleConnections()
	}
	for n := range 5 {
		conn, err := dial(t.Context(), "udp", names.LocalAddr().String())
		if err == nil {
			_, err = fmt.Fprintf(conn, "\x12%c\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04cart\x04shop\x00\x00\x01\x00\x01", 'a'+n)
		}
		if err == nil {
			_, err = conn.Read(make([]byte, 512))
		}
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	quiet(t, lab, "a", "b")
}

// scp copies files to and from a console; REMOTE: stands for it.
func (c *console) scp(args ...string) answer {
	c.t.Helper()
	options := slices.Clone(c.login[1 : len(c.login)-1])
	options[slices.Index(options, "-p")] = "-P"
	for n, a := range args {
		if path, ok := strings.CutPrefix(a, "REMOTE:"); ok {
			args[n] = c.login[len(c.login)-1] + ":" + path
		}
	}
	all := slices.Concat(c.via, []string{"scp", "-F", "none", "-o", "BatchMode=yes"}, options, args)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c.t.Cleanup(cancel)
	return run(c.t, exec.CommandContext(ctx, all[0], all[1:]...))
}

// asksOfAll are the questions of which every place must give the same answers, byte for byte: all
// keys count. (Of stats the rate is left out: it is over the window, and a file's ends with its last
// packet, while a store knows that no other came.)
var asksOfAll = []string{"calls -o json", "calls -o json http", "flows -o json", "names -o json", "map -o json", "flows -o json --vantage both"}

// TestRoundTrip: what was captured, kept as a snapshot, copied down, up to another console, and
// looked at on a third machine are the same calls, flows, names and times.
func TestRoundTrip(t *testing.T) {
	needsRoot(t)
	needs(t, "ssh", "scp")
	const prefix = "sshround"
	lab := openLab(t, prefix, twoHosts(68)...)
	first, other := t.TempDir(), t.TempDir()
	c := startAlone(t, prefix, first)
	talk(t, lab, "10.77.68.2")
	// A moment after the last packet, which the window does not have.
	var window string
	await(t, "all that was said to be kept", func() bool {
		until := time.Now().UTC()
		window = fmt.Sprintf(" --since %s --until %s", until.Add(-time.Hour).Format(time.RFC3339Nano), until.Format(time.RFC3339Nano))
		return strings.Count(c.ask("calls -o json http"+window), "\n") == 40
	})
	const stats = "stats -o json --by protocol,dst.name"
	rate := regexp.MustCompile(`"rate":[^,]*,`)
	var live map[string]string
	var sums string
	await(t, "the window's last packets", func() bool { // those of the kernel, at any time
		was := live
		live = map[string]string{}
		for _, q := range asksOfAll {
			live[q] = c.ask(q + window)
		}
		sums = rate.ReplaceAllString(c.ask(stats+window), "")
		return maps.Equal(live, was)
	})
	for q, answer := range live {
		if answer == "" {
			t.Errorf("%s: nothing", q)
		}
	}
	for what, want := range map[string]int{`"protocol":"http"`: 40, `"protocol":"dns"`: 5} {
		if n := strings.Count(live[asksOfAll[0]], what); n != want {
			t.Errorf("%d calls with %s, want %d", n, what, want)
		}
	}
	same := func(where string, ask func(q string) string) {
		t.Helper()
		for _, q := range asksOfAll {
			if got := ask(q); got != live[q] {
				t.Errorf("%s, %s:\n%s\nand not\n%s", where, q, got, live[q])
			}
		}
		if got := rate.ReplaceAllString(ask(stats), ""); got != sums {
			t.Errorf("%s, %s:\n%s\nand not\n%s", where, stats, got, sums)
		}
	}
	c.ask("snapshot create one" + window)
	same("the snapshot", func(q string) string { return c.ask(q + " --snapshot one") })

	var text []byte
	for _, mode := range []string{"-s", "-O"} {
		path := filepath.Join(first, "one"+mode+".tar.gz")
		if a := c.scp(mode, "REMOTE:/snapshots/one.tar.gz", path); a.status != 0 || a.errs != "" {
			t.Fatalf("scp %s down: %+v", mode, a)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if text != nil && !bytes.Equal(got, text) {
			t.Error("the two modes of scp do not copy the same")
		}
		text = got
	}
	c.interrupt()

	up := startAlone(t, prefix, other)
	for mode, name := range map[string]string{"-s": "new", "-O": "old"} {
		if a := up.scp(mode, filepath.Join(first, "one"+mode+".tar.gz"), "REMOTE:/snapshots/"+name+".tar.gz"); a.status != 0 || a.errs != "" {
			t.Fatalf("scp %s up: %+v", mode, a)
		}
		same("the other console, scp "+mode, func(q string) string { return up.ask(q + " --snapshot " + name) })
	}
	third := filepath.Join(t.TempDir(), "again.tar.gz")
	if a := up.scp("REMOTE:/snapshots/new.tar.gz", third); a.status != 0 {
		t.Fatalf("scp down again: %+v", a)
	}
	if got, err := os.ReadFile(third); err != nil || !bytes.Equal(got, text) {
		t.Errorf("the file has changed on its way: %v", err)
	}
	up.interrupt()
	same("a file on a third machine", func(q string) string {
		a := run(t, exec.Command(program(t), append(strings.Fields(q), "--pcap", third)...))
		if a.status != 0 {
			t.Errorf("%s --pcap: %+v", q, a)
		}
		return a.out
	})
	tap(t, third, "GET /n/9", prefix+"-b", fmt.Sprintf("%d calls", strings.Count(live[asksOfAll[0]], "\n")))
}

// tap opens a file with the screen, and waits until it shows some words.
func tap(t *testing.T, path string, words ...string) {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Log("no tmux: the screen is not looked at")
		return
	}
	tmux := func(args ...string) string {
		// A server of its own, with nobody's settings.
		out, err := exec.Command("tmux", append([]string{"-L", fmt.Sprintf("sshark-tap-%d", os.Getpid()), "-f", "/dev/null"}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("tmux: %v: %s", err, out)
		}
		return string(out)
	}
	tmux("new-session", "-d", "-x", "160", "-y", "60", program(t)+" tap --pcap "+path)
	shown := ""
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the screen:\n%s", shown)
		}
		tmux("kill-server")
	})
	await(t, "the screen to show the file", func() bool {
		shown = tmux("capture-pane", "-p")
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(shown, w) })
	})
}
