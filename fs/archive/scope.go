package archive

import (
	"context"
	"hash/fnv"
	"iter"
	"sync"
	"time"

	"orthanc-bucketfs/fs/attachment"
)

// Scope says which objects a run is about.
type Scope struct {
	Prefix    string    // only keys that begin with it
	NewerThan time.Time // only objects stored after it; zero for all

	// Of Shards runs that share the work, this is number Shard, from 0 on. Each
	// object belongs to exactly one. With fewer than 2 Shards, all is this run's.
	Shard, Shards int

	Jobs int // objects worked on at a time; 1 if less
}

func (s Scope) includes(r attachment.Record) bool {
	if !s.NewerThan.IsZero() && !r.Object.Modified.After(s.NewerThan) {
		return false
	}
	if s.Shards < 2 {
		return true
	}
	h := fnv.New32a()
	h.Write(r.UUID[:])
	return int(h.Sum32()%uint32(s.Shards)) == s.Shard
}

// each calls work for every attachment of records that is in the scope, and foreign
// for every other object. It returns when all work has ended, with what ended the
// listing, or ctx.
func (s Scope) each(ctx context.Context, records iter.Seq2[attachment.Record, error], work func(attachment.Record), foreign func(attachment.Record)) (err error) {
	queue := make(chan attachment.Record)
	var workers sync.WaitGroup
	for range max(s.Jobs, 1) {
		workers.Go(func() {
			for r := range queue {
				work(r)
			}
		})
	}
	defer func() {
		close(queue)
		workers.Wait()
		if err == nil {
			err = context.Cause(ctx) // the last may have been given up
		}
	}()
	for r, err := range records {
		switch {
		case err != nil:
			return err
		case r.Foreign:
			foreign(r)
		case s.includes(r):
			select {
			case queue <- r:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}
