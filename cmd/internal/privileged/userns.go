package privileged

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// holder is the name of a process that does nothing but keep a user namespace.
const holder = "orthanc-bucketfs-namespace"

// Hold ends only when its input does, if this process was started to keep a user
// namespace. It must be the first thing that a program does which uses [Clone].
func Hold() (held bool) {
	if os.Args[0] != holder {
		return false
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return true
}

// userNamespace returns one in which owner, on the disk, is user. It outlives the
// process that it was made for.
func userNamespace(owner, user ID) (*os.File, error) {
	keep := exec.Command("/proc/self/exe")
	keep.Args = []string{holder}
	keep.Env = []string{}
	keep.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: int(owner.UID), HostID: int(user.UID), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: int(owner.GID), HostID: int(user.GID), Size: 1}},
	}
	end, err := keep.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := keep.Start(); err != nil {
		return nil, err
	}
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", keep.Process.Pid))
	err = errors.Join(err, end.Close(), keep.Wait())
	if err != nil && namespace != nil {
		namespace.Close()
		namespace = nil
	}
	return namespace, err
}
