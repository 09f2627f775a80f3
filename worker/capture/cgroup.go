package capture

import (
	"bytes"
	"strings"
)

// podUID finds the UID of a pod in what /proc/PID/cgroup says (cgroups(7)), "" if the process
// is of none. nth counts from 1 where one pod is within another: a node that is itself a
// container of a pod names the outer one first.
//
// The kubelet makes one cgroup for each pod; what is above it (its own root, a folder for
// the quality of service) and below it (the runtime's containers) is not looked at, and may be
// missing: a reader in a cgroup namespace of its own sees "/../../podUID/ID". Of static pods
// the UID is a hash, which the API server knows as their annotation kubernetes.io/config.hash.
func podUID(cgroup []byte, nth int) string {
	for line := range bytes.Lines(cgroup) {
		_, path, ok := cutTwice(bytes.TrimSuffix(line, []byte{'\n'}))
		if !ok {
			continue
		}
		found := 0
		for part := range bytes.SplitSeq(path, []byte{'/'}) {
			if uid := podPart(part); uid != nil {
				if found++; found == nth {
					return strings.ReplaceAll(string(uid), "_", "-")
				}
			}
		}
	}
	return ""
}

// podDepth is how many pods there are in what /proc/PID/cgroup says, one within the other.
func podDepth(cgroup []byte) int {
	for n := 0; ; n++ {
		if podUID(cgroup, n+1) == "" {
			return n
		}
	}
}

// cutTwice takes hierarchy and controllers off a line "4:memory:/path".
func cutTwice(line []byte) (head, path []byte, ok bool) {
	head, rest, ok := bytes.Cut(line, []byte{':'})
	if !ok {
		return nil, nil, false
	}
	_, path, ok = bytes.Cut(rest, []byte{':'})
	return head, path, ok
}

// podPart is the UID in one part of a path: "podUID" of the cgroupfs driver, or the systemd
// driver's "kubepods-burstable-podUID.slice", where dashes of the UID are underscores. A
// runtime that was told the one and got the other appends ":cri-containerd:ID".
func podPart(part []byte) []byte {
	uid, ok := bytes.CutPrefix(part, []byte("pod"))
	if !ok {
		slice, _, ok := bytes.Cut(part, []byte(".slice"))
		if !ok {
			return nil
		}
		n := bytes.LastIndex(slice, []byte("-pod"))
		if n < 0 {
			return nil
		}
		uid = slice[n+len("-pod"):]
	}
	if !isUID(uid) {
		return nil
	}
	return uid
}

// isUID takes a UUID in its text form (RFC 9562, 4), or 32 digits.
func isUID(b []byte) bool {
	if len(b) != 36 && len(b) != 32 {
		return false
	}
	for i, c := range b {
		dash := len(b) == 36 && (i == 8 || i == 13 || i == 18 || i == 23)
		switch {
		case dash && (c == '-' || c == '_'):
		case !dash && (c >= '0' && c <= '9' || c >= 'a' && c <= 'f'):
		default:
			return false
		}
	}
	return true
}
