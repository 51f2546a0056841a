package fs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"orthanc-bucketfs/fs/attachment"
)

const (
	name          = "orthanc-bucketfs" // of the file system, and of what is mounted
	maxWrite      = 256 << 10          // bytes of one read or write request; see cached.go
	maxBackground = 64                 // asynchronous requests the kernel may have open
)

// DefaultAbsence is for Options: Orthanc looks at a name, and creates it at
// once. The kernel would look a second time for the create. What another machine
// stores under a name just looked at is seen so much later.
const DefaultAbsence = 200 * time.Millisecond

// Options says what to mount, where and for whom.
type Options struct {
	Mountpoint string
	Store      *attachment.Store
	UID, GID   uint32   // owner of the directories and attachments
	Local      *os.File // the directory that everything else is kept in, open until Wait returns; nil to refuse it
	ReadOnly   bool
	Absence    time.Duration // how long a name that was not found may be taken for free; 0 for not at all
	Log        *slog.Logger

	// Device is from OpenDevice: New serves it, and neither mounts nor can it
	// unmount. Unmount then asks whoever can.
	Device  *os.File
	Unmount func() error
}

// Mount is a mounted tree.
type Mount struct {
	tree       *tree
	server     *fuse.Server
	mountpoint string
	unmount    func() error // if somebody else has mounted it
}

// New mounts the tree, unless there is a Device: as root directly, otherwise with
// fusermount3. When it returns, the mount is up.
func New(o Options) (*Mount, error) {
	at, err := o.place()
	if err != nil {
		return nil, err
	}
	t := newTree(o)
	if err := t.useLocal(o); err != nil {
		return nil, err
	}
	t.owners.RawFileSystem = gofs.NewNodeFS(newRoot(t), nodeOptions(o))
	server, err := fuse.NewServer(&t.owners, at, mountOptions(o))
	if err != nil {
		return nil, fmt.Errorf("mounting on %s: %w", o.Mountpoint, err)
	}
	t.gathers = server.KernelSettings().Flags64()&mountOptions(o).ExtraCapabilities != 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve()
		t.closeLocal()
	}()
	t.nodes.bound(ended)
	if t.local != nil {
		t.local.Bound(ended)
	}
	if err := server.WaitMount(); err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for the mount on %s: %w", o.Mountpoint, err), server.Unmount())
	}
	m := &Mount{tree: t, server: server, mountpoint: o.Mountpoint}
	if o.Device != nil {
		m.unmount = o.Unmount
	}
	return m, nil
}

// place returns what go-fuse is to take for the mount point.
func (o Options) place() (string, error) {
	if o.Device != nil {
		return magicMountpoint(o.Device)
	}
	dir, err := openMountpoint(o.Mountpoint)
	if err != nil {
		return "", fmt.Errorf("mountpoint: %w", err)
	}
	return o.Mountpoint, errors.Join(dir.Close(), Mountable())
}

func nodeOptions(o Options) *gofs.Options {
	n := &gofs.Options{
		Logger:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		NullPermissions: true, // else a file that nobody may read would be everybody's
	}
	if o.Absence > 0 {
		n.NegativeTimeout = &o.Absence
	}
	return n
}

func mountOptions(o Options) *fuse.MountOptions {
	options := []string{"default_permissions"}
	flags := uintptr(syscall.MS_NOSUID | syscall.MS_NODEV)
	root := os.Geteuid() == 0 && o.Device == nil
	switch {
	case o.ReadOnly && root:
		flags |= syscall.MS_RDONLY
	case o.ReadOnly:
		options = append(options, "ro")
	}
	return &fuse.MountOptions{
		AllowOther:        root || o.UID != uint32(os.Geteuid()),
		Options:           options,
		Name:              name,
		FsName:            name,
		MaxWrite:          maxWrite,
		MaxBackground:     maxBackground,
		DisableXAttrs:     true, // else the kernel asks for one before every write
		ExtraCapabilities: capabilities(o),
		DirectMountStrict: root,
		DirectMountFlags:  flags,
		Logger:            slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		PanicHandler:      panicHandler(o.Log),
	}
}

// panicHandler makes a panic an EIO. The stack goes to the log; the value that
// caused it does not hold contents of files.
func panicHandler(log *slog.Logger) func(any) fuse.Status {
	return func(p any) fuse.Status {
		log.Error("panic in a file system call; please report it", "panic", p, "stack", string(debug.Stack()))
		return fuse.EIO
	}
}

// Mountable says what is missing for a mount, before it fails less clearly.
func Mountable() error {
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("FUSE is not available: %w (load the kernel module fuse, give the container the device, "+
			"or let this user open it)", err)
	}
	device.Close()
	if os.Geteuid() == 0 {
		return nil
	}
	if _, err := exec.LookPath("fusermount3"); err != nil {
		return errors.New("cannot mount: not root, and fusermount3 is not installed; run as root or install the package fuse3")
	}
	return nil
}

// Drain refuses new opens and creates, and returns when every file that is
// being written is committed or given up, or with ctx's error.
func (m *Mount) Drain(ctx context.Context) error {
	m.tree.draining.Store(true)
	idle := make(chan struct{})
	go func() {
		m.tree.waitIdle()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Unmount unmounts the tree. If it is in use, it is detached, so that nobody
// can open it any more, and the error says so.
func (m *Mount) Unmount() error {
	if m.unmount != nil {
		return m.unmount()
	}
	err := m.server.Unmount()
	if err == nil {
		return nil
	}
	if lazy := Detach(m.mountpoint); lazy != nil {
		return errors.Join(err, lazy)
	}
	return fmt.Errorf("%s was in use and is now detached: %w", m.mountpoint, err)
}

// Wait returns when the tree is not mounted any more.
func (m *Mount) Wait() { m.server.Wait() }

// Unmount ends a mount that OpenDevice has made. If it is in use, it is detached,
// and the error says so.
func Unmount(mountpoint string) error {
	real, err := realMountpoint(mountpoint)
	if err == nil {
		err = unix.Unmount(real, unix.UMOUNT_NOFOLLOW)
	}
	if err == nil {
		return nil
	}
	if lazy := Detach(mountpoint); lazy != nil {
		return errors.Join(fmt.Errorf("unmounting %s: %w", mountpoint, err), lazy)
	}
	return fmt.Errorf("%s was in use and is now detached: %w", mountpoint, err)
}

// Detach removes a mount point from the tree at once, also one that is in use
// or whose daemon is dead.
func Detach(mountpoint string) error {
	if os.Geteuid() == 0 {
		real, err := realMountpoint(mountpoint)
		if err != nil {
			return err
		}
		return os.NewSyscallError("umount2", unix.Unmount(real, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW))
	}
	out, err := exec.Command("fusermount3", "-u", "-z", mountpoint).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fusermount3 -u -z %s: %w: %s", mountpoint, err, out)
	}
	return nil
}
