package unsettled

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openJournal(t *testing.T, path string) (*Journal, int) {
	t.Helper()
	j, doubtful, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, doubtful
}

// after returns what the next process finds if this one is killed now.
func after(t *testing.T, path string) (left []entry, doubtful int) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(copied, content, 0o600); err != nil {
		t.Fatal(err)
	}
	j, doubtful := openJournal(t, copied)
	return j.unfinished(), doubtful
}

const key = "ab/cd/abcd0000-1111-4222-8333-444455556666"

func TestJournalOutlivesItsProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _ := openJournal(t, path)
	j.begin(key, Mark{1})
	j.begin(key, Mark{2})
	j.begin("other", Mark{3})
	j.end("other")
	left, doubtful := after(t, path)
	if len(left) != 2 || doubtful != 0 || left[0].key != key || left[1].key != key || left[0].mark[0]+left[1].mark[0] != 3 {
		t.Errorf("left %v, doubtful %d", left, doubtful)
	}
	j.end(key)
	if left, _ := after(t, path); len(left) != 0 || j.has(key) {
		t.Errorf("left %v after the end", left)
	}
}

// What is stored stays in it until the writer has been told, whatever else ends.
func TestJournalOfStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _ := openJournal(t, path)
	j.begin(key, Mark{1})
	j.begin(key, Mark{2})
	j.store(key)
	j.end(key)
	if left, _ := after(t, path); len(left) != 1 || !left[0].stored {
		t.Errorf("left %v, want one that is stored", left)
	}
	j.told(key)
	if left, _ := after(t, path); len(left) != 0 || len(j.rest) != slots {
		t.Errorf("left %v, %d slots free", left, len(j.rest))
	}
	j.begin(key, Mark{3})
	j.told(key)
	if left, _ := after(t, path); len(left) != 1 || left[0].stored {
		t.Errorf("left %v, want one that is open", left)
	}
}

// A delete is noted until nothing is open about its key, or it is stored again.
func TestJournalOfDeletes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _ := openJournal(t, path)
	for name, ended := range map[string]func(){"end": func() { j.end(key) }, "stored": func() { j.store(key); j.told(key) }} {
		j.beginDelete(key, Mark{1})
		j.told(key) // by the writer, late
		if left, _ := after(t, path); len(left) != 1 || !left[0].deleting || left[0].stored || left[0].mark != (Mark{1}) {
			t.Errorf("%s: left %v, want a delete", name, left)
		}
		ended()
		if left, _ := after(t, path); len(left) != 0 || len(j.rest) != slots {
			t.Errorf("%s: left %v, %d slots free", name, left, len(j.rest))
		}
	}
}

// What ends when the file is closed has nothing to note any more.
func TestClosedJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _ := openJournal(t, path)
	j.beginDelete(key, Mark{1})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j.end(key)
	j.store(key)
	j.begin(key, Mark{2})
	if left, _ := after(t, path); len(left) != 1 || !left[0].deleting {
		t.Errorf("left %v, want a delete", left)
	}
}

// What was written before the machine was started says nothing: memory that had
// not reached the disk is lost, so that an upload may be in it that was acknowledged.
func TestJournalOfAnotherBoot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _ := openJournal(t, path)
	j.begin(key, Mark{1})
	copy(j.bytes[len(journalMagic):], "another boot id than that of this machine")
	left, doubtful := after(t, path)
	if len(left) != 0 || doubtful != 1 {
		t.Errorf("left %v, doubtful %d", left, doubtful)
	}
}

func TestJournalIsForOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	openJournal(t, path)
	if _, _, err := OpenJournal(path); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
}

func TestJournalIsFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _ := openJournal(t, path)
	for i := range slots + 3 {
		j.begin(fmt.Sprint("key", i), Mark{})
	}
	j.begin(strings.Repeat("k", maxKey+1), Mark{})
	if n := j.Lost.Load(); n != 4 {
		t.Errorf("%d lost, want 4", n)
	}
	for i := range slots {
		j.end(fmt.Sprint("key", i))
	}
	j.begin(strings.Repeat("k", maxKey), Mark{9})
	if left, _ := after(t, path); len(left) != 1 || len(left[0].key) != maxKey || left[0].mark != (Mark{9}) {
		t.Errorf("left %v", left)
	}
}

// A file of any content is taken, and never ends the process.
func TestForeignJournal(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "short": "orthanc", "garbage": strings.Repeat("\xff\x01garbage", 2*journalSize/9), "zeros": string(make([]byte, journalSize)),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "j")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			j, _ := openJournal(t, path)
			if left := j.unfinished(); len(left) != 0 {
				t.Errorf("left %d", len(left))
			}
			j.begin(key, Mark{1})
			if left, _ := after(t, path); len(left) != 1 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// One with nothing in it leaves no file, and one with something does.
func TestJournalIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	for _, open := range []bool{true, false} {
		j, _, err := OpenJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		if open {
			j.begin(key, Mark{1})
		} else {
			j.end(key)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); (err == nil) != open {
			t.Errorf("open %v: %v", open, err)
		}
	}
}

func TestNilJournal(t *testing.T) {
	var j *Journal
	j.begin(key, Mark{})
	j.end(key)
	if j.has(key) || j.unfinished() != nil || j.Close() != nil {
		t.Error("a journal that is none has something")
	}
}
