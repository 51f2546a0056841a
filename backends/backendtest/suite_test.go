package backendtest

import (
	"testing"

	"orthanc-bucketfs/backends"
)

func TestMem(t *testing.T) {
	Run(t, func(*testing.T) backends.Bucket { return NewMem() })
}

func TestSharedMem(t *testing.T) {
	shared := NewMem()
	if _, err := shared.Create(t.Context(), "zz/foreign", nil); err != nil {
		t.Fatal(err)
	}
	Run(t, func(*testing.T) backends.Bucket { return shared })
	if len(shared.objects) != 1 {
		t.Errorf("the suite has left %d objects, want the 1 before it", len(shared.objects))
	}
}

func TestFaultyWithoutRules(t *testing.T) {
	Run(t, func(*testing.T) backends.Bucket { return NewFaulty(NewMem()) })
}
