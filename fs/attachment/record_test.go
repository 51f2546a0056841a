package attachment

import (
	"errors"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
)

// misfiring is a codec on a machine that makes mistakes.
type misfiring struct{ Codec }

func (m misfiring) Seal(u UUID, frame []byte) error {
	err := m.Codec.Seal(u, frame)
	frame[crypto.HeaderSize] ^= 1
	return err
}

// What was sealed anew is opened before it counts.
func TestResealOpensWhatItSealed(t *testing.T) {
	for name, codec := range map[string]Codec{"sound": Sealed(testRing(t, 1)), "misfiring": misfiring{Sealed(testRing(t, 1))}} {
		r := newRig(t, Sealed(testRing(t, 1)))
		store(t, r, testUUID(1), testContent(1000, 1))
		faulty := NewStore(Options{Bucket: r.mem, Codec: codec, Budget: r.budget, Log: r.Store.log, Timing: DefaultTiming()})
		for record, err := range faulty.Records(t.Context(), "") {
			if err == nil {
				err = faulty.Reseal(t.Context(), record, false)
			}
			if sound := name == "sound"; sound && err != nil || !sound && !errors.Is(err, crypto.ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
		}
		faulty.Close()
		r.done(t)
	}
}

// meanwhile is a codec in whose company something happens to the bucket between
// the fetching of an object and its replacement.
type meanwhile struct {
	Codec
	happens func()
}

func (m meanwhile) Seal(u UUID, frame []byte) error {
	m.happens()
	return m.Codec.Seal(u, frame)
}

// What is sealed anew takes the place of the version that was read, and of no
// later one.
func TestResealReplacesWhatItRead(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	store(t, r, testUUID(1), testContent(1000, 1))
	key, other := testUUID(1).Key(), []byte("put there by somebody else")
	codec := meanwhile{Sealed(testRing(t, 1)), func() {
		obj, err := r.mem.Stat(t.Context(), key)
		if err == nil {
			_, err = r.mem.Replace(t.Context(), key, obj.Version, other)
		}
		if err != nil {
			t.Error(err)
		}
	}}
	late := NewStore(Options{Bucket: r.mem, Codec: codec, Budget: r.budget, Log: r.Store.log, Timing: DefaultTiming()})
	for record, err := range late.Records(t.Context(), "") {
		if err == nil {
			err = late.Reseal(t.Context(), record, false)
		}
		if !errors.Is(err, backends.ErrChanged) {
			t.Errorf("got %v, want %v", err, backends.ErrChanged)
		}
	}
	got := make([]byte, len(other)+1)
	if n, _, err := r.mem.Read(t.Context(), key, "", got, 0); err != nil || string(got[:n]) != string(other) {
		t.Errorf("the bucket holds %q, %v", got[:n], err)
	}
	late.Close()
	r.done(t)
}
