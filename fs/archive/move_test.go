package archive

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

// plainDir is a storage directory of files 0 to n-1, modified an hour ago.
func plainDir(t *testing.T, n int) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	for i := range n {
		plainFile(t, root, uuid(t, i).Key(), content(i))
	}
	return root
}

func plainFile(t *testing.T, root *os.Root, key string, body []byte) {
	t.Helper()
	hourAgo := time.Now().Add(-time.Hour)
	err := errors.Join(root.MkdirAll(filepath.Dir(key), 0o700), root.WriteFile(key, body, 0o600), root.Chtimes(key, hourAgo, hourAgo))
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) importer(s *attachment.Store, root *os.Root) Importer {
	r.failures, r.looked = nil, 0
	return Importer{Store: s, Root: root, Scope: Scope{Jobs: 4}, Quiet: time.Minute, Failed: r.failed, Done: r.done}
}

func (r *rig) exporter(s *attachment.Store, root *os.Root) Exporter {
	r.failures, r.looked = nil, 0
	return Exporter{Store: s, Root: root, Scope: Scope{Jobs: 4}, Failed: r.failed, Done: r.done}
}

func (r *rig) wantFailure(t *testing.T, n int, want error) {
	t.Helper()
	if len(r.failures) != 1 || r.failures[0].Key != uuid(t, n).Key() || !errors.Is(r.failures[0].Err, want) {
		t.Errorf("failures %v, want one of file %d: %v", r.failures, n, want)
	}
}

func wantSame(t *testing.T, a, b *os.Root) {
	t.Helper()
	count := 0
	for _, pair := range [][2]*os.Root{{a, b}, {b, a}} {
		err := fs.WalkDir(pair[0].FS(), ".", func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			count++
			x, err := pair[0].ReadFile(name)
			y, other := pair[1].ReadFile(name)
			if !bytes.Equal(x, y) {
				t.Errorf("%s differs", name)
			}
			return errors.Join(err, other)
		})
		if err != nil {
			t.Error(err)
		}
	}
	if count == 0 {
		t.Error("nothing to compare")
	}
}

func TestImportAndExport(t *testing.T) {
	r := newRig()
	s := r.store(t, 1)
	in, out := plainDir(t, 30), plainDir(t, 0)
	got, err := r.importer(s, in).Run(t.Context())
	if err != nil || got.Stored != 30 || r.looked != 30 || len(r.failures) > 0 {
		t.Errorf("%+v, %v, %v", got, err, r.failures)
	}
	if body := r.body(t, uuid(t, 9).Key()); bytes.Contains(body, content(9)) || string(body[:2]) != "A1" {
		t.Error("what was imported is not sealed")
	}
	if again, err := r.importer(s, in).Run(t.Context()); err != nil || again.Identical != 30 || again.Stored != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	r.put(t, "notes", []byte("foreign"))
	if got, err := r.exporter(s, out).Run(t.Context()); err != nil || got.Written != 30 || got.Foreign != 1 {
		t.Errorf("%+v, %v, %v", got, err, r.failures)
	}
	wantSame(t, in, out)
	for name, mode := range map[string]fs.FileMode{uuid(t, 9).Key(): 0o600, filepath.Dir(uuid(t, 9).Key()): 0o700 | fs.ModeDir} {
		if info, err := out.Stat(name); err != nil || info.Mode() != mode {
			t.Errorf("%s has mode %v, error %v", name, info.Mode(), err)
		}
	}
	if got, err := r.exporter(s, out).Run(t.Context()); err != nil || got.Written != 0 || got.Identical != 30 {
		t.Errorf("again: %+v, %v", got, err)
	}
}

func TestImportLeavesAlone(t *testing.T) {
	r := newRig()
	s := r.store(t, 1)
	in := plainDir(t, 10)
	r.fill(t, s, 1)
	plainFile(t, in, uuid(t, 0).Key(), []byte("other"))
	if got, err := r.importer(s, in).Run(t.Context()); err != nil || got.Different != 1 || got.Stored != 9 {
		t.Errorf("%+v, %v", got, err)
	}
	r.wantFailure(t, 0, ErrDifferent)
	r.wantFile(t, s, 0)

	young := plainDir(t, 2)
	if err := young.Chtimes(uuid(t, 1).Key(), time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "file")
	err := errors.Join(os.WriteFile(outside, nil, 0o600),
		young.Symlink(outside, filepath.Dir(uuid(t, 0).Key())+"/"+uuid(t, 0).String()[:35]+"f"),
		young.WriteFile("index", nil, 0o600), young.Mkdir("WorkingDirectory", 0o700))
	if err != nil {
		t.Fatal(err)
	}
	m := r.importer(r.store(t, 1), young)
	m.Remove = true
	got, err := m.Run(t.Context())
	if err != nil || got.Unsettled != 1 || got.Foreign != 3 || got.Different != 0 || got.Identical != 1 || got.Removed != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	r.wantFailure(t, 1, ErrUnsettled)
	if _, err := young.Stat(uuid(t, 1).Key()); err != nil {
		t.Errorf("a file that was left is gone: %v", err)
	}
}

// A file that is not known to be in the bucket is never removed.
func TestImportRemovesWhatItHasCompared(t *testing.T) {
	r := newRig()
	s := r.store(t, 1)
	in := plainDir(t, 10)
	if err := in.Mkdir("keep", 0o700); err != nil {
		t.Fatal(err)
	}
	away := errors.New("no route")
	r.faulty.Inject(func(c backendtest.Call) backendtest.Fault {
		if c.Op == backendtest.OpRead && c.Key == uuid(t, 4).Key() {
			return backendtest.Fail(away)
		}
		return nil
	})
	m := r.importer(s, in)
	m.Remove = true
	got, err := m.Run(t.Context())
	if err != nil || got.Stored != 9 || got.Removed != 9 || got.Failed != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	r.wantFailure(t, 4, away)
	names, err := fs.Glob(in.FS(), "*")
	if err != nil || len(names) != 2 {
		t.Errorf("left are %v, error %v", names, err)
	}
	r.faulty.Inject()
	m = r.importer(s, in)
	m.Remove = true
	if got, err := m.Run(t.Context()); err != nil || got.Removed != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	for i := range 10 {
		r.wantFile(t, s, i)
	}
}

// A file that changes after it was opened is not what was compared.
func TestImportSeesChanges(t *testing.T) {
	r := newRig()
	s := r.store(t, 1)
	in := plainDir(t, 3)
	r.faulty.Inject(func(c backendtest.Call) backendtest.Fault {
		if c.Op == backendtest.OpCreate && c.Key == uuid(t, 2).Key() {
			if err := in.WriteFile(c.Key, content(50), 0o600); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	m := r.importer(s, in)
	m.Remove = true
	got, err := m.Run(t.Context())
	if err != nil || got.Removed != 2 || got.Unsettled != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := in.Stat(uuid(t, 2).Key()); err != nil {
		t.Error(err)
	}
}

func TestExportLeavesAlone(t *testing.T) {
	r := newRig()
	s := r.store(t, 1)
	r.fill(t, s, 10)
	out := plainDir(t, 0)
	plainFile(t, out, uuid(t, 3).Key(), []byte("other"))
	plainFile(t, out, tempDir+"/left-over", nil)
	bad := r.body(t, uuid(t, 5).Key())
	bad[80] ^= 1
	r.put(t, uuid(t, 5).Key(), bad)
	got, err := r.exporter(r.store(t, 1), out).Run(t.Context())
	if err != nil || got.Written != 8 || got.Different != 1 || got.Failed != 1 || len(r.failures) != 2 {
		t.Errorf("%+v, %v, %v", got, err, r.failures)
	}
	if p, err := out.ReadFile(uuid(t, 3).Key()); err != nil || string(p) != "other" {
		t.Errorf("a file was overwritten: %q, %v", p, err)
	}
	for _, name := range []string{tempDir, uuid(t, 5).Key()} {
		if _, err := out.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
}

func TestExportIsAlone(t *testing.T) {
	r := newRig()
	out := plainDir(t, 0)
	first, err := openTarget(out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.exporter(r.store(t, 1), out).Run(t.Context()); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	if err := first.close(); err != nil {
		t.Error(err)
	}
}

func TestMovingStops(t *testing.T) {
	r := newRig()
	s := r.store(t, 1)
	in := plainDir(t, 50)
	ctx, cancel := context.WithCancel(t.Context())
	m := r.importer(s, in)
	m.Done = func(attachment.Record) { cancel() }
	got, err := m.Run(ctx)
	if !errors.Is(err, context.Canceled) || got.Stored == 0 || got.Stored == 50 || len(r.failures) > 0 {
		t.Errorf("%+v, %v, %v", got, err, r.failures)
	}
	if rest, err := r.importer(s, in).Run(t.Context()); err != nil || rest.Stored+rest.Identical != 50 {
		t.Errorf("%+v, %v", rest, err)
	}
}

// What appears at the last moment is not overwritten either.
func TestExportOverwritesNothing(t *testing.T) {
	r := newRig()
	s := r.store(t, 1)
	r.fill(t, s, 3)
	out := plainDir(t, 0)
	target, err := openTarget(out)
	if err != nil {
		t.Fatal(err)
	}
	name := uuid(t, 2).Key()
	plainFile(t, out, name, []byte("other"))
	err = withFile(t.Context(), s, uuid(t, 2), func(a *attachment.File) error { return target.write(name, a) })
	if !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if p, err := out.ReadFile(name); err != nil || string(p) != "other" {
		t.Errorf("the file is now %q, error %v", p, err)
	}
	if err := target.close(); err != nil {
		t.Error(err)
	}
}

// A file that is in the fallback directory alone would pass for one that is in
// the bucket.
func TestMovingNeedsTheBucketAlone(t *testing.T) {
	r := newRig()
	ring, err := crypto.NewKeyRing(key(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	s := attachment.NewStore(attachment.Options{
		Bucket: r.mem, Fallback: backendtest.NewMem(), Codec: attachment.Sealed(ring), Budget: budget.New(testLimit, time.Minute),
		Log: slog.New(slog.DiscardHandler), Timing: attachment.DefaultTiming(),
	})
	defer s.Close()
	if _, err := r.importer(s, plainDir(t, 1)).Run(t.Context()); !errors.Is(err, ErrFallback) {
		t.Errorf("import: %v", err)
	}
	if _, err := r.exporter(s, plainDir(t, 0)).Run(t.Context()); !errors.Is(err, ErrFallback) {
		t.Errorf("export: %v", err)
	}
}
