package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/cmd/internal/lab"
)

// TestPostgreSQL has two Orthancs that share their index, each with a mount of the
// bucket that they share, too. What one of them has acknowledged both show at
// once, to the byte, also around the death of a daemon; and nothing is left in the
// bucket that neither the index knows nor a log names.
func TestPostgreSQL(t *testing.T) {
	for _, suite := range otherDebians() {
		for _, overwrite := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,OverwriteInstances=%v", suite, overwrite), func(t *testing.T) {
				t.Parallel()
				p := newPair(t, suite, overwrite)
				must(t, p.exchange())
				must(t, p.contend())
				must(t, p.replace())
				must(t, p.killOne())
				must(t, lab.Each(2, []func() error{p.delete, p.readAll}, func(do func() error) error { return do() }))
				p.checkIndex()
				p.checkBucket()
				p.Logf("%d images, %d reads, %d wrong, %d refused while the image was replaced; after a delete the other mount showed the file for up to %.1f s",
					len(p.images), p.reads, p.wrong, p.refused, p.shown.Seconds())
			})
		}
	}
}

// exchange stores through each machine, several at once and by all means, and
// reads each image through both as soon as it is acknowledged.
func (p *pair) exchange() error {
	instances := append(p.instances(len(shared.corpus)), large(p.number(), 3<<20), large(p.number(), 20<<20))
	err := lab.Each(6, instances, func(i lab.Instance) error {
		n := p.number()
		image, err := store(p.machines[n%2], i, n/2)
		if err != nil {
			return err
		}
		p.keep(image)
		return p.read(image)
	})
	return errors.Join(err, p.readMetadata())
}

// contend stores an instance through both machines at the same moment: the same
// file, or another one.
func (p *pair) contend() error {
	var contests [][2]lab.Instance
	for range 8 {
		n := p.number()
		contests = append(contests, [2]lab.Instance{large(n, 100<<10), large(n, 100<<10)}, p.versions())
	}
	return lab.Each(2, contests, func(files [2]lab.Instance) error {
		var errs [2]error
		var both sync.WaitGroup
		for n, m := range p.machines {
			both.Go(func() { _, errs[n] = m.orthanc.Upload(p.ctx, files[n].Data) })
		}
		both.Wait()
		image, err := p.machines[1].orthanc.Lookup(p.ctx, files[0])
		if err := errors.Join(errs[0], errs[1], err); err != nil {
			return err
		}
		if sum := image.Sums[lab.DICOM]; sum != lab.MD5(files[0].Data) && sum != lab.MD5(files[1].Data) {
			return fmt.Errorf("%s has MD5 %s, which nobody has stored", image.Name, sum)
		}
		p.keep(image)
		return p.read(image)
	})
}

// versions returns two files that are the same instance.
func (p *pair) versions() [2]lab.Instance {
	one, other := large(p.number(), 100<<10), large(p.number(), 100<<10)
	other.Data = slices.Concat(one.Data[:len(one.Data)/2], other.Data[len(one.Data)/2:])
	other.UID = one.UID
	return [2]lab.Instance{one, other}
}

// replace stores another file of an instance through the other machine, while
// both show it. It takes the place of the first only if Orthanc overwrites.
func (p *pair) replace() error {
	var all [][2]lab.Instance
	for range 16 {
		all = append(all, p.versions())
	}
	return lab.Each(3, all, func(files [2]lab.Instance) error {
		n := p.number()
		image, err := store(p.machines[n%2], files[0], n/2)
		if err != nil {
			return err
		}
		want, over := image, make(chan struct{})
		if p.overwrite {
			want.Instance, want.Sums = files[1], map[string]string{lab.DICOM: lab.MD5(files[1].Data)}
		}
		var errs [2]error
		var readers sync.WaitGroup
		for n, m := range p.machines {
			readers.Go(func() { errs[n] = p.readUntil(over, m, image, want) })
		}
		_, err = p.machines[1-n%2].orthanc.Upload(p.ctx, files[1].Data)
		if err == nil {
			p.keep(want)
			err = p.read(want)
		}
		close(over)
		readers.Wait()
		return errors.Join(err, errs[0], errs[1])
	})
}

// readUntil reads an image again and again. What an Orthanc has just looked up in
// the index may be gone when it opens it: then it shows nothing, and that is
// Orthanc's to say.
func (p *pair) readUntil(over <-chan struct{}, m *pacs, before, after lab.Image) error {
	for {
		err := p.readOn(m, before, before.Sums[lab.DICOM], after.Sums[lab.DICOM])
		if p.overwrite && lab.IsRefused(err) {
			p.refuse()
			err = nil
		}
		select {
		case <-over:
			return err
		default:
		}
		if err != nil {
			return err
		}
	}
}

// killOne kills the daemon of a machine in the middle of stores. The other machine
// stores and shows all the while, also what the first one has stored.
func (p *pair) killOne() error {
	one, other := p.machines[0], p.machines[1]
	over, served := make(chan struct{}), make(chan error)
	go func() { served <- p.serve(other, over) }()
	b := startBurst(one, 6, 0)
	err := errors.Join(b.awaitAcks(p.ctx, enough), one.freeze(), one.daemon.Kill())
	all := b.end()
	if err == nil {
		err = lab.Each(4, append(p.instances(12), large(p.number(), 3<<20)), func(i lab.Instance) error { return p.storeOn(other, i) })
	}
	close(over)
	if err := errors.Join(err, <-served, lab.Each(4, all, other.checkFate)); err != nil {
		return err
	}
	one.inspectLog()
	one.mount()
	one.replaceOrthanc()
	return p.keepBurst(all)
}

// serve stores through a machine, and shows what it has stored.
func (p *pair) serve(m *pacs, over <-chan struct{}) error {
	for {
		if err := p.storeOn(m, large(p.number(), 50<<10)); err != nil {
			return err
		}
		select {
		case <-over:
			return nil
		default:
		}
	}
}

// storeOn stores and reads through one machine, while the other one is down.
func (p *pair) storeOn(m *pacs, i lab.Instance) error {
	image, err := store(m, i, p.number())
	if err != nil {
		return err
	}
	p.keep(image)
	return p.readOn(m, image, image.Sums[lab.DICOM])
}

// keepBurst keeps what there is of a burst that a kill has ended.
func (p *pair) keepBurst(all []sent) error {
	count := map[fate]int{}
	for _, s := range all {
		count[s.fate]++
		found, err := p.machines[1].orthanc.Find(p.ctx, s.UID)
		if err != nil || len(found) == 0 && s.fate == acknowledged {
			return fmt.Errorf("%s was acknowledged, and is not found, error %w", s.Name, err)
		}
		if len(found) == 0 {
			continue
		}
		image, err := p.machines[1].orthanc.Lookup(p.ctx, s.Instance)
		if err != nil {
			return err
		}
		p.keep(image)
	}
	p.Logf("%d acknowledged, %d interrupted, %d sent to a dead daemon", count[acknowledged], count[interrupted], count[late])
	if count[interrupted] == 0 || count[late] == 0 {
		return errors.New("the daemon was not killed in the middle of the burst")
	}
	return nil
}

// delete deletes through each machine what both have just shown.
func (p *pair) delete() error {
	instances := p.instances(16)
	return lab.Each(len(instances), instances, func(i lab.Instance) error {
		n := p.number()
		here, there := p.machines[n%2], p.machines[1-n%2]
		image, err := store(here, i, 0)
		if err != nil {
			return err
		}
		uuid, err := here.orthanc.AttachmentUUID(p.ctx, "instances", image.ID, lab.DICOM)
		if err := errors.Join(err, p.read(image), here.orthanc.Delete(p.ctx, image.ID)); err != nil {
			return err
		}
		for _, m := range p.machines {
			_, err := m.orthanc.File(p.ctx, image.ID)
			if refusal, ok := errors.AsType[*lab.RefusedError](err); !ok || refusal.Status != http.StatusNotFound {
				return fmt.Errorf("%s was deleted, and Orthanc answers: %v", i.Name, err)
			}
		}
		return errors.Join(p.awaitGone(here, uuid, 0), p.awaitGone(there, uuid, time.Minute))
	})
}

// readAll reads all that was acknowledged and not deleted.
func (p *pair) readAll() error {
	return errors.Join(lab.Each(4, p.kept(), p.read), p.readMetadata())
}
