package attachment

import (
	"context"
	"encoding/hex"
	"sync"
	"time"
)

const (
	learnWorkers  = 8    // listings at a time when the names in a bucket are learnt
	learnFew      = 1000 // objects that one listing is enough for: a page
	learnPause    = 5 * time.Second
	maxLearnPause = 5 * time.Minute
)

// LearnNames lists the whole bucket, after which a Store with
// Options.SoleWriter looks for no name that it has not seen. It returns when that
// is done, or when ctx has ended. It costs a request for 1,000 objects; what has
// failed is listed again after a pause. Without that option it does nothing.
func (s *Store) LearnNames(ctx context.Context) {
	if s.census == nil {
		return
	}
	begin := time.Now()
	prefixes := []string{""}
	for pause := learnPause; len(prefixes) > 0; {
		var err error
		if prefixes, err = s.learn(ctx, prefixes); err == nil {
			continue
		}
		if ctx.Err() == nil {
			s.log.Warn("could not learn the names of all files: until that is done, every new name is looked for", "error", err, "again_in", pause)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, maxLearnPause)
	}
	s.census.completed()
	s.log.Info("the names of all files are known: new ones are stored without a look", "took", time.Since(begin).Round(time.Millisecond))
}

// learn notes the names under the prefixes, and returns those prefixes that it
// remains to list, and why, unless it is that there are many names.
func (s *Store) learn(ctx context.Context, prefixes []string) ([]string, error) {
	if prefixes[0] != "" {
		return s.learnEach(ctx, prefixes)
	}
	many, err := s.learnPrefix(ctx, "", learnFew)
	switch {
	case err != nil:
		return prefixes, err
	case many:
		return allPrefixes(), nil
	}
	return nil, nil
}

// allPrefixes returns what the key of every attachment begins with, in every
// layout.
func allPrefixes() []string {
	var prefixes []string
	for _, aa := range allDirs() {
		prefixes = append(prefixes, hex.EncodeToString([]byte{aa}))
	}
	return prefixes
}

func (s *Store) learnEach(ctx context.Context, prefixes []string) (left []string, why error) {
	queue := make(chan string)
	var mu sync.Mutex // guards left and why
	var workers sync.WaitGroup
	for range learnWorkers {
		workers.Go(func() {
			for prefix := range queue {
				err := guarded(func() error {
					_, err := s.learnPrefix(ctx, prefix, 0)
					return err
				})
				if err != nil {
					mu.Lock()
					left, why = append(left, prefix), err
					mu.Unlock()
				}
			}
		})
	}
	for _, prefix := range prefixes {
		queue <- prefix
	}
	close(queue)
	workers.Wait()
	return left, why
}

// learnPrefix notes the names under prefix. It reports whether there are more
// than limit, and then it may not have noted them all; 0 is no limit.
func (s *Store) learnPrefix(ctx context.Context, prefix string, limit int) (more bool, err error) {
	n := 0
	for r, err := range s.Records(ctx, prefix) {
		if err != nil {
			return false, err
		}
		if !r.Foreign {
			s.census.note(r.UUID)
		}
		if n++; n == limit {
			return true, nil
		}
	}
	return false, nil
}
