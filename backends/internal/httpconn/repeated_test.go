package httpconn

import (
	"testing"

	"orthanc-bucketfs/backends"
)

func TestRepeatsAreCounted(t *testing.T) {
	Repeated(t.Context())
	ctx, n := backends.CountRepeats(t.Context())
	Repeated(Repeated(ctx))
	if n.Load() != 2 {
		t.Errorf("%d repeats are counted, want 2", n.Load())
	}
}
