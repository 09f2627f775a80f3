package capture

import "testing"

func TestPodUID(t *testing.T) {
	const (
		uid  = "3032d389-0aa0-49e6-a202-707469985b29"
		id   = "4b463334fbb5b60799657d802d5db7bcc4db754eb108ca82ec8fa97f1f13777f"
		hash = "2f1c1b0d5c0e4b3a9d8e7f6a5b4c3d2e"
		low  = "3032d389_0aa0_49e6_a202_707469985b29"
	)
	for name, c := range map[string]struct {
		cgroup string
		want   string
	}{
		"v2 systemd, containerd":    {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + low + ".slice/cri-containerd-" + id + ".scope\n", uid},
		"v2 systemd, CRI-O":         {"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + low + ".slice/crio-" + id + ".scope\n", uid},
		"v2 systemd, CRI-O nested":  {"0::/kubepods.slice/kubepods-pod" + low + ".slice/crio-" + id + ".scope/container\n", uid},
		"v2 systemd, docker":        {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + low + ".slice/docker-" + id + ".scope\n", uid},
		"v2 systemd, guaranteed":    {"0::/kubepods.slice/kubepods-pod" + low + ".slice/cri-containerd-" + id + ".scope\n", uid},
		"v2 systemd, kind":          {"0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" + low + ".slice/cri-containerd-" + id + ".scope\n", uid},
		"v2 cgroupfs":               {"0::/kubepods/burstable/pod" + uid + "/" + id + "\n", uid},
		"v2 cgroupfs, guaranteed":   {"0::/kubepods/pod" + uid + "/" + id + "\n", uid},
		"v2 of a reader in a pod":   {"0::/../../kubepods-burstable-pod" + low + ".slice/cri-containerd-" + id + ".scope\n", uid},
		"v2 of a reader, cgroupfs":  {"0::/../../../besteffort/pod" + uid + "/" + id + "\n", uid},
		"v2 of a reader, neighbour": {"0::/../../pod" + uid + "/" + id + "\n", uid},
		"v1 cgroupfs":               {"11:memory:/kubepods/besteffort/pod" + uid + "/" + id + "\n10:cpu,cpuacct:/kubepods/besteffort/pod" + uid + "/" + id + "\n", uid},
		"v1, some hierarchies only": {"12:rdma:/\n11:memory:/user.slice\n1:name=systemd:/kubepods/besteffort/pod" + uid + "/" + id + "\n0::/system.slice/containerd.service\n", uid},
		"v1 systemd, drivers mixed": {"9:pids:/system.slice/containerd.service/kubepods-burstable-pod" + low + ".slice:cri-containerd:" + id + "\n", uid},
		"v1, kubelet root":          {"4:memory:/e2e-node1/kubelet/kubepods/burstable/pod" + uid + "/" + id + "\n", uid},
		"static pod, cgroupfs":      {"0::/kubepods/burstable/pod" + hash + "/" + id + "\n", hash},
		"static pod, systemd":       {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + hash + ".slice/cri-containerd-" + id + ".scope\n", hash},
		"no last line feed":         {"0::/kubepods/pod" + uid, uid},
		"service":                   {"0::/system.slice/kubelet.service\n", ""},
		"docker without Kubernetes": {"0::/docker/" + id + "\n", ""},
		"podman's pod":              {"0::/machine.slice/machine-libpod_pod_" + id + ".slice/libpod-" + id + ".scope\n", ""},
		"QoS folder":                {"0::/kubepods.slice/kubepods-burstable.slice\n", ""},
		"no UID":                    {"0::/kubepods/podinfo/x\n", ""},
		"UID of another form":       {"0::/kubepods/pod3032d389-0aa0-49e6-a202-70746998ZZZZ/x\n", ""},
		"dashes elsewhere":          {"0::/kubepods/pod3032d3890-aa0-49e6-a202-707469985b29/x\n", ""},
		"empty":                     {"", ""},
		"no path":                   {"0::\n:\nx\n", ""},
	} {
		if got := podUID([]byte(c.cgroup), 1); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A node that is itself a container of a pod, seen from within the same cgroup namespace.
func TestPodInPod(t *testing.T) {
	const outer, inner = "11111111-0aa0-49e6-a202-707469985b29", "22222222-0aa0-49e6-a202-707469985b29"
	path := []byte("4:memory:/kubepods/pod" + outer + "/x/kubelet/kubepods/pod" + inner + "/y\n")
	if n := podDepth(path); n != 2 {
		t.Errorf("depth %d, want 2", n)
	}
	if got := podUID(path, 1); got != outer {
		t.Errorf("the first is %q", got)
	}
	if got := podUID(path, 2); got != inner {
		t.Errorf("the second is %q", got)
	}
	if n := podDepth([]byte("0::/\n")); n != 0 {
		t.Errorf("depth %d of no pod", n)
	}
}

func FuzzPodUID(f *testing.F) {
	f.Add([]byte("0::/kubepods.slice/kubepods-pod3032d389_0aa0_49e6_a202_707469985b29.slice/x\n"))
	f.Add([]byte("4:memory:/kubepods/burstable/pod2f1c1b0d5c0e4b3a9d8e7f6a5b4c3d2e/y\n0::/\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		uid := podUID(b, 1)
		if (uid == "") != (podDepth(b) == 0) {
			t.Errorf("pod %q, depth %d", uid, podDepth(b))
		}
		if uid != "" && !isUID([]byte(uid)) {
			t.Errorf("%q is no UID", uid)
		}
	})
}
