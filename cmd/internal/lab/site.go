package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Site is one mount and what belongs to it: key, configuration, bucket (a
// directory), local directory and mount point, all below Dir.
type Site struct {
	Binary string // orthanc-bucketfs
	Dir    string

	bucket string // the directory that holds the objects
	apart  bool   // the index is not in the mount, which has no local directory then
	alone  bool   // nothing else stores into the bucket

	command func(argv ...string) []string // what the daemon is started by
	check   func(pid int) error           // of its rights
	user    string                        // that serves the mount
	again   func() error                  // writes the configuration as it was written last
}

// NewSite makes the directories, a key and a configuration that seals. The
// budget bounds the file content in the daemon's memory, in MiB.
func NewSite(ctx context.Context, binary, dir string, budgetMiB int) (*Site, error) {
	rights, err := ShippedRights()
	if err != nil {
		return nil, err
	}
	s := &Site{Binary: binary, Dir: dir, bucket: filepath.Join(dir, "bucket"),
		command: rights.Command, check: rights.Check, user: DaemonUser}
	if os.Geteuid() != 0 {
		s.again = func() error { return nil }
		_ = s.KeepAllRights() // fusermount3 takes its rights from its file
	}
	for _, d := range []string{s.Mountpoint(), s.Bucket().Dir, s.local()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	if out, err := exec.CommandContext(ctx, binary, "keygen", s.Key()).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("orthanc-bucketfs keygen: %w:\n%s", err, out)
	}
	return s, s.useDirectory(budgetMiB)
}

// KeepAllRights lets the daemon do whatever this process may do, instead of what
// the unit that is shipped lets it do.
func (s *Site) KeepAllRights() error {
	s.command = func(argv ...string) []string { return argv }
	s.check = func(int) error { return nil }
	s.user = "root"
	return s.again()
}

// KeepIndexApart makes Index a directory outside of the mount, whose bucket is
// the directory. The kernel gathers writes on such a mount.
func (s *Site) KeepIndexApart(budgetMiB int) error {
	s.apart = true
	return s.useDirectory(budgetMiB)
}

// StoreAlone makes the daemon the sole writer of the bucket, which is the
// directory.
func (s *Site) StoreAlone(budgetMiB int) error {
	s.alone = true
	return s.useDirectory(budgetMiB)
}

// Index is where Orthanc gets its index.
func (s *Site) Index() string {
	if s.apart {
		return s.local()
	}
	return s.Mountpoint()
}

// Use makes the bucket one of another backend; settings are the lines of its
// section of the configuration. If the store keeps each object as a file, under
// the object's key, dir is where.
func (s *Site) Use(budgetMiB int, backend, settings, dir string) error {
	s.bucket = dir
	return s.configure(budgetMiB, backend, settings)
}

func (s *Site) useDirectory(budgetMiB int) error {
	return s.configure(budgetMiB, "dir", fmt.Sprintf("path = %q", s.bucket))
}

func (s *Site) configure(budgetMiB int, backend, settings string) error {
	s.again = func() error { return s.configure(budgetMiB, backend, settings) }
	local := s.local()
	if s.apart {
		local = ""
	}
	config := fmt.Sprintf(`mountpoint = %q
backend    = %q
owner      = ""
user       = %q
local_dir  = %q
state_dir  = %q
sole_writer = %v

[%s]
%s

[encryption]
enable = true
master_key = { id = 1, path = %q }
max_concurrent_input_mib = %d
`, s.Mountpoint(), backend, s.user, local, filepath.Join(s.Dir, "state"), s.alone, backend, settings, s.Key(), budgetMiB)
	return os.WriteFile(s.config(), []byte(config), 0o600)
}

// Mountpoint is where Orthanc gets its directories.
func (s *Site) Mountpoint() string { return filepath.Join(s.Dir, "mount") }

// Key is the file of master key 1.
func (s *Site) Key() string { return filepath.Join(s.Dir, "master-1.key") }

// Bucket is the directory of sealed objects.
func (s *Site) Bucket() Bucket { return Bucket{Dir: s.bucket} }

func (s *Site) local() string  { return filepath.Join(s.Dir, "local") }
func (s *Site) config() string { return filepath.Join(s.Dir, "config.toml") }

// Mount starts the daemon, with the rights of the unit that is shipped, and
// returns when it is ready.
func (s *Site) Mount(ctx context.Context) (*Process, error) {
	p, err := start("orthanc-bucketfs", s.command(s.Binary, "mount", "--config", s.config())...)
	if err != nil {
		return nil, err
	}
	if err := p.Await(ctx, "msg=ready"); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	if err := s.check(p.Pid()); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	if mounted, err := s.Mounted(); err != nil || !mounted {
		return nil, errors.Join(errors.New("the daemon says ready, but nothing is mounted"), err, p.Kill())
	}
	return p, nil
}

// Mounted says whether the kernel has a mount at the mount point, a live one
// or one whose daemon is dead.
func (s *Site) Mounted() (bool, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == s.Mountpoint() {
			return true, nil
		}
	}
	return false, nil
}

// Detach takes the mount away whatever state it is in. Without a mount it does
// nothing.
func (s *Site) Detach() error {
	mounted, err := s.Mounted()
	if err != nil || !mounted {
		return err
	}
	if out, err := exec.Command("fusermount3", "-u", "-z", s.Mountpoint()).CombinedOutput(); err != nil {
		return fmt.Errorf("fusermount3: %w: %s", err, out)
	}
	return nil
}

// Unseal returns the content of a sealed object, through the command line.
func (s *Site) Unseal(ctx context.Context, object string) ([]byte, error) {
	sealed, err := os.Open(object)
	if err != nil {
		return nil, err
	}
	defer sealed.Close()
	var complaint strings.Builder
	cmd := exec.CommandContext(ctx, s.Binary, "unseal", "--key", "1="+s.Key())
	cmd.Stdin, cmd.Stderr = sealed, &complaint
	plain, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("unsealing %s: %w: %s", object, err, &complaint)
	}
	return plain, nil
}
