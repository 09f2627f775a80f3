package worker

import "golang.org/x/sys/unix"

// kernelRelease is that of the running kernel (uname(2)), "" if it does not say.
func kernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}
