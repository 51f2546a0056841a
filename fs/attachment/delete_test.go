package attachment

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"orthanc-bucketfs/backends"
)

// deletes is a bucket that notes which versions were to be deleted.
type deletes struct {
	backends.Bucket
	mu       sync.Mutex // guards versions
	versions []string
}

func (d *deletes) Delete(ctx context.Context, key, version string) error {
	d.mu.Lock()
	d.versions = append(d.versions, version)
	d.mu.Unlock()
	return d.Bucket.Delete(ctx, key, version)
}

// A delete names the version that was looked at, or stored: should the request
// arrive late, it takes nothing that was stored meanwhile.
func TestDeleteNamesTheVersion(t *testing.T) {
	for _, looks := range []bool{false, true} {
		t.Run(fmt.Sprint("looks ", looks), func(t *testing.T) {
			var sent *deletes
			r := newRig(t, Sealed(testRing(t, 1)), lasting, func(o *Options) {
				sent = &deletes{Bucket: o.Bucket}
				o.Bucket = sent
			})
			info, err := commit(r, testUUID(1), "content")
			if err != nil {
				t.Fatal(err)
			}
			if looks {
				r.shelf.clear()
				if info, err = r.Stat(t.Context(), testUUID(1)); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Delete(t.Context(), testUUID(1)); err != nil {
				t.Fatal(err)
			}
			if len(sent.versions) != 1 || sent.versions[0] != info.Version {
				t.Errorf("deleted were the versions %q, want %q", sent.versions, info.Version)
			}
			r.done(t)
		})
	}
}
