package archive

import (
	"context"
	"errors"
	"testing"

	"orthanc-bucketfs/fs/attachment"
)

// A run that is ended while the last objects wait has not done them, and does
// not say that no key is needed any more.
func TestEndedWhileTheLastAreWorkedOn(t *testing.T) {
	const files = 4
	r := newRig()
	r.fill(t, r.store(t, 1), files)
	ctx, cancel := context.WithCancel(t.Context())
	arrived := make(chan struct{})
	go func() {
		for range files {
			<-arrived
		}
		cancel()
	}()
	done, err := Rekeyer{
		Store: r.store(t, 2, 1), Current: 2, Scope: Scope{Jobs: files + 1}, Failed: r.failed, Done: r.done,
		Wait: func(ctx context.Context, _ attachment.Record) error {
			arrived <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		},
	}.Run(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v; want %v", done, err, context.Canceled)
	}
}
