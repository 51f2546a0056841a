package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"orthanc-bucketfs/backends"
)

// Patience is how long one step may take. Clearing up after one that ran out
// of it has as much again.
const Patience = 20 * time.Second

// Step examines one item.
type Step struct {
	Item string

	// Examine returns what was found. Run fills in the item.
	Examine func(ctx context.Context) backends.Finding
}

// Run takes the steps one after the other. Those after one that has failed
// are not taken, and reported as skipped because of it.
func Run(ctx context.Context, steps ...Step) []backends.Finding {
	var findings []backends.Finding
	failed := ""
	for _, step := range steps {
		if failed != "" {
			findings = append(findings, backends.Finding{Item: step.Item, Skipped: failed})
			continue
		}
		found := step.within(ctx)
		if found.Err != nil {
			failed = step.Item
		}
		findings = append(findings, found)
	}
	return findings
}

func (s Step) within(ctx context.Context) backends.Finding {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	found := s.Examine(ctx)
	found.Item = s.Item
	return found
}

// Fine is the finding of an item that is in order.
func Fine(detail string) backends.Finding { return backends.Finding{Detail: detail} }

// Wrong is the finding of an item that is not in order.
func Wrong(err error) backends.Finding { return backends.Finding{Err: err} }

// Doubtful is the finding of an item that works, but should not stay as it is.
func Doubtful(warning string) backends.Finding { return backends.Finding{Warning: warning} }

// Needs is step, and names the permission that is missing if it is refused.
func Needs(step Step, permission string) Step {
	return Step{step.Item, func(ctx context.Context) backends.Finding {
		found := step.Examine(ctx)
		found.Err = Lacking(found.Err, permission)
		return found
	}}
}

// Lacking returns err, with the permission that is missing if it is a refusal.
func Lacking(err error, permission string) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w: give these credentials the permission %s", err, permission)
}
