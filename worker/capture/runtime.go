package capture

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// kubeletPort is where a kubelet serves exec, port-forward and logs, if nobody chose another.
const kubeletPort = 10250

// streamers are the programs that carry what is said in `kubectl exec`, `port-forward`, `logs`
// and `attach` through the node's own network: the kubelet, where the API server comes in, and
// container runtimes, which serve the kubelet on a port of lo that they choose at random.
var streamers = map[string]bool{"kubelet": true, "containerd": true, "crio": true, "cri-dockerd": true, "dockerd": true}

// ControlPorts are the TCP ports that those programs listen on, sorted. An operator who comes
// through `kubectl exec` is heard there, and would be shown what showing it to him makes.
// proc is where the proc file system is, such as /proc; what cannot be read is left out.
func ControlPorts(proc string) []uint16 {
	ports := []uint16{kubeletPort}
	entries, err := os.ReadDir(proc)
	if err != nil {
		return ports
	}
	own, err := os.Readlink(filepath.Join(proc, "1/ns/net"))
	if err != nil {
		return ports
	}
	for _, e := range entries {
		if c := e.Name()[0]; c < '0' || c > '9' {
			continue
		}
		dir := filepath.Join(proc, e.Name())
		name, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil || !streamers[strings.TrimSpace(string(name))] {
			continue
		}
		if ns, err := os.Readlink(filepath.Join(dir, "ns/net")); err != nil || ns != own {
			continue
		}
		sockets := socketsOf(dir)
		for _, table := range []string{"net/tcp", "net/tcp6"} {
			if text, err := os.ReadFile(filepath.Join(dir, table)); err == nil {
				ports = appendListening(ports, text, sockets)
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// socketsOf are the inode numbers of a process's sockets.
func socketsOf(dir string) map[string]bool {
	out := map[string]bool{}
	entries, _ := os.ReadDir(filepath.Join(dir, "fd")) // it has ended: it has none
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, "fd", e.Name()))
		if inode, ok := strings.CutPrefix(target, "socket:["); err == nil && ok {
			out[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return out
}

// appendListening appends the ports of those sockets of /proc/PID/net/tcp (proc_pid_net(5)) that
// listen and are among sockets.
func appendListening(ports []uint16, table []byte, sockets map[string]bool) []uint16 {
	const listen = "0A" // TCP_LISTEN of net/tcp_states.h
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] != listen || !sockets[f[9]] {
			continue
		}
		if port, err := portOf(f[1]); err == nil {
			ports = append(ports, port)
		}
	}
	return ports
}

// portOf reads the port of a local_address, ADDRESS:PORT in hexadecimal.
func portOf(local string) (uint16, error) {
	_, text, ok := strings.Cut(local, ":")
	n, err := strconv.ParseUint(text, 16, 16)
	if !ok || err != nil {
		return 0, fmt.Errorf("read port of %q", local)
	}
	return uint16(n), nil
}
