package unsettled

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// slotOf is a slot as begin writes it.
func slotOf(state, length uint32, key string) []byte {
	s := binary.NativeEndian.AppendUint32(nil, state)
	s = binary.NativeEndian.AppendUint32(s, length)
	s = append(s, make([]byte, len(Mark{}))...)
	return append(s, key...)
}

// A journal with anything in its slots is read without harm, and what is taken
// for an entry is found by its key.
func FuzzJournal(f *testing.F) {
	f.Add(slotOf(open, 3, "key"))
	f.Add(slotOf(stored, uint32(maxKey), "key"))
	f.Add(slotOf(open, uint32(maxKey)+1, "key"))
	f.Add(slotOf(open, 0, "key"))
	f.Add(slotOf(7, 3, "key"))
	f.Add(slotOf(open, 1<<32-1, "key"))
	path := filepath.Join(f.TempDir(), "journal")
	f.Fuzz(func(t *testing.T, content []byte) {
		j, _, err := OpenJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		j.at = map[string][]int{"keep": {1}} // so that Close leaves the file
		copy(j.bytes[slotSize:], content)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j, doubtful, err := OpenJournal(path)
		if err != nil || doubtful != 0 {
			t.Fatal(doubtful, err)
		}
		for _, e := range j.unfinished() {
			if e.key == "" || len(e.key) > maxKey || !j.has(e.key) {
				t.Errorf("took %q", e.key)
			}
		}
		if len(j.rest)+len(j.unfinished()) != slots {
			t.Errorf("%d slots are free, and %d in use", len(j.rest), len(j.unfinished()))
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		_ = j.Close() // which may not find it any more
	})
}
