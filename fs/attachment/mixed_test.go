package attachment

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
)

func acceptPlaintext(o *Options) { o.AcceptPlaintext = true }

func put(t testing.TB, b backends.Bucket, key string, body []byte) {
	t.Helper()
	if _, err := b.Create(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
}

// plaintexts are files as Orthanc has them: DICOM, JSON, compressed, short, none.
func plaintexts() [][]byte {
	return [][]byte{
		append(make([]byte, 128), "DICM..."...), []byte(`{"0008,0005":{}}`),
		{0x10, 0x31, 0, 0, 0, 0, 0, 0, 0x78, 0x9c}, []byte("A"), {}, testContent(100_000, 1),
	}
}

// Plaintext and envelopes are told apart at the price of a stat, under keys of
// both layouts, and each has its own size.
func TestPlaintextAmongEnvelopes(t *testing.T) {
	for _, layout := range []Layout{Legacy, Flat} {
		t.Run(fmt.Sprint(layout), func(t *testing.T) {
			r := newRig(t, Sealed(testRing(t, 1)), acceptPlaintext, func(o *Options) { o.Layout = layout })
			key := func(u UUID) string {
				if layout == Flat {
					return u.String() + ".dcm"
				}
				return u.Key()
			}
			for i, content := range plaintexts() {
				put(t, r.mem, key(testUUID(i)), content)
			}
			sealed := testUUID(100)
			store(t, r, sealed, []byte("sealed"))
			r.names(t, 0xab, 0) // a listing does not know what objects hold
			r.shelf.forget(sealed)
			r.faulty.Reset()
			for i, content := range plaintexts() {
				wantContent(t, r, testUUID(i), content)
			}
			wantContent(t, r, sealed, []byte("sealed"))
			want := len(plaintexts())*2 + 2
			if layout == Flat {
				want += len(plaintexts()) * 2
			}
			if n := r.faulty.Calls(); n != want {
				t.Errorf("%d requests, want %d", n, want)
			}
			r.done(t)
		})
	}
}

// Without the mode plaintext is refused, and in the mode an envelope that is
// damaged, of an unknown key or cut short is never plaintext.
func TestDamagedEnvelopeIsNeverPlaintext(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	put(t, r.mem, testUUID(1).Key(), testContent(1000, 1))
	_, err := load(t, r, testUUID(1))
	wantErr(t, err, crypto.ErrCorrupt)
	r.done(t)

	other := newRig(t, Sealed(testRing(t, 9)))
	store(t, other, testUUID(5), []byte("under another key"))
	_, unknown := raw(t, other.mem, testUUID(5).Key())
	other.done(t)

	r = newRig(t, Sealed(testRing(t, 1)), acceptPlaintext)
	store(t, r, testUUID(2), []byte("content"))
	_, body := raw(t, r.mem, testUUID(2).Key())
	damaged := bytes.Clone(body)
	damaged[80] ^= 1
	for i, test := range []struct {
		body []byte
		want error
	}{
		{damaged, crypto.ErrCorrupt},
		{body[:50], crypto.ErrCorrupt},
		{[]byte("A1"), crypto.ErrCorrupt},
		{unknown, crypto.ErrUnknownKey},
	} {
		put(t, r.mem, testUUID(10+i).Key(), test.body)
		_, err := load(t, r, testUUID(10+i))
		wantErr(t, err, test.want)
	}
	// Should the two ever be taken for each other, Open refuses.
	info, err := r.Stat(t.Context(), testUUID(2))
	if err != nil {
		t.Fatal(err)
	}
	info.at.plain, info.Size = true, int64(len(body))
	_, err = r.Open(t.Context(), info)
	wantErr(t, err, crypto.ErrCorrupt)
	r.done(t)
}

// What is sealed in place between stat and open is another version.
func TestPlaintextSealedMeanwhile(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), acceptPlaintext)
	u, content := testUUID(1), testContent(5000, 1)
	put(t, r.mem, u.Key(), content)
	info, err := r.Stat(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.mem.Delete(t.Context(), u.Key(), ""); err != nil {
		t.Fatal(err)
	}
	store(t, r, u, content)
	_, err = r.Open(t.Context(), info)
	wantErr(t, err, backends.ErrChanged)
	wantContent(t, r, u, content)
	r.done(t)
}

// withFallback adds a fallback directory, which it returns.
func withFallback(t *testing.T, r *rig) (*backendtest.Faulty, backends.Bucket) {
	t.Helper()
	mem := backendtest.NewMem()
	faulty := backendtest.NewFaulty(mem)
	r.fallback = faulty
	return faulty, mem
}

func TestFallback(t *testing.T) {
	for name, codec := range codecs(t) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, codec)
			faulty, old := withFallback(t, r)
			both, here, there := uuidIn(t, 1, 2, 1), uuidIn(t, 1, 2, 2), uuidIn(t, 1, 3, 3)
			far := uuidIn(t, 9, 9, 9)
			store(t, r, both, []byte("in the bucket"))
			store(t, r, here, []byte("here"))
			put(t, old, both.Key(), []byte("old"))
			put(t, old, there.Key(), []byte("there, and longer"))
			put(t, old, far.Key(), nil)
			put(t, old, "index.db", nil)

			r.shelf.clear()
			wantContent(t, r, both, []byte("in the bucket"))
			wantContent(t, r, here, []byte("here"))
			if n := faulty.Calls(); n != 0 {
				t.Errorf("the fallback directory was asked %d times for what the bucket has", n)
			}
			wantContent(t, r, there, []byte("there, and longer"))
			_, err := r.Stat(t.Context(), uuidIn(t, 1, 2, 77))
			wantErr(t, err, fs.ErrNotExist)

			dirs, err := r.Dirs(t.Context())
			if err != nil || !slices.Equal(dirs, []byte{1, 9}) {
				t.Errorf("directories %v, %v", dirs, err)
			}
			if got := r.names(t, 1, 2); !slices.Equal(got, []UUID{both, here}) {
				t.Errorf("listed %v", got)
			}
			if got := r.names(t, 1, 3); !slices.Equal(got, []UUID{there}) {
				t.Errorf("listed %v", got)
			}
			wantContent(t, r, there, []byte("there, and longer"))
			wantContent(t, r, far, nil)

			for _, u := range []UUID{both, here, there} {
				if err := r.Delete(t.Context(), u); err != nil {
					t.Fatal(err)
				}
				_, err := r.Stat(t.Context(), u)
				wantErr(t, err, fs.ErrNotExist)
			}
			if n := faulty.Calls(backendtest.OpCreate); n != 0 {
				t.Errorf("%d files were written to the fallback directory", n)
			}
			r.done(t)
		})
	}
}

// Whether the keys fit is tried on the bucket, however much more the fallback
// directory holds.
func TestSampleIsOfTheBucket(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	_, old := withFallback(t, r)
	for aa := range byte(100) {
		put(t, old, uuidIn(t, aa, 1, 1).Key(), []byte("old"))
	}
	store(t, r, uuidIn(t, 200, 1, 1), []byte("new"))
	opened, failures, err := r.Sample(t.Context(), 3)
	if opened != 1 || len(failures) > 0 || err != nil {
		t.Errorf("%d opened, %v, %v", opened, failures, err)
	}
	r.done(t)
}

// Trouble with either side is never absence, and a delete that fails in one
// leaves the file as it was.
func TestFallbackReportsTrouble(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), func(o *Options) { o.Timing.Delete = 0 })
	faulty, old := withFallback(t, r)
	u := testUUID(1)
	put(t, old, u.Key(), []byte("old"))

	faulty.Inject(backendtest.Each(backendtest.OpRead, backendtest.Fail(errOutage)))
	_, err := r.Stat(t.Context(), u)
	wantErr(t, err, errOutage)
	faulty.Reset()
	faulty.Inject(backendtest.Each(backendtest.OpList, backendtest.Fail(errOutage)))
	_, err = r.Names(t.Context(), u[0], u[1])
	wantErr(t, err, errOutage)
	_, err = r.Dirs(t.Context())
	wantErr(t, err, errOutage)
	faulty.Reset()

	r.faulty.Inject(backendtest.Each(backendtest.OpStat, backendtest.Fail(errOutage)),
		backendtest.Each(backendtest.OpRead, backendtest.Fail(errOutage)))
	_, err = r.Stat(t.Context(), u) // the bucket may have another version
	wantErr(t, err, errOutage)
	r.faulty.Reset()

	store(t, r, u, []byte("new"))
	faulty.Inject(backendtest.Each(backendtest.OpDelete, backendtest.Fail(errOutage)))
	if err := r.Delete(t.Context(), u); !errors.Is(err, errOutage) {
		t.Errorf("the delete: %v", err)
	}
	wantContent(t, r, u, []byte("new"))
	r.done(t)
}

// A file that is imported between stat and open has changed, and is not lost.
func TestImportedFromFallbackMeanwhile(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	_, old := withFallback(t, r)
	u := testUUID(1)
	put(t, old, u.Key(), []byte("content"))
	info, err := r.Stat(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	store(t, r, u, []byte("content"))
	if err := old.Delete(t.Context(), u.Key(), ""); err != nil {
		t.Fatal(err)
	}
	_, err = r.Open(t.Context(), info)
	wantErr(t, err, backends.ErrChanged)
	wantContent(t, r, u, []byte("content"))
	r.done(t)
}

// The plugin keeps envelopes in its directory if it writes there with
// encryption on.
func TestEnvelopesInTheFallback(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	_, old := withFallback(t, r)
	store(t, r, testUUID(1), []byte("content"))
	_, body := raw(t, r.mem, testUUID(1).Key())
	put(t, old, testUUID(2).Key(), body)
	wantContent(t, r, testUUID(2), []byte("content"))
	body[75] ^= 1
	put(t, old, testUUID(3).Key(), body)
	_, err := load(t, r, testUUID(3))
	wantErr(t, err, crypto.ErrCorrupt)
	r.done(t)
}
