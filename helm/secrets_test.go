package helm_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// secretFile is what a Secret holds under a name.
func secretFile(t *testing.T, all map[string]object, secret, name string) []byte {
	t.Helper()
	text, _ := at(all["Secret/"+secret], "data", name).(string)
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		t.Fatalf("%s, %s: %d bytes, %v", secret, name, len(b), err)
	}
	return b
}

func TestHostKey(t *testing.T) {
	block, rest := pem.Decode(secretFile(t, objects(t, ""), "sshark-hub-host-keys", "ssh_host_ed25519_key"))
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		t.Fatalf("no PEM of one private key: %+v", block)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := key.(ed25519.PrivateKey); !ok {
		t.Errorf("the host key is a %T", key)
	}
}

// identity is what hub or worker reads from its folder.
func identity(t *testing.T, all map[string]object, secret string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	cert, err := tls.X509KeyPair(secretFile(t, all, secret, "tls.crt"), secretFile(t, all, secret, "tls.key"))
	if err != nil {
		t.Fatalf("%s: %v", secret, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(secretFile(t, all, secret, "ca.crt")) {
		t.Fatalf("%s: no CA", secret)
	}
	return cert, pool
}

// TestMutualTLS shakes hands with what the chart makes, as hub and worker do.
func TestMutualTLS(t *testing.T) {
	all, other := objects(t, ""), objects(t, "")
	for _, tt := range []struct {
		name    string
		hub     map[string]object // whose Secrets the hub has
		client  string            // and which
		server  string            // the name that it wants to speak with
		refused bool
	}{
		{"hub and worker", all, "sshark-hub-tls", "worker.sshark", false},
		{"another release's hub", other, "sshark-hub-tls", "worker.sshark", true},
		{"not a worker", all, "sshark-hub-tls", "hub.sshark", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			workerCert, workerCA := identity(t, all, "sshark-worker-tls")
			hubCert, hubCA := identity(t, tt.hub, tt.client)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			near, far := net.Pipe()
			defer near.Close()
			defer far.Close()
			served := make(chan error, 1)
			worker := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{workerCert}, ClientCAs: workerCA, ClientAuth: tls.RequireAndVerifyClientCert})
			go func() {
				err := worker.HandshakeContext(ctx)
				if err != nil {
					_ = far.Close() // so that the hub does not wait for more
				}
				served <- err
			}()
			hub := tls.Client(near, &tls.Config{Certificates: []tls.Certificate{hubCert}, RootCAs: hubCA, ServerName: tt.server})
			hubErr := hub.HandshakeContext(ctx)
			if hubErr != nil {
				_ = near.Close()
			}
			workerErr := <-served
			if refused := hubErr != nil || workerErr != nil; refused != tt.refused {
				t.Fatalf("hub: %v, worker: %v, want refused: %v", hubErr, workerErr, tt.refused)
			}
			if tt.refused {
				return
			}
			peer := worker.ConnectionState().PeerCertificates[0]
			if !slices.Equal(peer.DNSNames, []string{"hub.sshark"}) || peer.Subject.CommonName != "hub.sshark" {
				t.Errorf("the hub is %q, %s", peer.DNSNames, peer.Subject)
			}
			if left := time.Until(peer.NotAfter); left < 9*365*24*time.Hour {
				t.Errorf("the certificate counts for %v", left)
			}
		})
	}
}

// cluster answers as an API server that holds Secrets, for helm's lookup.
func cluster(t *testing.T, secrets map[string]object) (address string) {
	t.Helper()
	answer := func(w http.ResponseWriter, status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // helm says what it lacks
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, isSecret := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/sshark/secrets/")
		switch {
		case r.URL.Path == "/version":
			answer(w, http.StatusOK, object{"major": "1", "minor": "34", "gitVersion": "v" + kubeVersion})
		case r.URL.Path == "/api/v1":
			answer(w, http.StatusOK, object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": []any{
				object{"name": "secrets", "namespaced": true, "kind": "Secret", "verbs": []any{"get", "list"}}}})
		case isSecret && secrets["Secret/"+name] != nil:
			answer(w, http.StatusOK, secrets["Secret/"+name])
		default:
			answer(w, http.StatusNotFound, object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404})
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestUpgradeKeeps: what was made at the first install is there after an upgrade; of the
// certificates either both are kept or, since the CA's key is not kept, neither.
func TestUpgradeKeeps(t *testing.T) {
	const hostKeys, workerTLS, hubTLS = "Secret/sshark-hub-host-keys", "Secret/sshark-worker-tls", "Secret/sshark-hub-tls"
	first := objects(t, "")
	for _, tt := range []struct {
		name string
		lost []string
		kept []string
		anew []string
	}{
		{"all there", nil, []string{hostKeys, workerTLS, hubTLS}, nil},
		{"one certificate lost", []string{workerTLS}, []string{hostKeys}, []string{workerTLS, hubTLS}},
		{"host key lost", []string{hostKeys}, []string{workerTLS, hubTLS}, []string{hostKeys}},
		{"all lost", []string{hostKeys, workerTLS, hubTLS}, nil, []string{hostKeys, workerTLS, hubTLS}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			there := map[string]object{}
			for key, o := range first {
				if strings.HasPrefix(key, "Secret/") && !slices.Contains(tt.lost, key) {
					there[key] = o
				}
			}
			second := objects(t, "", "--is-upgrade", "--dry-run=server", "--kube-apiserver", cluster(t, there), "--kube-token", "t")
			for _, key := range tt.kept {
				if !reflect.DeepEqual(first[key]["data"], second[key]["data"]) {
					t.Errorf("%s was not kept", key)
				}
			}
			for _, key := range tt.anew {
				if second[key]["data"] == nil || reflect.DeepEqual(first[key]["data"], second[key]["data"]) {
					t.Errorf("%s was not made anew", key)
				}
			}
			w, pool := identity(t, second, "sshark-worker-tls")
			if _, err := w.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "worker.sshark"}); err != nil {
				t.Errorf("the worker's certificate: %v", err)
			}
			h, _ := identity(t, second, "sshark-hub-tls")
			if _, err := h.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
				t.Errorf("the hub's certificate under the worker's CA: %v", err)
			}
		})
	}
}

// TestBroughtIsNotMade: with the user's own Secrets, or cert-manager's, the chart makes none of
// its own, and two renderings are the same.
func TestBroughtIsNotMade(t *testing.T) {
	sets := valueSets(t)
	for key := range objects(t, sets["brought"]) {
		if strings.HasPrefix(key, "Secret/") {
			t.Errorf("made: %s", key)
		}
	}
	one, err := render(t, sets["brought"])
	if err != nil {
		t.Fatal(err)
	}
	if two, err := render(t, sets["brought"]); err != nil || one != two {
		t.Errorf("two renderings differ: %v", err)
	}
	all := objects(t, sets["certmanager"])
	for component, server := range map[string]string{"worker": "worker.sshark", "hub": "hub.sshark"} {
		name := "sshark-" + component + "-tls"
		if all["Secret/"+name] != nil {
			t.Errorf("cert-manager's Secret is made: %s", name)
		}
		c := all["Certificate/"+name]
		want(t, c, []any{server}, "spec", "dnsNames")
		want(t, c, name, "spec", "secretName")
		pod := pods(t, all)[component]
		want(t, pod, name, "spec", "volumes", 0, "secret", "secretName")
	}
}
