package attachment

import (
	"errors"
	"testing"

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
