package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/inspect"
)

// Inspect examines the directory and what its file system can do, and stores,
// reads and deletes an object under scratch unless that is empty.
func (b *Bucket) Inspect(ctx context.Context, scratch string) []backends.Finding {
	steps := []inspect.Step{
		{Item: "directory", Examine: b.inspectDirectory},
		{Item: "free space", Examine: b.inspectSpace},
	}
	if scratch == "" {
		return inspect.Run(ctx, steps...)
	}
	s := inspect.NewScratch(b, scratch)
	return s.Run(ctx, append(steps,
		inspect.Step{Item: "fsync", Examine: b.inspectSync},
		inspect.Step{Item: "time stamps", Examine: b.inspectTimes},
		inspect.Step{Item: "hard links", Examine: b.inspectLinks},
		s.Put(), s.ConditionalCreate(), s.Get(), s.List(), s.Delete(), s.Missing("to search the directory"),
	)...)
}

const (
	groupOrOthers = 0o022
	fewBytes      = 10 << 30
	fewPercent    = 5
)

func (b *Bucket) inspectDirectory(context.Context) backends.Finding {
	fi, err := b.root.Stat(".")
	if err != nil {
		return inspect.Wrong(err)
	}
	if fi.Mode().Perm()&groupOrOthers != 0 {
		return inspect.Doubtful(fmt.Sprintf("%s has mode %04o, so that others can remove and replace images: chmod 700 it", b.name, fi.Mode().Perm()))
	}
	return inspect.Fine(b.name)
}

func (b *Bucket) inspectSpace(context.Context) backends.Finding {
	var st unix.Statfs_t
	if err := unix.Statfs(b.root.Name(), &st); err != nil {
		return inspect.Wrong(fmt.Errorf("statfs: %w", err))
	}
	return describeSpace(st.Bavail*uint64(st.Bsize), st.Blocks*uint64(st.Bsize))
}

// describeSpace warns when the file system is about to be full.
func describeSpace(free, total uint64) backends.Finding {
	const gib = 1 << 30
	text := fmt.Sprintf("%.1f of %.1f GiB", float64(free)/gib, float64(total)/gib)
	if free < fewBytes && free*100 < total*fewPercent {
		return inspect.Doubtful(text + " left: when it is full, nothing can be stored")
	}
	return inspect.Fine(text)
}

const fileSystems = ": use a local file system such as ext4, xfs, btrfs or zfs"

// withTemp hands an empty temporary file, locked, to examine.
func (b *Bucket) withTemp(examine func(*temp) error) error {
	t, err := b.newTemp()
	if err != nil {
		return fmt.Errorf("no file can be made and locked in %s: %w: make the directory writable for this user, on a file system with flock", path.Join(b.name, tmpDir), err)
	}
	defer t.discard()
	return examine(t)
}

func (b *Bucket) inspectSync(context.Context) backends.Finding {
	err := b.withTemp(func(t *temp) error {
		if err := b.sync(t.file); err != nil {
			return fmt.Errorf("a file cannot be made durable: %w%s", err, fileSystems)
		}
		if err := b.syncDir(tmpDir); err != nil {
			return fmt.Errorf("a directory cannot be made durable: %w%s", err, fileSystems)
		}
		return nil
	})
	if err != nil {
		return inspect.Wrong(err)
	}
	return inspect.Fine("files and directories can be made durable")
}

// inspectTimes is about what tells two versions of an object apart.
func (b *Bucket) inspectTimes(context.Context) backends.Finding {
	stamp := time.Unix(1_700_000_000, 123_456_789)
	err := b.withTemp(func(t *temp) error {
		if err := t.root.Chtimes(t.name, stamp, stamp); err != nil {
			return fmt.Errorf("the time of a file cannot be set: %w%s", err, fileSystems)
		}
		fi, err := t.file.Stat()
		if err != nil {
			return err
		}
		if !fi.ModTime().Equal(stamp) {
			return errors.New("times are not kept to the nanosecond, so that two versions of an object could not be told apart" + fileSystems)
		}
		return nil
	})
	if err != nil {
		return inspect.Wrong(err)
	}
	return inspect.Fine("kept to the nanosecond")
}

func (b *Bucket) inspectLinks(context.Context) backends.Finding {
	err := b.withTemp(func(t *temp) error {
		name := t.name + ".link"
		if err := b.root.Link(t.name, name); err != nil {
			return fmt.Errorf("a file cannot be given a second name: %w%s", withoutPaths(err), fileSystems)
		}
		defer func() { _ = b.root.Remove(name) }()
		if err := b.root.Link(t.name, name); !errors.Is(err, fs.ErrExist) {
			return errors.New("a name that is taken can be given to another file" + fileSystems)
		}
		return nil
	})
	if err != nil {
		return inspect.Wrong(err)
	}
	return inspect.Fine("names are given once")
}

// withoutPaths takes off the names of temporary files, which tell nobody anything.
func withoutPaths(err error) error {
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
