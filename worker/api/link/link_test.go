package link

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/worker/api/link/linktest"
)

// meet shakes hands and sends a byte from the worker to the hub, so that both have judged.
func meet(t *testing.T, worker, hub *tls.Config) (workerErr, hubErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		a, err := l.Accept()
		if err == nil {
			_, err = tls.Server(a, worker).Write([]byte{1})
			a.Close()
		}
		done <- err
	}()
	b, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, hubErr = io.ReadFull(tls.Client(b, hub), make([]byte, 1))
	b.Close()
	return <-done, hubErr
}

func pair(t *testing.T, workerDir, hubDir string, log *slog.Logger) (worker, hub *tls.Config) {
	t.Helper()
	worker, err := ServerTLS(workerDir, log)
	if err != nil {
		t.Fatal(err)
	}
	if hub, err = ClientTLS(hubDir, log); err != nil {
		t.Fatal(err)
	}
	return worker, hub
}

// Each end takes the other by its name and the CA, and nobody else.
func TestWhoIsTaken(t *testing.T) {
	ca, other := linktest.New(t), linktest.New(t)
	late := t.TempDir()
	ca.Write(t, late, WorkerName, -time.Hour)
	for _, tt := range []struct {
		name, worker, hub string
		workerErr, hubErr bool
	}{
		{"as it should", ca.Folder(t, WorkerName), ca.Folder(t, HubName), false, false},
		{"a worker asks a worker", ca.Folder(t, WorkerName), ca.Folder(t, WorkerName), true, false},
		{"a hub serves", ca.Folder(t, HubName), ca.Folder(t, HubName), false, true},
		{"somebody asks", ca.Folder(t, WorkerName), ca.Folder(t, "pod.sshark"), true, false},
		{"hub of another CA", ca.Folder(t, WorkerName), other.Folder(t, HubName), true, true},
		{"certificate that ended", late, ca.Folder(t, HubName), false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			worker, hub := pair(t, tt.worker, tt.hub, nil)
			workerErr, hubErr := meet(t, worker, hub)
			if errors.Is(hubErr, ErrPeer) != tt.hubErr || !tt.hubErr && errors.Is(workerErr, ErrPeer) != tt.workerErr {
				t.Errorf("the worker says %v, the hub %v", workerErr, hubErr)
			}
			if (workerErr != nil || hubErr != nil) != (tt.workerErr || tt.hubErr) {
				t.Errorf("the worker says %v, the hub %v", workerErr, hubErr)
			}
		})
	}
	t.Run("without a certificate", func(t *testing.T) {
		worker, hub := pair(t, ca.Folder(t, WorkerName), ca.Folder(t, HubName), nil)
		hub.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
		if workerErr, _ := meet(t, worker, hub); workerErr == nil {
			t.Error("taken")
		}
	})
}

// Files that are replaced count from the next connection on, also the CA; a folder that is
// broken for a while changes nothing, and is told once.
func TestReadAgain(t *testing.T) {
	ca, next := linktest.New(t), linktest.New(t)
	workerDir, hubDir := ca.Folder(t, WorkerName), ca.Folder(t, HubName)
	var text bytes.Buffer
	worker, hub := pair(t, workerDir, hubDir, slog.New(slog.NewTextHandler(&text, nil)))
	both := func(what string, want bool) {
		t.Helper()
		if a, b := meet(t, worker, hub); (a == nil && b == nil) != want {
			t.Errorf("%s: the worker says %v, the hub %v", what, a, b)
		}
	}
	both("at first", true)
	age := time.Now().Add(time.Minute)
	next.Write(t, workerDir, WorkerName, time.Hour)
	touch(t, workerDir, age)
	both("only one is renewed", false)
	next.Write(t, hubDir, HubName, time.Hour)
	touch(t, hubDir, age)
	both("both are renewed", true)
	text.Reset()
	key := filepath.Join(workerDir, "tls.key")
	if err := os.WriteFile(key, []byte("half of a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	both("a file is half written", true)
	both("and still", true)
	if n := strings.Count(text.String(), "level=WARN"); n != 1 {
		t.Errorf("told %d times: %s", n, text.String())
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	both("it is gone", true)
	next.Write(t, workerDir, WorkerName, time.Hour)
	both("it is back", true)
}

func touch(t *testing.T, dir string, at time.Time) {
	for _, name := range []string{certFile, keyFile, caFile} {
		if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
}

// What is wrong with a folder is said with what it must hold.
func TestWrongFolder(t *testing.T) {
	ca := linktest.New(t)
	mixed := ca.Folder(t, HubName)
	key, err := os.ReadFile(filepath.Join(ca.Folder(t, HubName), keyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(mixed, keyFile), key, 0o600); err != nil {
		t.Fatal(err)
	}
	noCA := ca.Folder(t, HubName)
	if err := os.WriteFile(filepath.Join(noCA, caFile), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{t.TempDir(): "must hold tls.crt, tls.key and ca.crt", mixed: "private key does not match", noCA: "no certificate in PEM"} {
		if _, err := ClientTLS(dir, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if _, err := ServerTLS(dir, nil); err == nil {
			t.Error("a worker takes it")
		}
	}
}
