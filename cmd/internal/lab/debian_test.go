package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The Orthanc of another Debian works on a directory of this machine, and
// nothing of it is left. Nor does it hold what others have mounted.
func TestOrthancOfAnotherDebian(t *testing.T) {
	root := trixie(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	elsewhere := t.TempDir()
	if err := unix.Mount("none", elsewhere, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	o := startIn(t, ctx, root)
	if err := unix.Unmount(elsewhere, 0); err != nil {
		t.Error(err)
	}
	if held, err := os.ReadFile(fmt.Sprintf("/proc/%d/mounts", o.Pid())); err != nil || bytes.Contains(held, []byte(elsewhere)) {
		t.Errorf("it holds what was mounted elsewhere, error %v:\n%s", err, held)
	}
	if version, err := o.Version(ctx); err != nil || version != "1.12.7" {
		t.Errorf("version %q, error %v", version, err)
	}
	i, err := CorpusFile("CT_small.dcm")
	if err != nil {
		t.Fatal(err)
	}
	image, err := o.StoreREST(ctx, i)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Check(ctx, image); err != nil {
		t.Error(err)
	}
	if err := o.Stop(ctx); err != nil {
		t.Error(err)
	}
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil || bytes.Contains(table, []byte(root)) {
		t.Errorf("mounted below %s, error %v:\n%s", root, err, table)
	}
}

func trixie(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 || len(Missing()) > 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("not root, or this machine lacks:", Missing())
		}
		t.Skip("not root, or this machine lacks:", Missing())
	}
	root, err := Debian(Trixie)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func startIn(t *testing.T, ctx context.Context, root string) *Orthanc {
	t.Helper()
	ports := NewPorts()
	http, err := ports.Free()
	if err != nil {
		t.Fatal(err)
	}
	dicom, err := ports.Free()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o, err := StartOrthanc(ctx, OrthancConfig{Dir: dir, Storage: dir, Index: dir,
		HTTPPort: http, DICOMPort: dicom, Root: root, Plugins: []string{DICOMweb}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(o.Log.Tail(30))
		}
		o.Kill()
	})
	return o
}
