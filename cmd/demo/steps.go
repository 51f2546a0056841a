package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"orthanc-bucketfs/cmd/internal/lab"
)

func (d *demo) prepare(ctx context.Context) (err error) {
	if err := lab.Build(ctx, d.binary()); err != nil {
		return err
	}
	if d.site, err = lab.NewSite(ctx, d.binary(), d.dir, budgetMiB); err != nil {
		return err
	}
	d.result("master key  %s", d.site.Key())
	d.result("bucket      %s (a directory; encryption is on)", d.site.Bucket().Dir)
	return nil
}

func (d *demo) mount(ctx context.Context) (err error) {
	if d.daemon, err = d.site.Mount(ctx); err != nil {
		return err
	}
	d.result("orthanc-bucketfs (pid %d) serves %s", d.daemon.Pid(), d.site.Mountpoint())
	return nil
}

func (d *demo) startOrthanc(ctx context.Context) (err error) {
	d.orthanc, err = lab.StartOrthanc(ctx, lab.OrthancConfig{
		Dir: d.dir, Storage: d.site.Mountpoint(), Index: d.site.Mountpoint(),
		HTTPPort: d.http, DICOMPort: d.dicom, Sync: true,
	})
	if err != nil {
		return err
	}
	d.result("Orthanc (pid %d) answers at %s; StorageDirectory and IndexDirectory are the mount", d.orthanc.Pid(), d.orthanc.URL)
	return nil
}

// send stores half of the corpus by C-STORE, half by REST.
func (d *demo) send(ctx context.Context) error {
	corpus, err := lab.Corpus()
	if err != nil {
		return err
	}
	half := len(corpus) / 2
	if d.images, err = d.orthanc.StoreDICOM(ctx, corpus[:half]); err != nil {
		return err
	}
	d.result("%d acknowledged by C-STORE (dcmtk's storescu)", half)
	var mu sync.Mutex // guards d.images
	err = lab.Each(4, corpus[half:], func(i lab.Instance) error {
		image, err := d.orthanc.StoreREST(ctx, i)
		mu.Lock()
		defer mu.Unlock()
		d.images = append(d.images, image)
		return err
	})
	if err != nil {
		return err
	}
	d.result("%d acknowledged by REST (POST /instances), from 4 clients at once", len(corpus)-half)
	return nil
}

func (d *demo) readBack(ctx context.Context) error {
	err := lab.Each(4, d.images, func(i lab.Image) error { return d.orthanc.Check(ctx, i) })
	if err != nil {
		return err
	}
	d.result("%d of %d are what was sent", len(d.images), len(d.images))
	return nil
}

// lookInside shows how the first objects begin.
func (d *demo) lookInside(context.Context) error {
	const shown, bytesShown = 3, 24
	bucket := d.site.Bucket()
	objects, err := bucket.Objects()
	if err != nil {
		return err
	}
	size := 0
	for n, name := range objects {
		content, err := os.ReadFile(bucket.Path(name))
		if err != nil {
			return err
		}
		size += len(content)
		if n < shown {
			d.result("%s  %7d bytes", name, len(content))
			d.result("  %s", hexdump(content[:min(len(content), bytesShown)]))
		}
	}
	d.result("%d objects, %d bytes", len(objects), size)
	open, err := bucket.NotSealed()
	if err == nil && (len(open) > 0 || len(objects) != len(d.images)) {
		err = fmt.Errorf("there should be an envelope for each of %d images, but %d files are not sealed", len(d.images), len(open))
	}
	if err != nil {
		return err
	}
	d.result("every file begins with A1 and the number of its master key: all are sealed")
	d.result("(Orthanc's index is not in the bucket; it is on this machine, in local_dir)")
	return nil
}

// search looks for the patients in the bucket and, to see that there is
// something to find, in the same objects unsealed.
func (d *demo) search(ctx context.Context) error {
	patients, err := d.orthanc.Patients(ctx)
	if err != nil {
		return err
	}
	words := lab.PatientWords(patients)
	d.result("names and identifiers: %s", strings.Join(words, ", "))
	opened, err := d.countUnsealed(ctx, words)
	if err != nil {
		return err
	}
	found, err := d.site.Bucket().Containing(words)
	if err != nil {
		return err
	}
	d.result("found in %d of %d objects after 'orthanc-bucketfs unseal', in %d as the bucket has them",
		opened, len(d.images), len(found))
	if len(found) > 0 || opened == 0 {
		return errors.New("the bucket shows who the images are of, or the search finds nothing at all: " + strings.Join(found, ", "))
	}
	return nil
}

// countUnsealed counts the objects that have any of the words once unsealed.
func (d *demo) countUnsealed(ctx context.Context, words []string) (n int, err error) {
	objects, err := d.site.Bucket().Objects()
	if err != nil {
		return 0, err
	}
	for _, name := range objects {
		plain, err := d.site.Unseal(ctx, d.site.Bucket().Path(name))
		if err != nil {
			return 0, err
		}
		if lab.ContainsAny(plain, words) {
			n++
		}
	}
	return n, nil
}
