package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"

	"orthanc-bucketfs/cmd/internal/privileged"
	"orthanc-bucketfs/fs"
)

// startMount mounts, or serves what the helper has mounted.
func (m *mounting) startMount(s *stack, local *os.File) (*fs.Mount, error) {
	uid, gid, err := m.cfg.owners()
	if err != nil {
		return nil, err
	}
	options := fs.Options{
		Mountpoint: m.cfg.Mountpoint,
		Store:      s.store,
		UID:        uid,
		GID:        gid,
		Local:      local,
		ReadOnly:   m.cfg.ReadOnly,
		Absence:    fs.DefaultAbsence,
		Log:        m.log,
	}
	if m.helper != nil {
		return m.serveDevice(options)
	}
	mounted, err := fs.New(options)
	if err != nil {
		return nil, err
	}
	if err := keepFromChildren(); err != nil {
		return nil, errors.Join(err, mounted.Unmount())
	}
	return mounted, nil
}

func (m *mounting) serveDevice(options fs.Options) (*fs.Mount, error) {
	device, root, err := m.helper.mount()
	if err != nil {
		return nil, err
	}
	s := &servedMount{root: root}
	if s.watch, err = watchMount(root); err != nil {
		m.log.Warn("if somebody else unmounts it, this will not be noticed", "error", err)
	}
	options.Device = device
	options.Unmount = func() error {
		s.leave()
		return m.unmount(s)
	}
	mounted, err := fs.New(options)
	if err != nil {
		return nil, errors.Join(err, device.Close(), options.Unmount())
	}
	s.Mount = mounted
	m.served.Store(s)
	return mounted, nil
}

// unmount has the helper unmount, and returns when nobody has the mount any more,
// in another mount namespace neither. That it is gone, as while the machine is shut
// down, is no failure of the mount's.
func (m *mounting) unmount(s *servedMount) error {
	err := m.helper.unmount()
	if err == nil && s.Mount != nil {
		s.Wait()
	}
	if err == nil || errors.As(err, new(*privileged.Refusal)) {
		return err
	}
	m.log.Warn("the mount is left to be removed by ExecStopPost= of the unit, or by the next start",
		"mountpoint", m.cfg.Mountpoint, "error", err)
	return nil
}

// served is what a process without rights serves, once it does.
type served = atomic.Pointer[servedMount]

type servedMount struct {
	*fs.Mount
	watch *mountWatch // or nil

	mu   sync.Mutex // guards root
	root *os.File   // of the mount, which is in use as long as this is open; then nil
}

// leave closes the root.
func (s *servedMount) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root != nil {
		s.root.Close()
		s.root = nil
	}
}

// start starts a command with the root as its descriptor 3.
func (s *servedMount) start(cmd *exec.Cmd) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root == nil {
		return errors.New("it has ended")
	}
	cmd.ExtraFiles = []*os.File{s.root}
	return cmd.Start()
}

// answers asks as askMount does: the kernel, through the root of the mount, since
// the way to the mount point may be closed to this process; and the tree.
func (s *servedMount) answers(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "stat", "--file-system", "--format=%T", "/proc/self/fd/3")
	cmd.Env = []string{"LC_ALL=C"}
	err := s.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("stat --file-system, of the mount: %w", err)
	}
	s.Ask("orthanc-bucketfs-watchdog-" + rand.Text())
	return nil
}

// vital asks whether what is mounted answers. Before the mount nothing
// needs to.
func (m *mounting) vital(ctx context.Context) error {
	if m.helper == nil {
		return askMount(ctx, m.cfg.Mountpoint)
	}
	if s := m.served.Load(); s != nil {
		return s.answers(ctx)
	}
	return nil
}
