package lab

import (
	"errors"
	"sync"
)

// Each calls do for every item, from that many goroutines at once, and returns
// all errors joined. It goes on after an error.
func Each[T any](workers int, items []T, do func(T) error) error {
	queue := make(chan T)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards errs
	var errs []error
	for range workers {
		wg.Go(func() {
			for item := range queue {
				if err := do(item); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, item := range items {
		queue <- item
	}
	close(queue)
	wg.Wait()
	return errors.Join(errs...)
}
