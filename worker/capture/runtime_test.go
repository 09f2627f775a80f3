package capture

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

func TestControlPorts(t *testing.T) {
	proc := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(name, to string) {
		t.Helper()
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:A1B2 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0100007F:A1B3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
   2: 0100007F:A1B4 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0
   3: nonsense
`
	link("1/ns/net", "net:[1]")
	for pid, p := range map[string]struct{ name, ns string }{
		"20": {"containerd\n", "net:[1]"}, // its sockets: one listens, one does not
		"30": {"nginx\n", "net:[1]"},      // none of ours
		"40": {"kubelet\n", "net:[2]"},    // in a pod: a node within a node
	} {
		write(pid+"/comm", p.name)
		link(pid+"/ns/net", p.ns)
		write(pid+"/net/tcp", table)
		link(pid+"/fd/3", "socket:[111]")
		link(pid+"/fd/4", "socket:[333]")
		link(pid+"/fd/5", "/dev/null")
	}
	if got, want := ControlPorts(proc), []uint16{kubeletPort, 0xA1B2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := ControlPorts(filepath.Join(proc, "nothing")); !slices.Equal(got, []uint16{kubeletPort}) {
		t.Errorf("of nothing: %v", got)
	}
}

func TestListeningOfProcess(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := "/proc/" + strconv.Itoa(os.Getpid())
	table, err := os.ReadFile(dir + "/net/tcp")
	if err != nil {
		t.Skip(err)
	}
	if port := uint16(l.Addr().(*net.TCPAddr).Port); !slices.Contains(appendListening(nil, table, socketsOf(dir)), port) {
		t.Errorf("port %d, where this process listens, is not found", port)
	}
}
