package unsettled

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A journal file is a header and slots of 128 bytes, in native byte order:
//
//	header  "orthanc-bucketfs uploads 1\n", the kernel's boot id, zeros
//	slot    uint32 state (0 free, 1 open, 2 stored, 3 being deleted), uint32 length
//	        of the key, 16 bytes mark, key, zeros
//
// It is mapped into memory, so that to write it is to write memory: that costs no
// system call, cannot fail, and outlives a process that is killed. It does not
// outlive the machine: after another boot its content means nothing. So it may as
// well lie on a tmpfs.
const (
	free, open, stored, deleting = 0, 1, 2, 3 // states of a slot

	journalMagic = "orthanc-bucketfs uploads 1\n"
	slotSize     = 128
	slotHead     = 8 + len(Mark{})
	maxKey       = slotSize - slotHead
	slots        = 8191
	journalSize  = (1 + slots) * slotSize // 1 MiB
	bootIDFile   = "/proc/sys/kernel/random/boot_id"
)

// ErrInUse reports a journal that another process has open.
var ErrInUse = errors.New("another process uses it")

// Journal notes on disk which keys are being stored, and what is open about
// keys. A nil Journal notes nothing. It is safe for concurrent use.
type Journal struct {
	path  string
	file  *os.File
	bytes []byte

	// Lost is how many keys did not fit. What becomes of them after a crash,
	// nobody is told.
	Lost atomic.Int64

	mu   sync.Mutex       // guards the fields below, and all slots
	at   map[string][]int // one slot for each mark of a key
	rest []int            // free slots
	left []entry
}

// entry is what a process that was killed has left.
type entry struct {
	key      string
	mark     Mark
	stored   bool // it is stored, and perhaps its writer was told so
	deleting bool // a version of it, which has the mark, was being deleted
}

// OpenJournal opens or makes the journal at path, for this process alone. Doubtful
// is how many keys it has from before the machine was started: of these nobody
// can tell whether they were acknowledged, and nothing is done about them.
func OpenJournal(path string) (j *Journal, doubtful int, err error) {
	f, err := openLocked(path)
	if err != nil {
		return nil, 0, err
	}
	j = &Journal{path: path, file: f, at: map[string][]int{}}
	if doubtful, err = j.load(); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return j, doubtful, nil
}

// openLocked returns the file that path leads to, locked.
func openLocked(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), f.Close())
		}
		// Close may have removed it in the meantime.
		if is, err := isAt(f, path); is || err != nil {
			return f, err
		}
		f.Close()
	}
}

func isAt(f *os.File, path string) (bool, error) {
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(opened, there), err
}

func (j *Journal) load() (doubtful int, err error) {
	boot, err := os.ReadFile(bootIDFile)
	if err != nil {
		return 0, err
	}
	header := journalMagic + string(boot)
	if err := j.mapFile(); err != nil {
		return 0, err
	}
	found := j.scan()
	if !strings.HasPrefix(string(j.bytes[:slotSize]), header) {
		clear(j.bytes)
		copy(j.bytes, header)
		j.reset()
		return len(found), nil
	}
	j.left = found
	return 0, nil
}

// mapFile maps the file, all of which is written first if it is new: a write to
// memory that finds no space on the disk would end the process.
func (j *Journal) mapFile() error {
	fi, err := j.file.Stat()
	if err == nil && fi.Size() != journalSize {
		_, err = j.file.WriteAt(make([]byte, journalSize), 0)
	}
	if err == nil {
		err = j.file.Truncate(journalSize)
	}
	if err != nil {
		return err
	}
	bytes, err := unix.Mmap(int(j.file.Fd()), 0, journalSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping: %w", err)
	}
	j.bytes = bytes
	return nil
}

// scan reads all slots, and returns what those in use hold.
func (j *Journal) scan() []entry {
	var found []entry
	for i := slots; i >= 1; i-- {
		e, ok := j.read(i)
		if !ok {
			j.rest = append(j.rest, i)
			continue
		}
		j.at[e.key] = append(j.at[e.key], i)
		found = append(found, e)
	}
	return found
}

func (j *Journal) reset() {
	clear(j.at)
	j.rest = j.rest[:0]
	for i := slots; i >= 1; i-- {
		j.rest = append(j.rest, i)
	}
}

func (j *Journal) slot(i int) []byte { return j.bytes[i*slotSize : (i+1)*slotSize] }

// state is written last and read first, so that a slot in use is whole.
func (j *Journal) state(i int) *uint32 { return (*uint32)(unsafe.Pointer(&j.bytes[i*slotSize])) }

func (j *Journal) read(i int) (entry, bool) {
	s := j.slot(i)
	n := binary.NativeEndian.Uint32(s[4:])
	state := atomic.LoadUint32(j.state(i))
	if state < open || state > deleting || n == 0 || n > uint32(maxKey) {
		return entry{}, false
	}
	return entry{key: string(s[slotHead : slotHead+int(n)]), mark: Mark(s[8:slotHead]), stored: state == stored, deleting: state == deleting}, true
}

// unfinished returns what a process that was killed has left.
func (j *Journal) unfinished() []entry {
	if j == nil {
		return nil
	}
	return j.left
}

// begin notes that an object with the mark is about to be sent under key.
func (j *Journal) begin(key string, mark Mark) { j.note(key, mark, open) }

// beginDelete notes that the version of key that has the mark is about to be deleted.
func (j *Journal) beginDelete(key string, mark Mark) { j.note(key, mark, deleting) }

func (j *Journal) note(key string, mark Mark, state uint32) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.rest) == 0 || len(key) > maxKey {
		j.Lost.Add(1)
		return
	}
	i := j.rest[len(j.rest)-1]
	j.rest = j.rest[:len(j.rest)-1]
	j.at[key] = append(j.at[key], i)
	s := j.slot(i)
	binary.NativeEndian.PutUint32(s[4:], uint32(len(key)))
	copy(s[8:], mark[:])
	copy(s[slotHead:], key)
	atomic.StoreUint32(j.state(i), state)
}

// store notes that key is stored, which its writer is about to be told.
func (j *Journal) store(key string) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for n, i := range j.at[key] {
		if n == 0 {
			atomic.StoreUint32(j.state(i), stored)
		} else {
			j.clear(i)
		}
	}
	if at := j.at[key]; len(at) > 1 {
		j.at[key] = at[:1]
	}
}

// end notes that nothing is open about key any more, unless it is stored.
func (j *Journal) end(key string) { j.remove(key, open, deleting) }

// told notes that the writer of key, which is stored, knows that.
func (j *Journal) told(key string) { j.remove(key, stored) }

// remove frees those slots of key that have one of the states.
func (j *Journal) remove(key string, states ...uint32) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.at[key] = slices.DeleteFunc(j.at[key], func(i int) bool {
		gone := slices.Contains(states, atomic.LoadUint32(j.state(i)))
		if gone {
			j.clear(i)
		}
		return gone
	})
	if len(j.at[key]) == 0 {
		delete(j.at, key)
	}
}

func (j *Journal) clear(i int) {
	atomic.StoreUint32(j.state(i), free)
	clear(j.slot(i)[4:])
	j.rest = append(j.rest, i)
}

func (j *Journal) has(key string) bool {
	if j == nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, ok := j.at[key]
	return ok
}

// Close closes the file, and removes it if there is nothing open in it.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	err := unix.Munmap(j.bytes)
	j.bytes = nil
	if len(j.at) == 0 {
		err = errors.Join(err, os.Remove(j.path))
	}
	clear(j.at) // a delete may end later, and has nothing to note any more
	j.rest = nil
	return errors.Join(err, j.file.Close())
}
