package backends_test

import (
	"context"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

type inspected struct{ backends.Bucket }

func (inspected) Inspect(context.Context, string) []backends.Finding { return nil }

func TestAsLooksBelowWrappers(t *testing.T) {
	inner := inspected{backendtest.NewMem()}
	got, ok := backends.As[backends.Inspector](backends.WithPrefix(backends.WithPrefix(inner, "a"), "b"))
	if !ok || got != backends.Inspector(inner) {
		t.Errorf("got %v, %v; want the bucket below the wrappers", got, ok)
	}
}

func TestAsFindsNothing(t *testing.T) {
	if got, ok := backends.As[backends.Inspector](backends.WithPrefix(backendtest.NewMem(), "a")); ok {
		t.Errorf("got %v, want nothing", got)
	}
}
