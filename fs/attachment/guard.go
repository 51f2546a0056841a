package attachment

import (
	"fmt"
	"runtime/debug"
)

// guarded runs f and turns a panic into an error with its stack. Goroutines of
// this package run under it: nobody else would recover them, and one broken
// request must not end the daemon.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
