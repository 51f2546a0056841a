package backendtest

import (
	"fmt"
	"io/fs"

	"orthanc-bucketfs/backends"
)

func deletesVersion(p probe) {
	for i, size := range []int{0, 100, largeSize + 12_345} {
		name := fmt.Sprintf("d/x%d", i)
		body := make([]byte, size)
		obj := p.create(name, body)
		if err := p.deleteVersion(name, obj.Version); err != nil {
			p.Errorf("Delete of the version that is there: %v", err)
		}
		p.wantMissing(name)
		p.wantGone("Delete of a version that was deleted", p.deleteVersion(name, obj.Version))
		p.wantGone("Delete of a version without an object", p.deleteVersion("never", obj.Version))
		p.wantGone("Delete of a version without a directory", p.deleteVersion("never/there", obj.Version))
	}
}

func deletesNothingElse(p probe) {
	stale := p.create("x", newBody(1, 500))
	p.delete("x")
	body := newBody(2, 500)
	obj := p.create("x", body)
	p.wantErr("Delete of a version before", p.deleteVersion("x", stale.Version), backends.ErrChanged)
	p.wantBody("x", body)
	body = newBody(3, 700)
	next := p.replace("x", obj.Version, body)
	for _, old := range []backends.Object{stale, obj} {
		p.wantErr("Delete of a version that was replaced", p.deleteVersion("x", old.Version), backends.ErrChanged)
		p.wantBody("x", body)
	}
	if err := p.deleteVersion("x", next.Version); err != nil {
		p.Errorf("Delete of the version that took its place: %v", err)
	}
	p.wantMissing("x")
}

func replacedOrDeleted(p probe) {
	const rounds = 20
	for round := range rounds {
		name := fmt.Sprintf("d/x%d", round)
		obj := p.create(name, newBody(1, 5000))
		body := newBody(2, 5000)
		var replaced, deleted error
		together(func() {
			_, replaced = p.bucket.Replace(p.Context(), p.key(name), obj.Version, body)
		}, func() {
			deleted = p.deleteVersion(name, obj.Version)
		})
		switch {
		case replaced == nil && deleted == nil:
			p.Errorf("round %d: both have succeeded", round)
		case replaced == nil:
			p.wantErr("Delete", deleted, backends.ErrChanged)
			p.wantBody(name, body)
		case deleted == nil:
			p.wantErr("Replace", replaced, backends.ErrChanged)
			p.wantMissing(name)
		default:
			p.Errorf("round %d: neither has succeeded: Replace: %v; Delete: %v", round, replaced, deleted)
		}
	}
}

// storedStays deletes a version from several sides, while somebody waits for the
// key to be free.
func storedStays(p probe) {
	const rounds, deleters = 10, 4
	for round := range rounds {
		name := fmt.Sprintf("d/x%d", round)
		obj := p.create(name, newBody(1, 5000))
		body := newBody(2, 5000)
		calls := make([]func(), deleters)
		for i := range calls {
			calls[i] = func() { p.wantGone("Delete", p.deleteVersion(name, obj.Version)) }
		}
		deleted := make(chan struct{})
		go func() {
			defer close(deleted)
			together(calls...)
		}()
		p.createWhenFree(name, body, deleted)
		<-deleted
		p.wantBody(name, body)
	}
}

// createWhenFree tries to store body until it can, once more after freed.
func (p probe) createWhenFree(name string, body []byte, freed <-chan struct{}) {
	for last := false; ; {
		select {
		case <-freed:
			last = true
		default:
		}
		_, err := p.bucket.Create(p.Context(), p.key(name), body)
		switch {
		case err == nil:
			return
		case last:
			p.Errorf("Create after Delete: %v", err)
			return
		}
		p.wantErr("Create during Delete", err, fs.ErrExist)
	}
}

func (p probe) deleteVersion(name, version string) error {
	return p.bucket.Delete(p.Context(), p.key(name), version)
}

// wantGone wants the error of a Delete of a version that is not there.
func (p probe) wantGone(what string, err error) {
	p.Helper()
	if err != nil {
		p.wantErr(what, err, backends.ErrChanged)
	}
}
