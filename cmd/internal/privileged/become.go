package privileged

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Needed are the capabilities without which nobody can [Become] anybody.
func Needed() []uintptr { return []uintptr{unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP} }

// Holds tells whether this process has all of the capabilities in effect.
func Holds(capabilities ...uintptr) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return false
	}
	for _, c := range capabilities {
		if sets[c/32].Effective&(1<<(c%32)) == 0 {
			return false
		}
	}
	return true
}

// Become runs this program again, with the same arguments, as user and without
// any rights. It returns only if that fails, and then the process must end: it
// may have lost some of its rights already.
func Become(user ID, env []string) error {
	// All of it is about the thread, and exec leaves none but this one.
	runtime.LockOSThread()
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"the bounding set", emptyBoundingSet},
		{"setgroups", func() error { return raw(unix.SYS_SETGROUPS, 0, 0, 0) }},
		{"setresgid", func() error { return raw(unix.SYS_SETRESGID, user.GID, user.GID, user.GID) }},
		{"setresuid", func() error { return raw(unix.SYS_SETRESUID, user.UID, user.UID, user.UID) }},
		{"capset", dropCapabilities},
		{"no_new_privs", func() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("giving up root's rights: %s: %w", step.what, err)
		}
	}
	return os.NewSyscallError("execve", unix.Exec("/proc/self/exe", os.Args, env))
}

func raw(call uintptr, a, b, c uint32) error {
	if _, _, errno := unix.RawSyscall(call, uintptr(a), uintptr(b), uintptr(c)); errno != 0 {
		return errno
	}
	return nil
}

// emptyBoundingSet goes on to the first capability that the kernel does not know.
func emptyBoundingSet() error {
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if err == unix.EINVAL && c > unix.CAP_SYS_ADMIN {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// dropCapabilities empties the ambient set, too, which is a part of the others.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	_, _, errno := unix.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none[0])), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
