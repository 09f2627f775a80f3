package main_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/cmd/netlab"
)

// terminal is a console's screen in tmux, which OpenSSH shows there.
type terminal struct {
	t *testing.T
}

func (s terminal) tmux(args ...string) ([]byte, error) {
	// A server of its own, with nobody's settings.
	return exec.Command("tmux", append([]string{"-u", "-L", fmt.Sprintf("sshark-e2e-%d", os.Getpid()), "-f", "/dev/null"}, args...)...).CombinedOutput()
}

// text is what it shows.
func (s terminal) text() string {
	out, err := s.tmux("capture-pane", "-p")
	if err != nil {
		s.t.Errorf("tmux: %v: %s", err, out)
	}
	return string(out)
}

// press presses keys by tmux's names for them; write types a text.
func (s terminal) press(keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		if out, err := s.tmux("send-keys", k); err != nil {
			s.t.Fatalf("tmux: %v: %s", err, out)
		}
	}
}

func (s terminal) write(text string) {
	s.t.Helper()
	if out, err := s.tmux("send-keys", "-l", text); err != nil {
		s.t.Fatalf("tmux: %v: %s", err, out)
	}
}

// see waits until all texts are on the screen.
func (s terminal) see(texts ...string) {
	s.t.Helper()
	await(s.t, fmt.Sprintf("%q on the screen", texts), func() bool {
		shown := s.text()
		return !slices.ContainsFunc(texts, func(want string) bool { return !strings.Contains(shown, want) })
	})
}

// seeNot waits until a text is not on the screen.
func (s terminal) seeNot(text string) {
	s.t.Helper()
	await(s.t, fmt.Sprintf("%q to leave the screen", text), func() bool { return !strings.Contains(s.text(), text) })
}

// ended says whether the program in it has.
func (s terminal) ended() bool {
	_, err := s.tmux("has-session")
	return err != nil
}

// terminal opens the console's screen in a terminal of 120 by 40, with more words of the tui
// command; ok is false where tmux is missing.
func (c *console) terminal(t *testing.T, words ...string) (s terminal, ok bool) {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Log("no tmux: the screen is not looked at")
		return terminal{}, false
	}
	s = terminal{t}
	line := strings.Join(slices.Concat(c.via, []string{c.line, "-t"}), " ")
	if len(words) > 0 {
		line += " tui " + strings.Join(words, " ")
	}
	if out, err := s.tmux("new-session", "-d", "-x", "120", "-y", "40", line, ";", "set", "-s", "escape-time", "0"); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if t.Failed() {
			last, _ := s.tmux("capture-pane", "-p")
			t.Logf("the screen:\n%s", last)
		}
		s.tmux("kill-server") // it ends by itself with its last session
	})
	return s, true
}

// screen is terminal for a test that only looks; nil where tmux is missing.
func (c *console) screen(t *testing.T, words ...string) func() string {
	t.Helper()
	s, ok := c.terminal(t, words...)
	if !ok {
		return nil
	}
	return s.text
}

// TestScreen works as an operator does: from the sign-in to the end, over OpenSSH, in a terminal.
func TestScreen(t *testing.T) {
	needsRoot(t)
	needs(t, "ssh", "tmux")
	lab := openLab(t, "sshscr",
		netlab.Host{Name: "node"},
		netlab.Host{Name: "web", Addrs: []netip.Prefix{netip.MustParsePrefix("10.78.1.1/24")}},
		netlab.Host{Name: "cart", Addrs: []netip.Prefix{netip.MustParsePrefix("10.78.1.2/24")}})
	state := t.TempDir()
	c := startAlone(t, "sshscr", state)

	const server = "10.78.1.2:8080"
	var listener net.Listener
	if err := lab.Do("cart", func() (err error) {
		listener, err = net.Listen("tcp", server)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasPrefix(r.URL.Path, "/bad") {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintf(w, `{"path":%q}`, r.URL.Path)
	})}
	go srv.Serve(listener) // it ends with Close
	t.Cleanup(func() { srv.Close() })
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		doErr := lab.Do("web", func() error {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
			return nil
		})
		if doErr != nil {
			return nil, doErr
		}
		return conn, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	get := func(path string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Id", "id"+strings.ReplaceAll(path, "/", "-"))
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Error(err)
		}
		resp.Body.Close()
	}

	s, ok := c.terminal(t)
	if !ok {
		t.Skip("no tmux")
	}
	s.see("sshark calls", "live · last 15m")
	for i := range 20 {
		get(fmt.Sprintf("/items/%d", i))
	}
	get("/bad/1")
	s.see("GET /items/19", "GET /bad/1", "503", "sshscr-cart")

	s.write("/")
	s.write("http && status_co")
	s.see("status_code")
	s.press("Tab")
	s.write(" >= 500")
	s.see("✓")
	s.press("Enter")
	s.see("GET /bad/1")
	s.seeNot("GET /items/19")
	s.write(":save failing")
	s.press("Enter")
	s.see("saved as failing")

	s.press("Enter")
	s.see("at the client", "on the way", "at the server") // it was seen at both ends
	s.write(`\`)
	s.see("Response body", "x-id", "id-bad-1")
	s.write("co")
	s.see("copied the call as JSON")
	s.write("f")
	s.see("find in the details")
	s.write("x-id")
	s.press("Enter")
	s.see("›")
	s.write("C")
	s.see(`request.headers["x-id"] is a column now`, "X-ID")
	s.press("Escape")
	s.see("1 column =") // the chart is back
	s.press("Escape")
	s.see("/ all calls", "id-items-19")

	s.write("+")
	s.see("live · last 5m")
	s.write("[")
	s.see("nothing older is kept on")
	s.write("k+") // about a row: a window with an end
	window := regexp.MustCompile(`\d\d:\d\d:\d\d – \d\d:\d\d:\d\d`)
	await(t, "a window with an end", func() bool { return window.MatchString(s.text()) })
	s.write("0")
	s.see("live · last 5m", "GET /items/19")
	s.press("C-t")
	s.see("TIME AGO")

	s.write(":map")
	s.press("Enter")
	s.see("calls › map", "sshscr-cart")
	s.press("Escape")
	s.seeNot("›") // Escape and a letter at once would be another key
	s.write(":nodes")
	s.press("Enter")
	s.see("calls › nodes", "Nothing is wrong here.")
	s.write("?")
	s.see("Everywhere")
	s.press("Escape")
	s.seeNot("Everywhere")
	s.press("Escape")
	s.seeNot("›")
	s.write("q")
	await(t, "the screen to end", s.ended)

	// What was saved is there in the next session.
	again, _ := c.terminal(t)
	again.see("sshark calls")
	again.write(":filter fai")
	again.press("Tab", "Enter")
	again.see("/ http && status_code >= 500", "GET /bad/1")
	again.press("C-c")
	await(t, "the second screen to end", again.ended)
	c.interrupt()
}
