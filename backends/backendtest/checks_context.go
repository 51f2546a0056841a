package backendtest

import (
	"context"
	"errors"
	"time"

	"orthanc-bucketfs/backends"
)

func cancelled(p probe) {
	ctx, cancel := context.WithCancel(p.Context())
	cancel()
	p.wantEnded(ctx, context.Canceled)
}

func pastDeadline(p probe) {
	ctx, cancel := context.WithDeadline(p.Context(), time.Now().Add(-time.Second))
	defer cancel()
	p.wantEnded(ctx, context.DeadlineExceeded)
}

// wantEnded makes every call with a context that has ended with want.
func (p probe) wantEnded(ctx context.Context, want error) {
	p.Helper()
	p.create("there", newBody(1, 100))
	_, err := p.bucket.Stat(ctx, p.key("there"))
	p.wantErr("Stat", err, want)
	n, _, err := p.bucket.Read(ctx, p.key("there"), "", make([]byte, 100), 0)
	p.wantErr("Read", err, want)
	if n != 0 {
		p.Errorf("Read: got %d bytes", n)
	}
	_, err = p.bucket.List(ctx, backends.ListOptions{Prefix: p.key("")})
	p.wantErr("List", err, want)
	err = p.bucket.Delete(ctx, p.key("there"), "")
	p.wantErr("Delete", err, want)
	for _, size := range []int{headerSize, largeSize} {
		_, err = p.bucket.Create(ctx, p.key("new"), newBody(2, size))
		p.wantErr("Create", err, want)
		p.wantMissing("new")
	}
}

func cancelledUnderWay(p probe) {
	body := newBody(1, largeSize)
	for range 5 {
		ctx, cancel := context.WithCancel(p.Context())
		go cancel()
		_, err := p.bucket.Create(ctx, p.key("x"), body)
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			p.Errorf("Create: got error %v, want %v", err, context.Canceled)
		}
		if _, statErr := p.bucket.Stat(p.Context(), p.key("x")); err == nil || statErr == nil {
			p.wantBody("x", body)
		} else {
			p.wantMissing("x")
		}
		p.delete("x")
	}
}
