package e2e_test

import "orthanc-bucketfs/cmd/internal/lab"

// check reads an image back.
func (p *pacs) check(i lab.Image) error { return p.orthanc.Check(p.ctx, i) }

// checkAll reads all images, several at once.
func (p *pacs) checkAll(images []lab.Image) {
	p.Helper()
	if err := lab.Each(4, images, p.check); err != nil {
		p.Fatal(err)
	}
}

// attachments counts the files of the images.
func attachments(images []lab.Image) int {
	n := 0
	for _, i := range images {
		n += len(i.Sums)
	}
	return n
}

// variants returns n instances from the corpus, as no call with another range
// of numbers from base on returns them.
func variants(base, n int) []lab.Instance {
	instances := make([]lab.Instance, n)
	for k := range instances {
		instances[k] = shared.corpus[k%len(shared.corpus)].Variant(base + k)
	}
	return instances
}

// large returns an instance of size bytes; n makes it unlike any other.
func large(n, size int) lab.Instance {
	i, err := shared.image.Enlarge(size, uint64(n))
	if err != nil {
		panic(err) // every size used here is even and beyond the file's own
	}
	return i.Variant(n)
}
