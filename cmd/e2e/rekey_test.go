package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/cmd/internal/lab"
)

const (
	rekeyFiles = 400
	rekeyKills = 4
)

// TestRekeyUnderAMount changes the master key of a bucket that a daemon serves,
// while files are stored, read and deleted, with a rekey that is killed again and
// again: in the end every file is there under the new key alone.
func TestRekeyUnderAMount(t *testing.T) {
	ctx, site := newSite(t)
	daemon := mustMount(t, ctx, site)
	live := &liveFiles{dir: site.Mountpoint(), there: map[string][]byte{}}
	for i := range rekeyFiles {
		live.store(t, i)
	}
	if err := daemon.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	useKeys(t, ctx, site, 2, 1)
	daemon = mustMount(t, ctx, site)

	busy, rest := context.WithCancel(ctx)
	var users sync.WaitGroup
	users.Go(func() { live.use(t, busy) })
	for range rekeyKills {
		if !killRekey(t, ctx, site) {
			t.Error("rekey ended before it was killed: --rate does not hold it back")
		}
	}
	out, code := command(t, ctx, site, "rekey")
	rest()
	users.Wait()
	if code != 0 || !strings.Contains(out, "No attachment in this bucket is under another key than 2") {
		t.Errorf("rekey exits with %d:\n%s", code, out)
	}
	t.Logf("killed %d times; %d files live, %d deleted while it ran", rekeyKills, len(live.there), live.deleted)
	live.check(t)
	if err := daemon.Stop(ctx); err != nil {
		t.Fatal(err)
	}

	useKeys(t, ctx, site, 2)
	if out, code := command(t, ctx, site, "verify"); code != 0 || !strings.Contains(out, fmt.Sprintf("%d good", len(live.there))) {
		t.Errorf("verify exits with %d:\n%s", code, out)
	}
	mustMount(t, ctx, site)
	live.check(t)
}

// killRekey kills a rekey in the midst of its work. It reports false if that
// ended by itself.
func killRekey(t *testing.T, ctx context.Context, site *lab.Site) bool {
	t.Helper()
	cmd := exec.CommandContext(ctx, site.Binary, "rekey", "--config", filepath.Join(site.Dir, "config.toml"), "--rate", "60", "--jobs", "2")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Duration(500+rand.IntN(1000)) * time.Millisecond)
	_ = cmd.Process.Kill()
	var exit *exec.ExitError
	return errors.As(cmd.Wait(), &exit) && !exit.Exited()
}

// useKeys makes the site's configuration one with these master keys, the current
// one first.
func useKeys(t *testing.T, ctx context.Context, site *lab.Site, ids ...int) {
	t.Helper()
	var keys []string
	for _, id := range ids {
		path := filepath.Join(site.Dir, fmt.Sprintf("master-%d.key", id))
		if _, err := os.Stat(path); err != nil {
			if out, err := exec.CommandContext(ctx, site.Binary, "keygen", path).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		keys = append(keys, fmt.Sprintf("{ id = %d, path = %q }", id, path))
	}
	config := filepath.Join(site.Dir, "config.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "master_key"):
			line = fmt.Sprintf("master_key = %s\nprevious_master_keys = [ %s ]\n", keys[0], strings.Join(keys[1:], ", "))
		case strings.HasPrefix(line, "previous_master_keys"):
			continue
		}
		lines = append(lines, line)
	}
	if err := os.WriteFile(config, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// liveFiles are the files of a mount, by name, and what is in them.
type liveFiles struct {
	dir     string
	there   map[string][]byte
	gone    []string
	next    int
	deleted int
}

func (l *liveFiles) store(t *testing.T, i int) {
	t.Helper()
	name := fmt.Sprintf("%02x/%02x/%02x%02x0000-1111-4222-8333-%012x", i%256, i*7%256, i%256, i*7%256, i)
	body := bytes.Repeat([]byte(fmt.Sprintf("%08d", i)), 100+i)
	if err := os.WriteFile(filepath.Join(l.dir, name), body, 0o600); err != nil {
		t.Errorf("storing: %v", err)
		return
	}
	l.there[name] = body
	l.next = max(l.next, i+1)
}

// use stores, deletes and reads until ctx ends.
func (l *liveFiles) use(t *testing.T, ctx context.Context) {
	for ctx.Err() == nil {
		l.store(t, l.next)
		n := 0
		for name, body := range l.there {
			if n++; n%3 == 0 {
				if err := os.Remove(filepath.Join(l.dir, name)); err != nil {
					t.Errorf("deleting: %v", err)
				}
				delete(l.there, name)
				l.gone = append(l.gone, name)
				l.deleted++
				break
			}
			l.read(t, name, body)
		}
	}
}

func (l *liveFiles) read(t *testing.T, name string, body []byte) {
	t.Helper()
	if got, err := os.ReadFile(filepath.Join(l.dir, name)); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(body))
	}
}

// check reads everything that is there, and looks for what is not.
func (l *liveFiles) check(t *testing.T) {
	t.Helper()
	for name, body := range l.there {
		l.read(t, name, body)
	}
	for _, name := range l.gone {
		if _, err := os.Stat(filepath.Join(l.dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s has come back: %v", name, err)
		}
	}
}
