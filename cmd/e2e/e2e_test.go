package main_test

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// suite is the product and the workload, as the tests of TestCluster share them.
type suite struct {
	*market
	dir      string   // of keys and files
	operator key      // may do everything
	clerk    key      // may see and export the shop's namespace
	console  *console // of the operator, by node port
	port     int      // the console's node port
}

// TestCluster installs the product with Helm into a cluster, runs a workload over two nodes,
// and asks about it with OpenSSH. Its parts build on each other and run in this order; what
// takes parts of the cluster down comes last.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a cluster: left out with -short")
	}
	c := newCluster(t)
	for _, tool := range []string{"ssh", "ssh-keygen", "sftp", "scp", "tshark", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	dir := cmp.Or(os.Getenv("E2E_KEEP"), t.TempDir())
	s := &suite{dir: dir, operator: newKey(t, dir, "operator"), clerk: newKey(t, dir, "clerk")}
	s.market = c.open(t, buildShop(t, c, dir))
	s.install(t)
	trades := s.trades()
	for i := range trades {
		s.trade(t, &trades[i])
	}
	if t.Failed() {
		t.Fatal("the workload does not work")
	}

	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"install", s.testInstall},
		{"security", s.testSecurity},
		{"numbers", s.testNumbers},
		{"map", s.testMap},
		{"export", s.testExport},
		{"scope", s.testScope},
		{"own traffic", s.testOwnTraffic},
		{"short life", s.testShortLife},
		{"address again", s.testAddressAgain},
		{"worker ends", s.testWorkerEnds},
		{"hub ends", s.testHubEnds},
		{"node is cut off", s.testNodeCutOff},
		{"API server stops", s.testNoAPI},
		{"node ends", s.testNodeEnds},
	} {
		if !t.Run(part.name, part.test) {
			s.describe(t)
		}
	}
}

// buildShop builds the workload for this machine, and puts its image on every node.
func buildShop(t *testing.T, c *cluster, dir string) (program string) {
	t.Helper()
	program = filepath.Join(dir, "e2e")
	must(t, 5*time.Minute, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-o", program, ".")
	c.image(t, dir, shopImage, "e2e")
	return program
}

// install builds the product's image and installs its chart. What is left of a run that was
// killed goes first, and everything goes at the end.
func (s *suite) install(t *testing.T) {
	t.Helper()
	remove := func() {
		try(t, 2*time.Minute, slices.Concat(s.helm, []string{"uninstall", release, "-n", releaseSpace, "--ignore-not-found", "--wait"})...)
		s.remove(t, releaseSpace)
		s.removeStores(t)
	}
	remove()
	s.atEnd(t, remove)
	s.image(t, s.dir, releaseImage, "sshark")
	values := filepath.Join(s.dir, "values.yaml")
	text, err := json.Marshal(s.values()) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(values, text, 0o600); err != nil {
		t.Fatal(err)
	}
	a := try(t, 4*time.Minute, slices.Concat(s.helm, []string{"install", release, "../../helm/sshark", "-n", releaseSpace, "--create-namespace",
		"--values", values, "--wait", "--timeout", "180s"})...)
	if a.status != 0 {
		s.describe(t)
		t.Fatalf("helm install: %v", a)
	}
	t.Logf("helm install:\n%s", a.out)
	var service struct {
		Spec struct{ Ports []struct{ NodePort int } }
	}
	s.get(t, &service, "service", "-n", releaseSpace, "sshark-hub")
	s.port = service.Spec.Ports[0].NodePort
	s.console = s.byPort(s.dir, s.operator, s.nodes[0].addr, s.port)
	await(t, time.Minute, "all nodes to be captured", func() bool { return s.console.capturing(t, len(s.nodes)) })
}

// atEnd has something removed at the end of the test, unless E2E_KEEP says that all is to
// stay, with the keys in the folder that it names.
func (c *cluster) atEnd(t *testing.T, remove func()) {
	t.Cleanup(func() {
		if os.Getenv("E2E_KEEP") == "" && !c.anew {
			remove()
		}
	})
}

// storePath is the folder of a node that packets are kept in.
const storePath = "/var/lib/sshark-e2e"

// removeStores removes the packets that the nodes keep. The workload is there.
func (s *suite) removeStores(t *testing.T) {
	t.Helper()
	parent, dir := filepath.Split(storePath)
	var pods []object
	for _, n := range s.nodes {
		p := visitor("cleaner-"+n.name, n.name)
		spec := p["spec"].(object)
		spec["volumes"] = []object{{"name": "parent", "hostPath": object{"path": parent}}}
		c := spec["containers"].([]object)[0]
		c["args"] = []string{"remove", "/parent/" + dir}
		c["securityContext"] = object{"runAsUser": 0}
		c["volumeMounts"] = []object{{"name": "parent", "mountPath": "/parent"}}
		pods = append(pods, p)
	}
	s.apply(t, pods...)
	for _, p := range pods {
		s.kube(t, "delete", "pod", "-n", shopSpace, s.visit(t, p).Metadata.Name)
	}
}

// values are those of the chart that the tests need.
func (s *suite) values() object {
	return object{
		"image": object{"repository": releaseImage, "tag": imageTag, "pullPolicy": "IfNotPresent"},
		"store": object{"path": storePath, "sizeMB": 256},
		// The tests cut the second node off: what asks must not be on it.
		"hub":     object{"nodeSelector": object{"kubernetes.io/hostname": s.nodes[0].name}},
		"service": object{"type": "NodePort"},
		"auth": object{
			"authorizedKeys": []string{s.operator.public, s.clerk.public},
			"policy":         s.policy(),
		},
	}
}

// describe logs what there is to know of the product's pods.
func (s *suite) describe(t *testing.T) {
	t.Helper()
	for _, words := range [][]string{
		{"get", "pods", "-A", "-o", "wide"},
		{"describe", "pods", "-n", releaseSpace},
		{"logs", "-n", releaseSpace, "-l", "app.kubernetes.io/name=sshark", "--tail=60", "--prefix", "--all-containers"},
		{"logs", "-n", releaseSpace, "-l", "app.kubernetes.io/name=sshark", "--tail=20", "--prefix", "--previous"},
	} {
		a := try(t, 30*time.Second, slices.Concat(s.kubectl, words)...)
		t.Logf("kubectl %s:\n%s%s", strings.Join(words, " "), a.out, a.errs)
	}
}
