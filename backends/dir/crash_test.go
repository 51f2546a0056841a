package dir

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"orthanc-bucketfs/backends"
)

// helper is a running helper process.
type helper struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

func startHelper(t *testing.T, mode string, args ...string) *helper {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), helperEnv+"="+mode)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails if the test has ended it
		_ = cmd.Wait()
	})
	return &helper{cmd, in, bufio.NewScanner(out)}
}

// line waits for the next line of output; false means that there is none.
func (h *helper) line() (string, bool) {
	ok := h.lines.Scan()
	return h.lines.Text(), ok
}

// kill ends the process and returns what else it had printed.
func (h *helper) kill(t *testing.T) (rest []string) {
	t.Helper()
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for line, ok := h.line(); ok; line, ok = h.line() {
		rest = append(rest, line)
	}
	_ = h.cmd.Wait()
	return rest
}

// wantWhole reads the object under key and reports anything but its body.
func wantWhole(t *testing.T, b *Bucket, key string) {
	t.Helper()
	want := bodyOf(key)
	p := make([]byte, len(want)+1)
	n, obj, err := b.Read(t.Context(), key, "", p, 0)
	if err != nil || obj.Size != int64(len(want)) || !bytes.Equal(p[:n], want) {
		t.Errorf("object %s: got %d bytes, Size %d, error %v, want its %d bytes", key, n, obj.Size, err, len(want))
	}
}

// TestKilledWhileCreating kills a process that creates objects, again and
// again. Another client watches all the time.
func TestKilledWhileCreating(t *testing.T) {
	const rounds = 20
	b := open(t, t.TempDir())
	swept, unreported := 0, 0
	for round := range rounds {
		prefix := fmt.Sprintf("r%02d", round)
		h := startHelper(t, "creator", b.root.Name(), prefix)
		watched := make(chan struct{})
		stop := make(chan struct{})
		go func() {
			defer close(watched)
			watch(t, b, prefix, stop)
		}()
		var reported []string
		for range 1 + rand.IntN(12) {
			line, ok := h.line()
			if !ok {
				t.Fatalf("round %d: the process has ended by itself", round)
			}
			reported = append(reported, line)
		}
		reported = append(reported, h.kill(t)...)
		close(stop)
		<-watched

		swept += len(contents(t, b.root.Name(), tmpDir))
		open(t, b.root.Name())
		if left := contents(t, b.root.Name(), tmpDir); len(left) > 0 {
			t.Errorf("round %d: Open has left %q", round, left)
		}
		for _, key := range reported {
			wantWhole(t, b, key)
		}
		all := listAll(t, b, prefix+"/")
		for _, key := range all {
			wantWhole(t, b, key)
		}
		unreported += len(all) - len(reported)
	}
	t.Logf("%d temporary files swept, %d whole objects whose Create had not returned", swept, unreported)
}

// watch reads every object that it sees below prefix until stop is closed.
func watch(t *testing.T, b *Bucket, prefix string, stop <-chan struct{}) {
	seen := make(map[string]bool)
	for {
		for obj, err := range backends.All(t.Context(), b, prefix+"/") {
			if err != nil {
				t.Errorf("List: %v", err)
				return
			}
			if !seen[obj.Key] {
				seen[obj.Key] = true
				wantWhole(t, b, obj.Key)
			}
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// startHeld returns a process that has written a part of an object.
func startHeld(t *testing.T, b *Bucket) *helper {
	t.Helper()
	h := startHelper(t, "holder", b.root.Name())
	if line, _ := h.line(); line != "held" {
		t.Fatalf("the process says %q", line)
	}
	files := contents(t, b.root.Name(), tmpDir)
	if len(files) != 1 {
		t.Fatalf("there are the temporary files %q, want one", files)
	}
	fi, err := b.root.Lstat(tmpDir + "/" + files[0])
	if err != nil || fi.Size() != writePiece {
		t.Fatalf("the temporary file: %+v, error %v", fi, err)
	}
	return h
}

func TestSweepSparesLiveProcesses(t *testing.T) {
	b := open(t, t.TempDir())
	h := startHeld(t, b)
	for range 2 {
		open(t, b.root.Name())
	}
	if files := contents(t, b.root.Name(), tmpDir); len(files) != 1 {
		t.Errorf("there are the temporary files %q, want one", files)
	}
	if _, err := io.WriteString(h.in, "\n"); err != nil {
		t.Fatal(err)
	}
	if line, ok := h.line(); ok {
		t.Errorf("the process says %q", line)
	}
	if err := h.cmd.Wait(); err != nil {
		t.Errorf("the process has failed: %v", err)
	}
	p := make([]byte, len(heldBody())+1)
	n, _, err := b.Read(t.Context(), "held", "", p, 0)
	if err != nil || !bytes.Equal(p[:n], heldBody()) {
		t.Errorf("Read: got %d bytes, error %v", n, err)
	}
	if files := contents(t, b.root.Name(), tmpDir); len(files) > 0 {
		t.Errorf("temporary files are left: %q", files)
	}
}

func TestSweepAfterKill(t *testing.T) {
	b := open(t, t.TempDir())
	h := startHeld(t, b)
	h.kill(t)
	if _, err := b.Stat(t.Context(), "held"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat: got error %v, want %v", err, fs.ErrNotExist)
	}
	if files := contents(t, b.root.Name(), tmpDir); len(files) != 1 {
		t.Fatalf("there are the temporary files %q, want one", files)
	}
	open(t, b.root.Name())
	if files := contents(t, b.root.Name(), tmpDir); len(files) > 0 {
		t.Errorf("Open has left %q", files)
	}
	if _, err := b.Create(t.Context(), "held", nil); err != nil {
		t.Errorf("Create: %v", err)
	}
}
