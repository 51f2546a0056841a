package inspect

import (
	"context"
	"fmt"

	"orthanc-bucketfs/backends"
)

// Checksum stores an object beside the scratch object with a checksum that is
// not its own, which must be refused. create does that and returns the store's
// answer; noticed tells whether that is about the checksum.
func (s *Scratch) Checksum(kind string, create func(ctx context.Context, key string) error, noticed func(error) bool) Step {
	return Step{"checksum", func(ctx context.Context) backends.Finding {
		if err := ctx.Err(); err != nil {
			return Wrong(err)
		}
		key := s.key + "-damaged"
		err := create(ctx, key)
		if err != nil && noticed(err) {
			return Fine("the store refuses what does not match its " + kind)
		}
		if left := s.drop(ctx, key); left != nil {
			return Wrong(fmt.Errorf("the object %s may be left in the bucket: %w", key, left))
		}
		if err != nil {
			return Doubtful(fmt.Sprintf("could not be examined: %v", err))
		}
		return Doubtful("the store does not compare the " + kind + " that comes with an object: what is damaged on the way would be noticed only when it is read")
	}}
}

// drop deletes an object also after ctx has ended.
func (s *Scratch) drop(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Patience)
	defer cancel()
	return s.bucket.Delete(ctx, key, "")
}
