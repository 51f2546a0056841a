package attachment

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
)

// reopened returns a Writer of an attachment that was committed with content, and
// then reopened.
func reopened(t *testing.T, r *rig, content []byte) *Writer {
	t.Helper()
	w := r.Create(testUUID(1))
	write(t, w, content)
	if _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// What was committed goes on, whatever its size, and is there all the time: it is
// replaced, and never deleted.
func TestReopen(t *testing.T) {
	for name, codec := range map[string]Codec{"sealed": Sealed(testRing(t, 1)), "plain": Plain()} {
		for _, size := range []int{0, 1, 7, 4096, 100_000, 3 << 20} {
			r := newRig(t, codec)
			content := bytes.Repeat([]byte("c"), size)
			w := reopened(t, r, content)
			wantContent(t, r, testUUID(1), content)
			if got := make([]byte, size); size > 0 {
				if n, err := w.ReadAt(got, 0); n != size || err != nil || !bytes.Equal(got, content) {
					t.Errorf("%s, %d bytes: read %d of them, %v", name, size, n, err)
				}
			}
			if err := w.WriteAt(t.Context(), []byte("more"), int64(size)); err != nil {
				t.Fatal(err)
			}
			wantContent(t, r, testUUID(1), content)
			info, err := w.Commit(t.Context())
			if err != nil || info.Size != int64(size)+4 {
				t.Fatalf("%s, %d bytes: %+v, %v", name, size, info, err)
			}
			wantContent(t, r, testUUID(1), append(content, "more"...))
			if n := r.faulty.Calls(backendtest.OpDelete); n != 0 {
				t.Errorf("%s, %d bytes: %d deletes", name, size, n)
			}
			r.done(t)
		}
	}
}

// What was acknowledged stays when nothing comes of its continuation.
func TestReopenedInVain(t *testing.T) {
	outage := errors.New("out of reach")
	for name, test := range map[string]struct {
		rule backendtest.Rule
		end  func(*Writer) error
		want error
	}{
		"discarded":   {end: func(w *Writer) error { w.Discard(); return nil }},
		"outage":      {rule: backendtest.Each(backendtest.OpReplace, backendtest.Fail(outage)), want: outage},
		"refused":     {rule: backendtest.Each(backendtest.OpReplace, backendtest.Fail(fs.ErrPermission)), want: fs.ErrPermission},
		"unsupported": {rule: backendtest.Each(backendtest.OpReplace, backendtest.Fail(errors.ErrUnsupported)), want: errors.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Sealed(testRing(t, 1)))
			w := reopened(t, r, []byte("content"))
			write(t, w, []byte("CONTENT and more"))
			if test.end == nil {
				r.faulty.Inject(test.rule)
				test.end = func(w *Writer) error { _, err := w.Commit(t.Context()); return err }
			}
			if err := test.end(w); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			wantContent(t, r, testUUID(1), []byte("content"))
			if n := r.faulty.Calls(backendtest.OpDelete); n != 0 {
				t.Errorf("%d deletes", n)
			}
			r.done(t)
		})
	}
}

// A replacement whose answer is lost is found whole.
func TestReopenedAndAnswerLost(t *testing.T) {
	for _, lost := range []error{errors.New("out of reach"), backends.ErrChanged, context.DeadlineExceeded} {
		r := newRig(t, Sealed(testRing(t, 1)))
		w := reopened(t, r, []byte("content"))
		write(t, w, []byte("CONTENT and more"))
		r.faulty.Inject(backendtest.Each(backendtest.OpReplace, backendtest.LoseAnswer(lost)))
		if _, err := w.Commit(t.Context()); err != nil {
			t.Errorf("lost %v: %v", lost, err)
		}
		wantContent(t, r, testUUID(1), []byte("CONTENT and more"))
		r.done(t)
	}
}

// What somebody else has changed meanwhile is not replaced.
func TestReopenedAndChanged(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	w := reopened(t, r, []byte("content"))
	write(t, w, []byte("CONTENT"))
	if err := r.Delete(t.Context(), testUUID(1)); err != nil {
		t.Fatal(err)
	}
	other := r.Create(testUUID(1))
	write(t, other, []byte("another one"))
	if _, err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := w.Commit(t.Context())
	wantErr(t, err, backends.ErrChanged)
	wantContent(t, r, testUUID(1), []byte("another one"))
	r.done(t)
}

// What cannot be fetched, or verified, is not reopened, and stays.
func TestFailedReopen(t *testing.T) {
	outage := errors.New("out of reach")
	for name, test := range map[string]struct {
		fault backendtest.Fault
		want  error
	}{
		"outage":   {backendtest.Fail(outage), outage},
		"tampered": {backendtest.FlipBit(80), crypto.ErrCorrupt},
	} {
		r := newRig(t, Sealed(testRing(t, 1)))
		w := r.Create(testUUID(1))
		write(t, w, []byte("content"))
		if _, err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.faulty.Inject(backendtest.Nth(backendtest.OpRead, 1, test.fault))
		if err := w.Reopen(t.Context()); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		wantErr(t, w.WriteAt(t.Context(), []byte("more"), 7), ErrCommitted)
		wantContent(t, r, testUUID(1), []byte("content"))
		r.done(t)
	}
}

// The deletion of what is being continued deletes what was committed.
func TestDeleteReopened(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	w := reopened(t, r, []byte("content"))
	if !w.Delete() {
		t.Error("there is nothing to delete")
	}
	wantErr(t, w.WriteAt(t.Context(), []byte("more"), 7), ErrDeleted)
	r.done(t)
}
