package attachment

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
)

func flatLayout(o *Options) { o.Layout = Flat }

// move puts the object of u under another key, as the plugin would have.
func (r *rig) move(t testing.TB, u UUID, key string) {
	t.Helper()
	_, body := raw(t, r.mem, u.Key())
	if _, err := r.mem.Create(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
	if err := r.mem.Delete(t.Context(), u.Key(), ""); err != nil {
		t.Fatal(err)
	}
	r.shelf.forget(u) // it was not stored here
}

func TestLayoutParse(t *testing.T) {
	u := testUUID(1)
	for i, ending := range flatEndings() {
		got, f, ok := Flat.parse(u.String() + ending)
		if !ok || got != u || int(f) != i+1 || f.key(u) != u.String()+ending {
			t.Errorf("%s: %v, form %d, %v", ending, got, f, ok)
		}
		if _, ok := Legacy.Parse(u.String() + ending); ok {
			t.Errorf("layout legacy takes %s", ending)
		}
	}
	for _, layout := range []Layout{Legacy, Flat} {
		if got, ok := layout.Parse(u.Key()); !ok || got != u {
			t.Errorf("layout %d: %v, %v of %s", layout, got, ok, u.Key())
		}
		for _, key := range []string{"", "x", u.String(), u.String() + ".", u.String() + ".enc", u.String() + ".DCM",
			u.String() + ".dcm.enc.enc", "x/" + u.String() + ".dcm", u.Key() + ".dcm", u.Key() + "/", u.String()[:35] + ".dcm"} {
			if got, ok := layout.Parse(key); ok {
				t.Errorf("layout %d: %q is %v", layout, key, got)
			}
		}
	}
}

// What is under the legacy key takes one request; a flat name one more, and
// reading it one, as ever.
func TestFlatNamesAreFound(t *testing.T) {
	for i, ending := range flatEndings() {
		t.Run(ending, func(t *testing.T) {
			r := newRig(t, Sealed(testRing(t, 1)), flatLayout)
			u, content := testUUID(i), testContent(1000+i, 1)
			store(t, r, u, content)
			r.move(t, u, u.String()+ending)
			r.faulty.Reset()

			info, err := r.Stat(t.Context(), u)
			if err != nil || info.Size != int64(len(content)) || info.Version == "" {
				t.Fatalf("stat: %+v, %v", info, err)
			}
			if looks, lists := r.faulty.Calls(backendtest.OpStat, backendtest.OpRead), r.faulty.Calls(backendtest.OpList); looks != 1 || lists != 1 {
				t.Errorf("stat took %d HEAD or GET and %d LIST, want one each", looks, lists)
			}
			r.faulty.Reset()
			f, err := r.Open(t.Context(), info)
			if err != nil {
				t.Fatal(err)
			}
			if f.Info != info {
				t.Errorf("opened %+v, want %+v", f.Info, info)
			}
			f.Close()
			if n := r.faulty.Calls(); n != 1 {
				t.Errorf("open took %d requests", n)
			}
			wantContent(t, r, u, content)

			if err := r.Delete(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			_, err = r.Stat(t.Context(), u)
			wantErr(t, err, fs.ErrNotExist)
			r.done(t)
		})
	}
}

func TestLegacyKeysInLayoutFlat(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), flatLayout, lasting)
	u := testUUID(1)
	store(t, r, u, []byte("content"))
	if n := r.faulty.Calls(); n != 1 {
		t.Errorf("a store took %d requests", n)
	}
	if _, err := r.mem.Stat(t.Context(), u.Key()); err != nil {
		t.Errorf("a new file is not under its legacy key: %v", err)
	}
	r.faulty.Reset()
	wantContent(t, r, u, []byte("content"))
	if n := r.faulty.Calls(); n != 1 { // stat remembers the store
		t.Errorf("stat and open took %d requests", n)
	}
	r.done(t)
}

// One listing serves the names of both kinds, with sizes; of two objects of one
// attachment the legacy one counts, and deletes remove both.
func TestFlatListing(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), flatLayout)
	var all []UUID
	for i := range 40 {
		u := uuidIn(t, 0xab, byte(i%4), i)
		store(t, r, u, testContent(i, 1))
		if i%2 == 0 {
			r.move(t, u, u.String()+flatEndings()[i%8])
		}
		all = append(all, u)
	}
	twice := uuidIn(t, 0xab, 0, 1000)
	store(t, r, twice, testContent(77, 1))
	r.move(t, twice, twice.String()+".dcm")
	store(t, r, twice, testContent(88, 1))
	for _, stray := range []string{"abc", "ab", twice.String(), twice.String() + ".dcm.bak", "ab/x"} {
		if _, err := r.mem.Create(t.Context(), stray, nil); err != nil {
			t.Fatal(err)
		}
	}
	all = append(all, twice)
	slices.SortFunc(all, func(a, b UUID) int { return slices.Compare(a[:], b[:]) })
	r.faulty.Reset()
	var got []UUID
	for bb := range byte(4) {
		got = append(got, r.names(t, 0xab, bb)...)
	}
	if !slices.Equal(got, all) {
		t.Errorf("listed %d attachments, want %d: %v", len(got), len(all), got)
	}
	for _, u := range all {
		if info, err := r.Stat(t.Context(), u); err != nil || u == twice && info.Size != 88 {
			t.Errorf("stat of %s: %+v, %v", u, info, err)
		}
	}
	if n := r.faulty.Calls(); n != 1 {
		t.Errorf("names and sizes took %d requests, want 1", n)
	}
	for _, u := range all {
		if _, err := load(t, r, u); err != nil {
			t.Errorf("opening %s from a listing: %v", u, err)
		}
	}
	if err := r.Delete(t.Context(), twice); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Stat(t.Context(), twice); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the delete: %v", err)
	}
	dirs, err := r.Dirs(t.Context())
	if err != nil || len(dirs) != 256 {
		t.Errorf("%d directories, %v", len(dirs), err)
	}
	r.done(t)
}

// Trouble is never absence, and a delete that fails midway shows nothing old.
func TestFlatLayoutReportsTrouble(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), flatLayout, func(o *Options) { o.Timing.Delete = 0 })
	u := testUUID(1)
	store(t, r, u, []byte("old"))
	r.move(t, u, u.String()+".dcm.enc")
	r.faulty.Inject(backendtest.Each(backendtest.OpList, backendtest.Fail(errOutage)))
	_, err := r.Stat(t.Context(), u)
	wantErr(t, err, errOutage)
	r.faulty.Reset()

	store(t, r, u, []byte("new"))
	r.faulty.Inject(backendtest.Each(backendtest.OpDelete, backendtest.Fail(errOutage)))
	if err := r.Delete(t.Context(), u); err == nil {
		t.Error("the delete succeeded")
	}
	wantContent(t, r, u, []byte("new"))
	r.done(t)
}

// An object that has gone from its flat name may be under another one.
func TestFlatNameGoneIsAChange(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), flatLayout)
	u := testUUID(1)
	store(t, r, u, []byte("content"))
	r.move(t, u, u.String()+".dcm")
	info, err := r.Stat(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.mem.Delete(t.Context(), u.String()+".dcm", ""); err != nil {
		t.Fatal(err)
	}
	_, err = r.Open(t.Context(), info)
	wantErr(t, err, backends.ErrChanged)
	r.done(t)
}

// Without keys an envelope must not pass for a file; its name gives it away.
func TestSealedNameWithoutEncryption(t *testing.T) {
	r := newRig(t, Plain(), flatLayout)
	u := testUUID(1)
	if _, err := r.mem.Create(t.Context(), u.String()+".dcm.enc", make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	_, err := r.Stat(t.Context(), u)
	wantErr(t, err, crypto.ErrUnknownKey)
	r.names(t, u[0], u[1])
	_, err = r.Stat(t.Context(), u)
	wantErr(t, err, crypto.ErrUnknownKey)
	r.done(t)
}

// A sample finds what there is, however few objects the bucket holds.
func TestSampleOfFlatNames(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), flatLayout)
	u := testUUID(1)
	store(t, r, u, []byte("content"))
	r.move(t, u, fmt.Sprintf("%s.dcm.enc", u))
	opened, failures, err := r.Sample(t.Context(), 3)
	if opened == 0 || len(failures) > 0 || err != nil {
		t.Errorf("%d opened, %v, %v", opened, failures, err)
	}
	r.done(t)
}
