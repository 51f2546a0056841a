package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/cmd/internal/lab"
)

var wholeMinutes = flag.Bool("minutes", false, "tables of what Orthanc makes of errors: wait for an answer for minutes, not for seconds")

// answerPatience is how long an answer is waited for; without one it says so.
func answerPatience() time.Duration {
	if *wholeMinutes {
		return 200 * time.Second
	}
	return 5 * time.Second
}

// storing is a row of the table of what an Orthanc makes of a fault when it
// stores. Four C-STOREs are under way at once, as many as it has threads for.
type storing struct {
	name  string
	fault storageFault
	heard bool // both kinds of senders hear a refusal in seconds
}

func storings() []storing {
	rows := []storing{{name: "no fault (ENOENT at lookup)"}}
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.EAGAIN, syscall.EACCES, syscall.ETIMEDOUT, syscall.ENOSPC,
		syscall.EBUSY, syscall.ENOTCONN, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP} {
		rows = append(rows, storing{unix.ErrnoName(errno) + " at lookup", storageFault{lookup: errno}, false})
	}
	return append(rows,
		storing{"ENOENT at lookup, EIO at open for writing", storageFault{write: syscall.EIO}, true},
		storing{"ENOENT at lookup, EIO at fdatasync", storageFault{sync: syscall.EIO}, true},
		storing{"empty file at lookup, EIO at open for reading and writing", storageFault{empty: true, read: syscall.EIO, write: syscall.EIO}, true},
		storing{"empty file at lookup, EIO at open for reading and at fdatasync", storageFault{empty: true, read: syscall.EIO, sync: syscall.EIO}, true},
	)
}

// TestErrnoOfStore prints what a modality and a REST client hear, and after how
// many seconds, by what the storage answers.
func TestErrnoOfStore(t *testing.T) {
	eachOrthanc(t, func(t *testing.T, suite string) {
		var lines table
		t.Run("rows", func(t *testing.T) {
			for n, row := range storings() {
				t.Run(row.name, func(t *testing.T) {
					t.Parallel()
					lines.add(n, row.measure(t, suite))
				})
			}
		})
		t.Logf("\n| Storage answers | C-STORE | C-ECHO beside | REST |\n| --- | --- | --- | --- |\n%s", lines.String())
	})
}

func (row storing) measure(t *testing.T, suite string) string {
	s, o := newOrthancOn(t, suite)
	s.inject(row.fault)
	rest := heardREST(t.Context(), func(ctx context.Context) error {
		_, err := o.Upload(ctx, variants(0, 1)[0].Data)
		return err
	})
	store, echo := heardDICOM(t, o)
	if n := s.deletesUnasked(); n != 0 {
		t.Errorf("%d stores look like deletes", n)
	}
	if row.heard && (rest.late || store.late || rest.ok || store.ok) {
		t.Errorf("REST hears %s, C-STORE %s", rest, store)
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", row.name, store, echo, rest)
}

// reading is a row of the table of what an Orthanc makes of a fault when it
// reads.
type reading struct {
	name  string
	fault storageFault
}

func readings() []reading {
	rows := []reading{{name: "no fault"}}
	for _, errno := range []syscall.Errno{syscall.ENOENT, syscall.EIO, syscall.EAGAIN, syscall.EACCES, syscall.ETIMEDOUT, syscall.ENOTDIR} {
		rows = append(rows, reading{unix.ErrnoName(errno) + " at lookup", storageFault{lookup: errno}},
			reading{unix.ErrnoName(errno) + " at open", storageFault{read: errno}})
	}
	return append(rows, reading{"empty file at lookup, EIO at open", storageFault{empty: true, read: syscall.EIO, write: syscall.EIO}},
		reading{"empty file at lookup, ESTALE at open", storageFault{empty: true, read: syscall.ESTALE}})
}

// TestErrnoOfRead prints what a viewer hears of a stored image, by what the
// storage answers.
func TestErrnoOfRead(t *testing.T) {
	eachOrthanc(t, func(t *testing.T, suite string) {
		s, o := newOrthancOn(t, suite)
		image, err := o.StoreREST(t.Context(), variants(0, 1)[0])
		if err != nil {
			t.Fatal(err)
		}
		var lines table
		for n, row := range readings() {
			s.inject(row.fault)
			heard := heardREST(t.Context(), func(ctx context.Context) error { return o.Check(ctx, image) })
			if heard.ok != (row.fault == storageFault{}) || heard.late {
				t.Errorf("%s: %s", row.name, heard)
			}
			lines.add(n, fmt.Sprintf("| %s | %s |", row.name, heard))
		}
		t.Logf("\n| Storage answers | GET of a stored image |\n| --- | --- |\n%s", lines.String())
	})
}

// TestErrnoOfDelete prints what becomes of the deletion of a stored image, and
// of its file. One whose lookup fails can be told by what follows.
func TestErrnoOfDelete(t *testing.T) {
	rows := []reading{{name: "no fault"}}
	for _, errno := range []syscall.Errno{syscall.ENOENT, syscall.EIO, syscall.EACCES, syscall.ENOTDIR} {
		rows = append(rows, reading{unix.ErrnoName(errno) + " at lookup", storageFault{lookup: errno}},
			reading{unix.ErrnoName(errno) + " at unlink", storageFault{unlink: errno}})
	}
	rows = append(rows, reading{"empty file at lookup", storageFault{empty: true}})
	eachOrthanc(t, func(t *testing.T, suite string) {
		s, o := newOrthancOn(t, suite)
		var lines table
		for n, row := range rows {
			image, err := o.StoreREST(t.Context(), variants(n, 1)[0])
			if err != nil {
				t.Fatal(err)
			}
			before, unasked := s.count(), s.deletesUnasked()
			s.inject(row.fault)
			heard := heardREST(t.Context(), func(ctx context.Context) error { return o.Delete(ctx, image.ID) })
			s.inject(storageFault{})
			if heard.late {
				t.Errorf("%s: %s", row.name, heard)
			}
			if told := s.deletesUnasked() > unasked; told != (row.fault.lookup != 0) {
				t.Errorf("%s: no unlink, but a trace of it: %v", row.name, told)
			}
			left := map[bool]string{true: "left", false: "gone"}[s.count() == before]
			lines.add(n, fmt.Sprintf("| %s | %s | %s |", row.name, heard, left))
		}
		t.Logf("\n| Storage answers | DELETE of a stored image | its file |\n| --- | --- | --- |\n%s", lines.String())
	})
}

func newOrthancOn(t *testing.T, suite string) (*standIn, *lab.Orthanc) {
	s := newStandIn(t)
	return s, startOrthanc(t.Context(), t, s.dir, t.TempDir(), options{sync: true, suite: suite})
}

// heard is what a client hears.
type heard struct {
	what     string
	after    time.Duration
	ok, late bool
}

func (h heard) String() string {
	if h.late {
		return fmt.Sprintf("nothing in %.0f s", h.after.Seconds())
	}
	return fmt.Sprintf("%s, %.1f s", h.what, h.after.Seconds())
}

func heardREST(ctx context.Context, call func(context.Context) error) heard {
	ctx, cancel := context.WithTimeout(ctx, answerPatience())
	defer cancel()
	return heardOf(ctx, call)
}

func heardOf(ctx context.Context, call func(context.Context) error) heard {
	begin := time.Now()
	err := call(ctx)
	h := heard{what: "200", after: time.Since(begin), ok: err == nil, late: ctx.Err() != nil}
	if refused, ok := errors.AsType[*lab.RefusedError](err); ok {
		h.what = fmt.Sprint(refused.Status)
	} else if err != nil {
		h.what = err.Error()
	}
	return h
}

// dicomThreads is how many associations an Orthanc serves at once, unless its
// configuration says otherwise.
const dicomThreads = 4

// heardDICOM is what the last of four senders hears that C-STORE at once, and
// what somebody else hears who sends a C-ECHO when they have begun.
func heardDICOM(t *testing.T, o *lab.Orthanc) (store, echo heard) {
	ctx, cancel := context.WithTimeout(t.Context(), answerPatience())
	defer cancel()
	return beside(ctx, o, func() heard { return storeAtOnce(ctx, o, variants(1, dicomThreads)) })
}

// storeAtOnce is what the last of several senders hears.
func storeAtOnce(ctx context.Context, o *lab.Orthanc, instances []lab.Instance) (last heard) {
	begin := time.Now()
	var mu sync.Mutex // guards last
	var senders sync.WaitGroup
	for _, i := range instances {
		senders.Go(func() {
			ok, output, err := lab.CStore(ctx, o.DICOMPort, []lab.Instance{i})
			h := heard{storeAnswer(output), time.Since(begin), err == nil && ok[0], ctx.Err() != nil}
			mu.Lock()
			defer mu.Unlock()
			if h.after > last.after {
				last = h
			}
		})
	}
	senders.Wait()
	return last
}

// beside is what a client hears, and what somebody else hears who sends a C-ECHO
// when it has begun.
func beside(ctx context.Context, o *lab.Orthanc, client func() heard) (own, echo heard) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		own = client()
	}()
	time.Sleep(300 * time.Millisecond) // it has begun, and with a healthy Orthanc it is done
	begin := time.Now()
	err := lab.CEcho(ctx, o.DICOMPort)
	echo.what, echo.after, echo.ok, echo.late = "Success", time.Since(begin), err == nil, ctx.Err() != nil
	if err != nil {
		echo.what = "no association"
	}
	<-done
	return own, echo
}

// noAnswer is what Orthanc does with an exception that it has not expected, after
// a minute.
const noAnswer = "association aborted"

var storeStatus = regexp.MustCompile(`Received Store Response \(([^)]*)\)`)

// storeAnswer finds the status in what storescu prints.
func storeAnswer(output string) string {
	if found := storeStatus.FindStringSubmatch(output); found != nil {
		return found[1]
	}
	return noAnswer
}

// table collects lines that come in any order.
type table struct {
	mu    sync.Mutex // guards lines
	lines map[int]string
}

func (l *table) add(n int, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines == nil {
		l.lines = map[int]string{}
	}
	l.lines[n] = line
}

func (l *table) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(l.lines)) {
		fmt.Fprintln(&b, l.lines[n])
	}
	return b.String()
}
