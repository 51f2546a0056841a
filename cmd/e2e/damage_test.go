package e2e_test

import (
	"os"
	"slices"
	"testing"

	"orthanc-bucketfs/cmd/internal/lab"
)

// TestDamagedObjectIsNotShown changes objects behind the daemon's back, before
// it has seen any of them. Orthanc must not answer with an image then, and an
// object left alone must be as before.
func TestDamagedObjectIsNotShown(t *testing.T) {
	t.Parallel()
	damages := []struct {
		name string
		do   func(path string, size int64) error
	}{
		{"magic", func(path string, _ int64) error { return flip(path, 0) }},
		{"key id", func(path string, _ int64) error { return flip(path, 2) }},
		{"nonce", func(path string, _ int64) error { return flip(path, 6) }},
		{"data key", func(path string, _ int64) error { return flip(path, 69) }},
		{"content", func(path string, size int64) error { return flip(path, size/2) }},
		{"tag", func(path string, size int64) error { return flip(path, size-1) }},
		{"last byte missing", func(path string, size int64) error { return os.Truncate(path, size-1) }},
		{"empty", func(path string, _ int64) error { return os.Truncate(path, 0) }},
		{"object missing", func(path string, _ int64) error { return os.Remove(path) }},
	}
	p := newPACS(t, options{sync: true})
	untouched := p.uploadAll(variants(0, 1)...)
	images, objects := p.uploadOneByOne(variants(1, len(damages)))
	p.restartAll()
	for n, damage := range damages {
		info, err := os.Stat(objects[n])
		if err == nil {
			err = damage.do(objects[n], info.Size())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for n, damage := range damages {
		if file, err := p.orthanc.File(p.ctx, images[n].ID); !lab.IsRefused(err) {
			t.Errorf("%s: Orthanc returned %d bytes, error %v", damage.name, len(file), err)
		}
	}
	p.checkAll(untouched)
}

// uploadOneByOne returns the path of each image's object, too.
func (p *pacs) uploadOneByOne(instances []lab.Instance) (images []lab.Image, objects []string) {
	p.Helper()
	_, known := p.list()
	for _, i := range instances {
		images = append(images, p.uploadAll(i)...)
		_, now := p.list()
		added := slices.DeleteFunc(slices.Clone(now), func(name string) bool { return slices.Contains(known, name) })
		if len(added) != 1 {
			p.Fatalf("%s made %d objects", i.Name, len(added))
		}
		objects = append(objects, p.site.Bucket().Path(added[0]))
		known = now
	}
	return images, objects
}

// flip changes one bit of a file.
func flip(path string, at int64) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	content[at] ^= 1
	return os.WriteFile(path, content, 0o600)
}
