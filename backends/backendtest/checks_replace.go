package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"orthanc-bucketfs/backends"
)

// replace puts body in the place of a version that is there.
func (p probe) replace(name, version string, body []byte) backends.Object {
	p.Helper()
	obj, err := p.bucket.Replace(p.Context(), p.key(name), version, body)
	if err != nil {
		p.Fatalf("Replace %q: %v", name, err)
	}
	return obj
}

func replaces(p probe) {
	obj := p.create("x", newBody(1, 1000))
	for i, size := range []int{1000, 10, 0, 5000, largeSize + 12_345, 100} {
		body := make([]byte, size)
		if size >= headerSize {
			body = newBody(uint64(i+2), size)
		}
		kept := bytes.Clone(body)
		next := p.replace("x", obj.Version, body)
		if next.Version == obj.Version {
			p.Errorf("replace %d: the version is still %q", i, next.Version)
		}
		if !bytes.Equal(body, kept) {
			p.Errorf("replace %d: the caller's body has changed", i)
		}
		p.wantBody("x", body)
		stat, err := p.bucket.Stat(p.Context(), p.key("x"))
		if err != nil {
			p.Fatalf("Stat: %v", err)
		}
		p.wantSame("Stat", stat, next)
		_, _, err = p.bucket.Read(p.Context(), p.key("x"), obj.Version, make([]byte, 1), 0)
		p.wantErr("Read of the version that was replaced", err, backends.ErrChanged)
		obj = next
	}
	if objects, _ := p.list(backends.ListOptions{}); len(objects) != 1 {
		p.Errorf("List: got %q", objects)
	}
}

func replacesNothingElse(p probe) {
	stale := p.create("x", newBody(1, 500))
	p.delete("x")
	body := newBody(2, 500)
	p.create("x", body)
	// Small bodies: a store may refuse before it has read the whole, and end the
	// connection, after which nobody knows what it has answered.
	for _, size := range []int{100, 1000} {
		_, err := p.bucket.Replace(p.Context(), p.key("x"), stale.Version, newBody(3, size))
		p.wantErr("Replace of a stale version", err, backends.ErrChanged)
		_, err = p.bucket.Replace(p.Context(), p.key("x"), "", newBody(4, size))
		p.wantErr("Replace of no version", err, backends.ErrChanged)
		p.wantBody("x", body)
		_, err = p.bucket.Replace(p.Context(), p.key("none"), stale.Version, newBody(5, size))
		p.wantErr("Replace of a missing object", err, backends.ErrChanged)
		p.wantMissing("none")
	}
}

func oneReplaces(p probe) {
	const rounds, replacers = 5, 8
	obj := p.create("d/x", newBody(0, 10_000))
	for round := range rounds {
		objs := make([]backends.Object, replacers)
		errs := make([]error, replacers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range replacers {
			wg.Go(func() {
				<-start
				objs[i], errs[i] = p.bucket.Replace(p.Context(), p.key("d/x"), obj.Version, newBody(uint64(round*replacers+i+1), 10_000))
			})
		}
		close(start)
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err != nil:
				p.wantErr("Replace", err, backends.ErrChanged)
			case winner >= 0:
				p.Errorf("round %d: replacers %d and %d have both succeeded", round, winner, i)
			default:
				winner = i
			}
		}
		if winner < 0 {
			p.Fatalf("round %d: no Replace has succeeded", round)
		}
		p.wantBody("d/x", newBody(uint64(round*replacers+winner+1), 10_000))
		obj = objs[winner]
	}
}

// staysDeleted lets a Replace and a Delete meet.
func staysDeleted(p probe) {
	const rounds = 20
	for round := range rounds {
		name := fmt.Sprintf("d/x%d", round)
		obj := p.create(name, newBody(1, 5000))
		var replaced, deleted error
		together(func() {
			_, replaced = p.bucket.Replace(p.Context(), p.key(name), obj.Version, newBody(2, 5000))
		}, func() {
			deleted = p.bucket.Delete(p.Context(), p.key(name), "")
		})
		if deleted != nil {
			p.Errorf("Delete: %v", deleted)
		}
		if replaced != nil {
			p.wantErr("Replace", replaced, backends.ErrChanged)
		}
		p.wantMissing(name)
	}
}

// neverMixed reads an object while it is replaced.
func neverMixed(p probe) {
	obj := p.create("x", newBody(1, 300_000))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 10 {
			next, err := p.bucket.Replace(p.Context(), p.key("x"), obj.Version, newBody(uint64(i+2), 300_000-10_000*i))
			if err != nil {
				p.Errorf("Replace: %v", err)
				return
			}
			obj = next
		}
	}()
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		got, stat, err := p.read("x", 300_000)
		if err != nil && !errors.Is(err, backends.ErrChanged) {
			p.Errorf("Read during Replace: %v", err)
		}
		if err == nil && (!whole(got) || stat.Size != int64(len(got))) {
			p.Errorf("Read during Replace: got %d bytes that are not one version of Size %d", len(got), stat.Size)
		}
	}
}
