package e2e_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/cmd/internal/lab"
)

var orthancStormStores = flag.Int("orthancstorm", 60, "how many instances Orthanc is to store in a storm, on each server")

// deletedSoon is how many of the acknowledged images are deleted at once. While
// Orthanc deletes a file, which takes a second in the storm, it does nothing else.
const deletedSoon = 0.02

// orthancStorm is a stock Orthanc in a storm, and what its clients were told.
type orthancStorm struct {
	*pacs
	storm *storm

	mu     sync.Mutex // guards images
	images []stormImage
}

// stormImage is an instance that somebody has tried to store.
type stormImage struct {
	lab.Instance
	byDICOM bool
	acked   bool
	deleted string // the key of its file, if Orthanc has deleted it
}

// TestOrthancStorm stores by REST and C-STORE, through Orthanc 1.12.7, in a storm.
// In the end every acknowledged image is there, is what was sent, and has its file
// in the bucket, and nothing is in the bucket that neither Orthanc knows nor the
// daemon's log reports.
func TestOrthancStorm(t *testing.T) {
	eachStorm(t, func(t *testing.T, c cloud, alone bool) {
		c, proxy := c.behind(t)
		p := newPACS(t, options{
			sync: true, suite: lab.Trixie, binary: shared.plain, cloud: c, alone: alone,
			longer: 5*time.Minute + time.Duration(*orthancStormStores)*time.Second,
		})
		if alone {
			must(t, p.daemon.Await(p.ctx, "the names of all files are known"))
		}
		s := &orthancStorm{pacs: p, storm: &storm{T: t, ctx: p.ctx, bucket: c.bucket, proxy: proxy, log: p.daemon.Log}}
		s.storm.during(*stormSeed, s.blow)
		known := s.known()
		maps.Copy(known, s.failedDeletes())
		s.check(s.storm.settle(known))
	})
}

func (s *orthancStorm) blow() {
	s.Helper()
	if err := lab.Each(32, variants(0, *orthancStormStores), s.store); err != nil {
		s.Error(err)
	}
}

// store stores an instance, and deletes some as soon as they are acknowledged.
func (s *orthancStorm) store(instance lab.Instance) error {
	i := stormImage{Instance: instance, byDICOM: rand.IntN(8) == 0}
	var err error
	if i.acked, err = s.send(i); err != nil {
		return err
	}
	if i.acked && rand.Float64() < deletedSoon {
		i.deleted, err = s.delete(i)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.images = append(s.images, i)
	return err
}

func (s *orthancStorm) send(i stormImage) (acked bool, err error) {
	if i.byDICOM {
		answers, _, err := lab.CStore(s.ctx, s.orthanc.DICOMPort, []lab.Instance{i.Instance})
		return err == nil && answers[0], err
	}
	_, err = s.orthanc.Upload(s.ctx, i.Data)
	if lab.IsRefused(err) {
		return false, nil
	}
	return err == nil, err
}

// delete deletes an image, and returns the key of its file.
func (s *orthancStorm) delete(i stormImage) (key string, err error) {
	image, err := s.orthanc.Lookup(s.ctx, i.Instance)
	if err == nil {
		key, err = s.key(image.ID, lab.DICOM)
	}
	if err == nil {
		err = s.orthanc.Delete(s.ctx, image.ID)
	}
	return key, err
}

// key returns where the bucket has a file.
func (s *orthancStorm) key(id, name string) (string, error) {
	uuid, err := s.orthanc.AttachmentUUID(s.ctx, "instances", id, name)
	if err == nil && len(uuid) != len("abcd0000-1111-4222-8333-444455556666") {
		err = fmt.Errorf("Orthanc has the UUID %q for %s of %s", uuid, name, id)
	}
	if err != nil {
		return "", err
	}
	return path.Join(uuid[:2], uuid[2:4], uuid), nil
}

// known returns the keys of the files that Orthanc knows.
func (s *orthancStorm) known() map[string]bool {
	s.Helper()
	ids, err := s.orthanc.Instances(s.ctx)
	must(s.T, err)
	var mu sync.Mutex // guards known
	known := map[string]bool{}
	err = lab.Each(8, ids, func(id string) error {
		names, err := s.orthanc.Attachments(s.ctx, id)
		for _, name := range names {
			key, err := s.key(id, name)
			if err != nil {
				return err
			}
			mu.Lock()
			known[key] = true
			mu.Unlock()
		}
		return err
	})
	must(s.T, err)
	return known
}

// failedDeletes returns the keys of the files whose delete was answered with an
// error. Orthanc ignores it; it does not even ask for a delete after a stat that has
// failed.
func (s *orthancStorm) failedDeletes() map[string]bool {
	var refused strings.Builder
	for line := range strings.Lines(s.storm.log.String()) {
		if strings.Contains(line, `msg="stat failed"`) || strings.Contains(line, `msg="unlink failed"`) {
			refused.WriteString(line)
		}
	}
	failed := map[string]bool{}
	for _, i := range s.images {
		failed[i.deleted] = i.deleted != "" && strings.Contains(refused.String(), i.deleted)
	}
	return failed
}

func (s *orthancStorm) check(silent []string) {
	s.Helper()
	there := map[string]bool{}
	for _, key := range s.storm.keys() {
		there[key] = true
	}
	var acked []stormImage
	byDICOM, deleted, left := 0, 0, 0
	for _, i := range s.images {
		switch {
		case i.deleted != "":
			deleted++
			if there[i.deleted] {
				left++
			}
		case i.acked:
			acked = append(acked, i)
			if i.byDICOM {
				byDICOM++
			}
		}
	}
	var mu sync.Mutex // guards bad
	bad := 0
	_ = lab.Each(8, acked, func(i stormImage) error {
		if err := s.checkImage(i, there); err != nil {
			mu.Lock()
			defer mu.Unlock()
			bad++
			s.Errorf("%s was acknowledged: %v", i.Name, err)
		}
		return nil
	})
	s.Logf("%d stores in %d requests: %d acknowledged and kept, %d of them by C-STORE; %d tries of Orthanc failed; %d deleted, of which %d are left since the delete failed; lost or wrong %d, left unreported %d",
		len(s.images), s.storm.proxy.Requests(), len(acked), byDICOM, strings.Count(s.orthanc.Log.String(), "Cannot force flush to disk"),
		deleted, left, bad, len(silent))
}

// checkImage compares an image with what was sent. Orthanc encodes anew what comes
// by C-STORE.
func (s *orthancStorm) checkImage(i stormImage, there map[string]bool) error {
	image, err := s.orthanc.Lookup(s.ctx, i.Instance)
	if err != nil {
		return fmt.Errorf("lost: %w", err)
	}
	if sum := image.Sums[lab.DICOM]; !i.byDICOM && sum != lab.MD5(i.Data) {
		return fmt.Errorf("wrong: Orthanc received MD5 %s", sum)
	}
	key, err := s.key(image.ID, lab.DICOM)
	if err == nil && !there[key] {
		err = fmt.Errorf("lost: %s is not in the bucket", key)
	}
	if err != nil {
		return err
	}
	return s.orthanc.Check(s.ctx, image)
}
