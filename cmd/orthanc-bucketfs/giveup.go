package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/cmd/internal/privileged"
)

// rights returns the helper that this process is to ask for what takes root's
// rights. Without one, root begins anew with one, or keeps its rights, for a
// reason.
func (c *call) rights(file string) (h *helper, kept string, err error) {
	if h, err = findHelper(c.lookupEnv); h != nil || err != nil {
		return h, "", err
	}
	kept, err = c.giveUpRights(file)
	return nil, kept, err
}

// giveUpRights makes root, when it serves a mount, the user that the
// configuration names, with a helper for what takes root's rights. Then it does
// not return: this program begins anew. Otherwise it tells why root's rights are
// kept, or nothing if there are none.
func (c *call) giveUpRights(file string) (kept string, err error) {
	if os.Geteuid() != 0 {
		return "", nil
	}
	cfg, err := loadConfig(file, c.lookupEnv)
	if err != nil {
		return "", err
	}
	uid, gid, err := resolveOwner(cfg.User)
	switch {
	case err != nil:
		return err.Error(), nil
	case uid == 0:
		return "user is root in " + file, nil
	case !privileged.Holds(privileged.Needed()...):
		return "CAP_SETUID, CAP_SETGID and CAP_SETPCAP are missing: this process cannot become another user", nil
	}
	conn, err := startHelper(file)
	if err != nil {
		return "", fmt.Errorf("starting the helper that keeps root's rights: %w", err)
	}
	if err := os.Setenv(helperVariable, fmt.Sprintf("fd:%d", conn)); err != nil {
		return "", err
	}
	return "", privileged.Become(privileged.ID{UID: uid, GID: gid}, os.Environ())
}

// startHelper returns the descriptor of a connection to one, which ends with the
// connection. The descriptor outlives an execve.
func startHelper(file string) (int, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "helper")
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe", "helper", "--config", file)
	cmd.Args[0] = program
	cmd.Stdin, cmd.Stderr = theirs, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no signal of a terminal's
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	_, err = unix.FcntlInt(uintptr(pair[0]), unix.F_SETFD, 0)
	return pair[0], os.NewSyscallError("fcntl", err)
}
