package bpf

import (
	"bufio"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// MissingError says what this machine or process lacks for capturing.
type MissingError struct {
	What string // "CAP_BPF, CAP_PERFMON", "BTF of the running kernel"
	Do   string // what to do about it, a sentence without a full stop
	Err  error  // what the kernel said
}

// Error is for a person: what is missing and what to do.
func (e *MissingError) Error() string {
	return "capture needs " + e.What + ": " + e.Do + " (" + e.Err.Error() + ")"
}

func (e *MissingError) Unwrap() error { return e.Err }

// Explain finds out what is missing when the kernel refused something that capture needs, and
// returns it as a *MissingError. Any other error, and nil, is returned as it is.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	var verifier *ebpf.VerifierError
	switch {
	case errors.As(err, &verifier) && len(verifier.Log) > 0:
		return &MissingError{
			What: "a kernel that accepts its program",
			Do:   "use Linux 5.8 or later, and report this if it is one",
			Err:  err,
		}
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		what, do := missingCapabilities(effectiveCapabilities())
		if what == "" && inUserNamespace() {
			what = "the machine's own user namespace"
			do = "run as root outside of a user namespace (a rootless container is one)"
		} else if what == "" {
			what = "permission to load eBPF programs"
			do = "a security module, lockdown or seccomp profile forbids it on this machine: allow bpf(2)"
			if limit := new(unix.Rlimit); unix.Getrlimit(unix.RLIMIT_MEMLOCK, limit) == nil && limit.Max != unix.RLIM_INFINITY {
				do += ", and raise the limit of locked memory (ulimit -l unlimited)"
			}
		}
		return &MissingError{What: what, Do: do, Err: err}
	case noKernelBTF():
		return &MissingError{
			What: "the type information of the running kernel (/sys/kernel/btf/vmlinux)",
			Do:   "mount /sys, or use a kernel built with CONFIG_DEBUG_INFO_BTF",
			Err:  err,
		}
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.EINVAL):
		return &MissingError{What: "a newer kernel", Do: "use Linux 5.8 or later", Err: err}
	case errors.Is(err, unix.ENOMEM):
		return &MissingError{
			What: "memory for the ring",
			Do:   "choose a smaller ring, or raise the memory limit",
			Err:  err,
		}
	}
	return err
}

func noKernelBTF() bool {
	_, err := os.Stat("/sys/kernel/btf/vmlinux")
	return errors.Is(err, os.ErrNotExist)
}

// inUserNamespace says whether this process is in a user namespace below the machine's own,
// where capabilities count for nothing (user_namespaces(7)).
func inUserNamespace() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !slices.Equal(strings.Fields(string(b)), []string{"0", "0", "4294967295"})
}

// missingCapabilities compares the effective capabilities with what capture takes.
func missingCapabilities(have uint64) (what, do string) {
	has := func(c uint) bool { return have&(1<<c) != 0 }
	var names []string
	if !has(unix.CAP_SYS_ADMIN) {
		if !has(unix.CAP_BPF) {
			names = append(names, "CAP_BPF")
		}
		if !has(unix.CAP_PERFMON) {
			names = append(names, "CAP_PERFMON")
		}
		names = append(names, "CAP_SYS_ADMIN") // setns(2)
	}
	if !has(unix.CAP_NET_RAW) {
		names = append(names, "CAP_NET_RAW")
	}
	if len(names) == 0 {
		return "", ""
	}
	return strings.Join(names, ", "), "run as root, or give the process these capabilities"
}

// effectiveCapabilities reads CapEff (proc_pid_status(5)). What cannot be read counts as none.
func effectiveCapabilities() uint64 {
	f, err := os.Open("/proc/thread-self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if hex, ok := strings.CutPrefix(s.Text(), "CapEff:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return n
		}
	}
	return 0
}
