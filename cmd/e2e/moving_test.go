package e2e_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orthanc-bucketfs/cmd/internal/lab"
)

const (
	movedFiles = 300 // beside the corpus
	moveKills  = 3   // of each command
)

// TestMovingInAndOut imports a storage directory with a process that is killed
// again and again, and exports it likewise: the trees are the same. Then verify
// finds what is damaged.
func TestMovingInAndOut(t *testing.T) {
	ctx, site := newSite(t)
	in, out := filepath.Join(site.Dir, "in"), filepath.Join(site.Dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	files := storageDirectory(t, in)
	killAndFinish(t, ctx, site, "import", in, site.Bucket().Dir, len(files))
	killAndFinish(t, ctx, site, "export", out, out, len(files))
	if diff, err := exec.CommandContext(ctx, "diff", "-rq", in, out).CombinedOutput(); err != nil {
		t.Errorf("the trees differ: %v\n%s", err, diff)
	}
	if text, code := command(t, ctx, site, "verify"); code != 0 || !strings.HasPrefix(text, fmt.Sprintf("%d good ", len(files))) {
		t.Errorf("verify exits with %d:\n%s", code, text)
	}
	damage(t, filepath.Join(site.Bucket().Dir, files[10]), func(p []byte) []byte { p[len(p)/2] ^= 1; return p })
	damage(t, filepath.Join(site.Bucket().Dir, files[20]), func(p []byte) []byte { return p[:len(p)-1] })
	text, code := command(t, ctx, site, "verify")
	if code != 1 || strings.Count(text, "bad: ") != 2 || !strings.Contains(text, "bad: "+files[10]) || !strings.Contains(text, "bad: "+files[20]) {
		t.Errorf("verify of a damaged bucket exits with %d:\n%s", code, text)
	}
}

// storageDirectory fills dir as Orthanc does, an hour ago, and returns the names.
func storageDirectory(t *testing.T, dir string) (names []string) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	var bodies [][]byte
	for _, i := range shared.corpus {
		bodies = append(bodies, i.Data)
	}
	for i := range movedFiles {
		body := make([]byte, i*i/4)
		random.Read(body)
		bodies = append(bodies, body)
	}
	hourAgo := time.Now().Add(-time.Hour)
	for i, body := range bodies {
		name := fmt.Sprintf("%02x/%02x/%02x%02x0000-1111-4222-8333-%012x", i%256, i*7%256, i%256, i*7%256, i)
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, hourAgo, hourAgo); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// killAndFinish runs a command on dir, kills it each time that more files have
// come to be below target, and runs it to its end.
func killAndFinish(t *testing.T, ctx context.Context, site *lab.Site, name, dir, target string, total int) {
	t.Helper()
	killed := 0
	for i := range moveKills {
		before := countFiles(t, target)
		cmd := exec.CommandContext(ctx, site.Binary, name, "--jobs", "2", "--config", filepath.Join(site.Dir, "config.toml"), dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if killWhen(t, cmd, ended, func() bool { return countFiles(t, target) > before+total/8+rand.IntN(20)+i }) {
			killed++
		}
	}
	if n := countFiles(t, target); killed == 0 || n == 0 {
		t.Errorf("%s was killed %d times, with %d files moved", name, killed, n)
	}
	text, code := command(t, ctx, site, name, dir)
	if code != 0 {
		t.Errorf("%s exits with %d:\n%s", name, code, text)
	}
	t.Logf("%s was killed %d times: %s", name, killed, text)
}

// killWhen kills a process at a moment, and reports whether that was what ended
// it.
func killWhen(t *testing.T, cmd *exec.Cmd, ended <-chan error, reached func() bool) bool {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return false
		case <-tick.C:
			if reached() {
				_ = cmd.Process.Kill() // unless it has ended
				<-ended
				return !cmd.ProcessState.Exited()
			}
		}
	}
}

func countFiles(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error { // what goes meanwhile does not count
		if err == nil && e.Type().IsRegular() {
			n++
		}
		return nil
	})
	return n
}

func damage(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(p), 0o600); err != nil {
		t.Fatal(err)
	}
}
