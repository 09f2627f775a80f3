package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// policy lets the operator do everything, and the clerk see and export the shop.
func (s *suite) policy() object {
	rule := func(user string, verbs []string, spaces ...string) object {
		return object{"users": []string{user}, "verbs": verbs, "namespaces": spaces}
	}
	return object{"rules": []object{
		rule("operator", []string{"see", "payload", "export", "replay", "snapshot"}, "*"),
		rule("clerk", []string{"see", "payload", "export"}, shopSpace),
	}}
}

// testScope: the clerk, who may look at the shop's namespace, tries to see the bank.
func (s *suite) testScope(t *testing.T) {
	clerk := s.byPort(s.dir, s.clerk, s.nodes[0].addr, s.port)
	// The shop's pods speak with the vault, so that some of its packets are the shop's too. The
	// teller speaks with the vault only.
	bank, teller := s.who("vault", ""), s.who("teller", "")
	tells := func(text string) bool {
		return strings.Contains(text, "in-the-bank") || strings.Contains(text, teller.Pod.Name)
	}
	// What shop's pods say to all their neighbours, the teller hears too.
	taken := func(t *testing.T, file string) {
		t.Helper()
		text := read(t, file)
		if bytes.Contains(text, []byte("in-the-bank")) {
			t.Error("the bank's packets are in it")
		}
		if len(text) > 0 {
			if n := len(fields(t, file, "frame.interface_name contains "+strconv.Quote(teller.Pod.Name)+" and !(eth.dst.ig == 1)", "frame.number")); n > 0 {
				t.Errorf("%d of the teller's packets are in it", n)
			}
		}
	}
	inside := s.console.calls(t, of("in-the-bank"))
	if len(inside) == 0 {
		t.Fatal("nothing is known of the bank: there is nothing to hide")
	}
	stream := inside[0].Stream

	t.Run("own", func(t *testing.T) {
		for _, name := range []string{"same-node", "space-to-space"} { // one end in the shop is enough
			if faults := miscounted(name, paths(clerk.calls(t, of(name))), 1, each, 1); len(faults) > 0 {
				t.Error(brief(faults))
			}
		}
		if out := clerk.ask(t, "flows", "--last", "5", "-o", "json", "-n", shopSpace); out == "" {
			t.Error("no flows of the shop")
		}
	})
	for _, tt := range []struct {
		name  string
		words []string
	}{
		{"calls by path", []string{"calls", "--all", "-o", "json", quote(of("in-the-bank"))}},
		{"calls by pod", []string{"calls", "--all", "-o", "json", quote(fmt.Sprintf("src.namespace == %q && dst.namespace == %q", bankSpace, bankSpace))}},
		{"calls of both vantages", []string{"calls", "--all", "-o", "json", "--vantage", "both", quote(of("in-the-bank"))}},
		{"calls that are not the shop's", []string{"calls", "--all", "-o", "json", quote(fmt.Sprintf("http && src.namespace != %q && dst.namespace != %q", shopSpace, shopSpace))}},
		{"flows", []string{"flows", "--all", "-o", "json", quote(fmt.Sprintf("src.namespace == %q && dst.namespace == %q", bankSpace, bankSpace))}},
		{"stream", []string{"stream", stream}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := clerk.try(t, tt.words...)
			if a.out != "" || tells(a.errs) {
				t.Errorf("%q tells of the bank: %v", tt.words, a)
			}
			s.audited(t, "clerk", strings.Join(tt.words, " "))
		})
	}
	t.Run("pcap", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "bank.pcapng")
		a := try(t, time.Minute, "sh", "-c", words(clerk.with("ssh", "operator@"+release, "pcap", "--all", quote("tcp && dst.port == 8080")))+" >"+quote(file))
		taken(t, file)
		if !bytes.Contains(read(t, file), []byte("same-node")) {
			t.Errorf("the shop's packets are not in it: %v", a)
		}
	})
	for _, path := range []string{
		"/namespaces/" + bankSpace + "/last/1h.pcapng",
		"/namespaces/" + bankSpace + "/pods/" + bank.Pod.Name + "/last/1h.pcapng",
		"/streams/" + stream + ".pcapng",
		"/streams/" + stream + ".client.bin",
		"/last/1h.pcapng",
		"/nodes/" + bank.Node + "/last/1h.pcapng",
	} {
		for _, program := range []string{"scp", "scp -O"} {
			t.Run(program+" "+path, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "taken.pcapng")
				name, flags, _ := strings.Cut(program, " ")
				rest := append(strings.Fields(flags), "operator@"+release+":"+path, file)
				a := try(t, time.Minute, clerk.with(name, rest...)...)
				taken(t, file)
				if strings.Contains(path, bankSpace) != (a.status != 0) && !strings.HasPrefix(path, "/streams/") {
					t.Errorf("%v", a)
				}
				s.audited(t, "clerk", path)
			})
		}
	}
	t.Run("sftp listing", func(t *testing.T) {
		for _, path := range []string{"/namespaces", "/namespaces/" + bankSpace + "/pods", "/streams"} {
			a := try(t, time.Minute, "sh", "-c", "echo "+quote("ls "+path)+" | "+words(clerk.with("sftp", "-q", "-b", "-", "operator@"+release)))
			for _, secret := range []string{bankSpace, teller.Pod.Name, stream} {
				if strings.Contains(strings.ReplaceAll(a.out, "sftp> ls "+path, ""), secret) {
					t.Errorf("ls %s tells %q: %s", path, secret, a.out)
				}
			}
		}
	})
	t.Run("nodes", func(t *testing.T) {
		if a := clerk.try(t, "nodes", "-o", "json"); strings.Contains(a.out, bankSpace) {
			t.Errorf("nodes tells the bank's pods: %v", a)
		}
	})
}

// audited waits until the hub's log has what a user tried.
func (s *suite) audited(t *testing.T, user, what string) {
	t.Helper()
	type entry struct {
		Audit      bool
		User, What string
	}
	if !soon(t, 10*time.Second, func() bool {
		for line := range strings.Lines(s.kube(t, "logs", "-n", releaseSpace, hubDeployment, "--since=10m")) {
			var e entry
			if json.Unmarshal([]byte(line), &e) == nil && e.Audit && e.User == user && strings.Contains(e.What, what) {
				return true
			}
		}
		return false
	}) {
		t.Errorf("the audit log has nothing of what %s tried: %s", user, what)
	}
}
