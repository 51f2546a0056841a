package fs

import (
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"

	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/local"
)

// known counts the attachments that the tree holds for the kernel.
func known(n *gofs.Inode) (count int) {
	if _, ok := n.Operations().(*attachmentNode); ok {
		return 1
	}
	for _, child := range n.Children() {
		count += known(child)
	}
	return count
}

// A look at all files does not leave them in memory.
func TestNodesAreBounded(t *testing.T) {
	const files, slack = 2*maxNodes + maxNodes/2, maxNodes / 4
	r := newRig(t, func(s *setting) { s.timing.Listing = time.Hour })
	for i := range files {
		u, _ := attachment.ParseUUID(fmt.Sprintf("ab%02x%04x-1111-4222-8333-%012x", i%256, i&0xffff, i))
		if _, err := r.mem.Create(t.Context(), u.Key(), make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	seen, most := 0, 0
	err := filepath.WalkDir(r.dir, func(path string, d iofs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if _, err := d.Info(); err != nil {
			return err
		}
		if seen++; seen%1000 == 0 {
			most = max(most, known(r.tree.root.EmbeddedInode()))
		}
		return nil
	})
	if err != nil || seen != files {
		t.Fatalf("the walk found %d files, %v", seen, err)
	}
	if most > maxNodes+slack {
		t.Errorf("%d attachments were held at one time, want %d at most", most, maxNodes+slack)
	}
	if most < maxNodes/2 {
		t.Errorf("%d attachments were held at one time: the test proves nothing", most)
	}
	t.Logf("%d held at one time", most)
}

// knownLocals counts the local files and directories that the tree holds.
func knownLocals(n *gofs.Inode) (count int) {
	if _, ok := n.Operations().(*local.Node); ok {
		count = 1
	}
	for _, child := range n.Children() {
		count += knownLocals(child)
	}
	return count
}

// Nor does a look at all local files, nor their being made and renamed.
func TestLocalNodesAreBounded(t *testing.T) {
	const files, slack = maxNodes + maxNodes/2, maxNodes / 4
	for name, makes := range map[string]func(r *rig, i int) error{
		"looked at": func(r *rig, i int) error {
			name, err := fmt.Sprintf("sub/%d", i), error(nil)
			if i%2 == 0 {
				err = os.WriteFile(filepath.Join(r.local, name), nil, 0o600)
			} else {
				err = os.Mkdir(filepath.Join(r.local, name), 0o700)
			}
			if err == nil {
				_, err = os.Lstat(filepath.Join(r.dir, name))
			}
			return err
		},
		"renamed": func(r *rig, i int) error {
			path := filepath.Join(r.dir, "sub", fmt.Sprint(i))
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Rename(path, path+"renamed")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			mkdir(t, filepath.Join(r.dir, "sub"))
			most := 0
			for i := range files {
				if err := makes(r, i); err != nil {
					t.Fatal(err)
				}
				if i%1000 == 0 {
					most = max(most, knownLocals(r.tree.root.EmbeddedInode()))
				}
			}
			if most > maxNodes+slack || most < maxNodes/2 {
				t.Errorf("%d were held at one time, want %d at most", most, maxNodes+slack)
			}
			t.Logf("%d held at one time", most)
		})
	}
}

// A local file that is open goes on when the kernel is asked to forget it.
func TestForgottenLocalFile(t *testing.T) {
	r := newRig(t)
	f, err := os.Create(filepath.Join(r.dir, "index"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range maxNodes + 100 {
		if err := os.WriteFile(filepath.Join(r.local, fmt.Sprint("file", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(filepath.Join(r.dir, fmt.Sprint("file", i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.WriteString("content"); err != nil {
		t.Error(err)
	}
	if err := f.Truncate(3); err != nil {
		t.Error(err)
	}
	wantFile(t, filepath.Join(r.dir, "index"), []byte("con"))
	if info, err := f.Stat(); err != nil || info.Size() != 3 {
		t.Errorf("%v, %v", info, err)
	}
}

// A file that is open, and one that is being written, go on when the kernel is
// asked to forget their directory.
func TestForgottenWhileOpen(t *testing.T) { inBothModes(t, testForgottenWhileOpen) }

func testForgottenWhileOpen(t *testing.T, mode mode) {
	r := newRig(t, mode)
	mustStore(t, r.path(1), []byte("content"))
	held := r.open(t, 1)
	fd := create(t, r.path(0x101)) // in the same directory
	mustWrite(t, fd, []byte("con"))
	r.node(0x101).dir.forget()
	mustWrite(t, fd, []byte("tent"))
	got := make([]byte, 7)
	if _, err := held.ReadAt(got, 0); err != nil || string(got) != "content" {
		t.Errorf("the open file: %q, %v", got, err)
	}
	held.Close()
	mustClose(t, fd)
	wantFile(t, r.path(1), []byte("content"))
	wantFile(t, r.path(0x101), []byte("content"))
}
