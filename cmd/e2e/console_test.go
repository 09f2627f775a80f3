package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The release, its namespace and its image.
const (
	release       = "sshark"
	releaseSpace  = "sshark-e2e"
	releaseImage  = "localhost/sshark"
	workerPods    = "app.kubernetes.io/name=sshark,app.kubernetes.io/component=worker"
	hubPods       = "app.kubernetes.io/name=sshark,app.kubernetes.io/component=hub"
	hubDeployment = "deploy/sshark-hub"
)

// key is an SSH key of an operator.
type key struct {
	file, public string
}

// newKey makes one.
func newKey(t *testing.T, dir, name string) key {
	t.Helper()
	file := filepath.Join(dir, name)
	for _, f := range []string{file, file + ".pub"} {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	must(t, 10*time.Second, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file)
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return key{file, strings.TrimSpace(string(public))}
}

// console is the product as an operator sees it, with OpenSSH.
type console struct {
	via   []string // words before ssh
	login []string // its options and destination
	proxy string   // ProxyCommand, "" if there is none
}

func (k key) options(dir string) []string {
	return []string{"-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
		"-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile=" + filepath.Join(dir, "known_hosts"),
		"-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR", "-i", k.file}
}

// byProxy needs no open port: ssh goes through kubectl exec and sshark proxy.
func (c *cluster) byProxy(dir string, k key) *console {
	proxy := strings.Join(c.kubectl, " ") + " exec -i -n " + releaseSpace + " " + hubDeployment + " -- sshark proxy"
	return &console{nil, append(k.options(dir), "-o", "ProxyCommand="+proxy), proxy}
}

// byPort goes to a node port.
func (c *cluster) byPort(dir string, k key, addr string, port int) *console {
	return &console{c.run, append(k.options(dir), "-o", "HostName="+addr, "-o", "Port="+strconv.Itoa(port)), ""}
}

// with are the words of an OpenSSH program that speaks to the console.
func (c *console) with(program string, rest ...string) []string {
	return slices.Concat(c.via, []string{program}, c.login, rest)
}

// try runs a console command that may fail.
func (c *console) try(t *testing.T, words ...string) answer {
	t.Helper()
	return try(t, time.Minute, c.with("ssh", slices.Concat([]string{"operator@" + release}, words)...)...)
}

// ask runs a console command that must succeed, and returns its standard output.
func (c *console) ask(t *testing.T, words ...string) string {
	t.Helper()
	a := c.try(t, words...)
	if a.status != 0 {
		t.Fatalf("%q: %v", words, a)
	}
	return a.out
}

// endpoint is what the tests look at of an end of a call or flow.
type endpoint struct {
	IP           string
	Port         int
	Namespace    string
	Pod, Service struct{ Name string }
	Workload     string
	Node, DNS    string
}

// call is what the tests look at of a call.
type call struct {
	Time      time.Time
	Node      string
	Protocol  string
	Src, Dst  endpoint
	Stream    string
	Path      string
	Status    int   `json:"status_code"`
	Elapsed   int64 `json:"elapsed_time"` // microseconds
	Error     bool
	Questions []string `json:"dns_questions"`
	Vantage   string
	Network   int64                 `json:"network_time"` // microseconds
	Client    struct{ Node string } `json:"client_seen"`
}

// flow is what the tests look at of a flow.
type flow struct {
	Src, Dst endpoint
	Stream   string
	Packets  uint64
	Vantage  string
	Node     string
}

// objects reads what a command wrote with -o json.
func objects[T any](t *testing.T, text string) (all []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var one T
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		all = append(all, one)
	}
	return all
}

// calls asks for all calls that match.
func (c *console) calls(t *testing.T, filter string, words ...string) []call {
	t.Helper()
	return objects[call](t, c.ask(t, slices.Concat([]string{"calls", "--all", "-o", "json"}, words, []string{quote(filter)})...))
}

// of matches the calls that a client of the workload made under a name.
func of(name string) string { return fmt.Sprintf("http && path.startsWith(%q)", "/call/"+name+"/") }

// captured is what the tests look at of `nodes -o json`.
type captured struct {
	Name           string `json:"node_name"`
	State, Problem string
	Seen           uint64 `json:"packets_seen"`
	Stored         uint64 `json:"packets_stored"`
	Dropped        uint64 `json:"packets_dropped"`
	Bytes          uint64 `json:"bytes_stored"`
	Pods           []struct {
		Namespace, Name, UID, Problem string
		Interfaces                    []string
	}
}

// capturing says whether all nodes do, of which there are so many.
func (c *console) capturing(t *testing.T, nodes int) bool {
	t.Helper()
	a := c.try(t, "nodes", "-o", "json")
	if a.status != 0 {
		return false
	}
	all := objects[captured](t, a.out)
	return len(all) == nodes && !slices.ContainsFunc(all, func(n captured) bool { return n.State != "capturing" || n.Problem != "" })
}
