package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"orthanc-bucketfs/backends"
)

func oneWins(p probe) {
	const rounds, creators = 5, 8
	for round := range rounds {
		name := fmt.Sprintf("dir%d/x", round)
		bodies := make([][]byte, creators)
		objs := make([]backends.Object, creators)
		errs := make([]error, creators)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range creators {
			bodies[i] = newBody(uint64(i), 10_000)
			wg.Go(func() {
				<-start
				objs[i], errs[i] = p.bucket.Create(p.Context(), p.key(name), bodies[i])
			})
		}
		close(start)
		wg.Wait()
		winner := -1
		for i, err := range errs {
			if err != nil {
				p.wantErr("Create", err, fs.ErrExist)
				continue
			}
			if winner >= 0 {
				p.Errorf("round %d: creators %d and %d have both succeeded", round, winner, i)
			}
			winner = i
		}
		if winner < 0 {
			p.Fatalf("round %d: no Create has succeeded", round)
		}
		p.wantBody(name, bodies[winner])
		stat, err := p.bucket.Stat(p.Context(), p.key(name))
		if err != nil {
			p.Fatalf("Stat: %v", err)
		}
		p.wantSame("Stat", stat, objs[winner])
	}
}

// neverPartial looks at an object from when its Create is called until that
// has returned.
func neverPartial(p probe) {
	body := newBody(1, largeSize)
	created := make(chan error, 1)
	go func() {
		_, err := p.bucket.Create(p.Context(), p.key("x"), body)
		created <- err
	}()
	for {
		got, obj, err := p.read("x", len(body))
		if err == nil && (!bytes.Equal(got, body) || obj.Size != int64(len(body))) {
			p.Errorf("Read during Create: got %d bytes, Size is %d", len(got), obj.Size)
		} else if err != nil {
			p.wantErr("Read during Create", err, fs.ErrNotExist)
		}
		for obj, err := range backends.All(p.Context(), p.bucket, p.key("")) {
			if err != nil || obj.Size != int64(len(body)) {
				p.Errorf("List during Create: got %+v, error %v", obj, err)
			}
		}
		select {
		case err := <-created:
			if err != nil {
				p.Fatalf("Create: %v", err)
			}
			p.wantBody("x", body)
			return
		default:
		}
	}
}

func large(p probe) {
	const part = 1 << 20
	body := newBody(1, largeSize+12_345)
	obj := p.create("x", body)
	got := make([]byte, len(body))
	var wg sync.WaitGroup
	for off := 0; off < len(got); off += part {
		piece := got[off:min(off+part, len(got))]
		wg.Go(func() {
			n, o, err := p.bucket.Read(p.Context(), p.key("x"), obj.Version, piece, int64(off))
			if n != len(piece) || err != nil {
				p.Errorf("Read of %d at %d: got %d bytes, error %v", len(piece), off, n, err)
			}
			p.wantSame("Read", o, obj)
		})
	}
	wg.Wait()
	if !bytes.Equal(got, body) {
		p.Errorf("the ranges do not make up the object")
	}
	p.wantBody("x", body)
}

// concurrent lets several clients work on the same few keys. Each object tells
// by itself whether it is whole, and its version belongs to one body.
func concurrent(p probe) {
	const clients, rounds = 8, 8
	var bodies sync.Map // key and version to body
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for round := range rounds {
				name := fmt.Sprintf("d/k%d", (c+round)%3)
				p.createAny(name, newBody(uint64(c*rounds+round), 5000+c))
				p.readAny(name, &bodies)
				p.listAny()
				if round%2 == 1 {
					if err := p.bucket.Delete(p.Context(), p.key(name), ""); err != nil {
						p.Errorf("Delete %q: %v", name, err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func (p probe) createAny(name string, body []byte) {
	_, err := p.bucket.Create(p.Context(), p.key(name), body)
	if err != nil {
		p.wantErr("Create", err, fs.ErrExist)
	}
}

func (p probe) readAny(name string, bodies *sync.Map) {
	got, obj, err := p.read(name, 6000)
	if err != nil {
		p.wantErr("Read", err, fs.ErrNotExist)
		return
	}
	if !whole(got) || obj.Size != int64(len(got)) {
		p.Errorf("Read %q: got %d bytes that are not one object of Size %d", name, len(got), obj.Size)
		return
	}
	if before, loaded := bodies.LoadOrStore(obj.Key+"\x00"+obj.Version, got); loaded && !bytes.Equal(before.([]byte), got) {
		p.Errorf("Read %q: version %q has two bodies", name, obj.Version)
	}
	buf := make([]byte, 100)
	n, again, err := p.bucket.Read(p.Context(), p.key(name), obj.Version, buf, 1000)
	switch {
	case err == nil && (again.Version != obj.Version || !bytes.Equal(buf[:n], got[1000:1100])):
		p.Errorf("Read %q: got %d bytes of version %q, want those of %q", name, n, again.Version, obj.Version)
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, backends.ErrChanged):
		p.Errorf("Read %q: %v", name, err)
	}
}

func (p probe) listAny() {
	var keys []string
	for obj, err := range backends.All(p.Context(), p.bucket, p.key("")) {
		if err != nil {
			p.Errorf("List: %v", err)
			return
		}
		keys = append(keys, obj.Key)
		if !strings.HasPrefix(obj.Key, p.key("d/k")) {
			p.Errorf("List: got %q", obj.Key)
		}
	}
	if !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != len(keys) {
		p.Errorf("List: keys are not ascending: %q", keys)
	}
}
