package health

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func fine() error { return nil }

func TestChecks(t *testing.T) {
	var alive, ready error
	h := Off().handler(Options{Alive: func() error { return alive }, Ready: func() error { return ready }, Log: slog.New(slog.DiscardHandler)})
	for _, tt := range []struct {
		name         string
		alive, ready error
		path         string
		code         int
		text         string
	}{
		{"alive", nil, errors.New("no pods yet"), "/healthz", 200, "ok\n"},
		{"not ready", nil, errors.New("no pods yet"), "/readyz", 503, "no pods yet\n"},
		{"ready", nil, nil, "/readyz", 200, "ok\n"},
		{"broken", errors.New("capture ended"), nil, "/healthz", 503, "capture ended\n"},
		{"other paths", nil, nil, "/debug/pprof/", 404, "404 page not found\n"},
	} {
		alive, ready = tt.alive, tt.ready
		if code, text := get(t, h, tt.path); code != tt.code || text != tt.text {
			t.Errorf("%s: %d %q, want %d %q", tt.name, code, text, tt.code, tt.text)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/healthz", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

// TestStuck holds that a check which does not return is told as such, holds one goroutine
// however often it is asked for, and is forgotten when it returns after all.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		var began atomic.Int32
		h := Off().handler(Options{Ready: fine, Log: slog.New(slog.DiscardHandler), Alive: func() error {
			began.Add(1)
			<-free
			return nil
		}})
		for range 3 {
			begun := time.Now()
			if code, text := get(t, h, "/healthz"); code != 503 || !strings.Contains(text, "stuck") {
				t.Errorf("%d %q", code, text)
			}
			if took := time.Since(begun); took != stuckAfter {
				t.Errorf("answered after %v", took)
			}
		}
		if n := began.Load(); n != 1 {
			t.Errorf("%d checks were begun", n)
		}
		close(free)
		synctest.Wait()
		if code, text := get(t, h, "/healthz"); code != 200 {
			t.Errorf("%d %q after it was free again", code, text)
		}
	})
}

func TestServe(t *testing.T) {
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sshark_test", Help: "a test"})
	gauge.Set(42)
	s, err := Start(Options{Listen: "127.0.0.1:0", Alive: fine, Ready: fine, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Register(gauge); err != nil {
		t.Fatal(err)
	}
	if err := s.Register(gauge); err == nil {
		t.Error("metrics are registered twice")
	}
	answer, err := http.Get("http://" + s.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"sshark_test 42", "go_goroutines", "process_resident_memory_bytes"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + s.Addr().String() + "/healthz"); err == nil {
		t.Error("it is served after Close")
	}
	if _, err := Start(Options{Listen: "256.0.0.1:1", Alive: fine, Ready: fine, Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("an address that is none is listened to")
	}
}

// TestTwo holds that metrics are registered with a server, not with the process.
func TestTwo(t *testing.T) {
	for range 2 {
		if err := Off().Register(prometheus.NewGauge(prometheus.GaugeOpts{Name: "sshark_test", Help: "a test"})); err != nil {
			t.Error(err)
		}
	}
}
