package archive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
)

// Rekeyer seals anew, under the current master key, what is under another one.
type Rekeyer struct {
	Store   *attachment.Store
	Current uint32 // id of the key that seals
	Scope   Scope

	DryRun        bool // nothing is changed
	SealPlaintext bool // what is no envelope is sealed, too; the Store has to accept plaintext

	// Wait is called before an object is sealed anew, and may slow that down.
	Wait func(context.Context, attachment.Record) error

	// Failed is told of every object that could not be sealed anew, Done of every
	// object that was looked at. Both are called concurrently.
	Failed func(Failure)
	Done   func(attachment.Record)
}

// Rekeyed counts what came of a run, in attachments.
type Rekeyed struct {
	Under    map[uint32]int64 // by key id, as they are in the end
	Plain    int64            // that are no envelopes in the end
	Resealed int64            // sealed anew, or what would have been
	Gone     int64            // deleted meanwhile
	Failed   int64
	Foreign  int64 // objects that are no attachments
}

// Run works through the scope. The error is that of the listing, or of what the
// bucket lacks.
func (k Rekeyer) Run(ctx context.Context) (Rekeyed, error) {
	if !k.DryRun {
		if err := k.Store.ProveReplace(ctx); err != nil {
			return Rekeyed{}, err
		}
	}
	run := &rekeying{Rekeyer: k, total: Rekeyed{Under: map[uint32]int64{}}}
	err := k.Scope.each(ctx, k.Store.Records(ctx, k.Scope.Prefix), func(r attachment.Record) {
		run.note(r, withVersion(ctx, k.Store, r, run.version), ctx.Err() != nil)
		k.Done(r)
	}, func(attachment.Record) { run.count(func(t *Rekeyed) { t.Foreign++ }) })
	return run.total, err
}

// rekeying is one run.
type rekeying struct {
	Rekeyer
	mu    sync.Mutex // guards total
	total Rekeyed
}

func (k *rekeying) count(f func(*Rekeyed)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.total)
}

func (k *rekeying) note(r attachment.Record, err error, ended bool) {
	switch {
	case err == nil || ended:
	case gone(err):
		k.count(func(t *Rekeyed) { t.Gone++ })
	default:
		k.count(func(t *Rekeyed) { t.Failed++ })
		k.Failed(Failure{r.Object.Key, r.Object.Version, err})
	}
}

// version deals with one version of an object.
func (k *rekeying) version(ctx context.Context, r attachment.Record) error {
	id, sealed, err := k.Store.KeyOf(ctx, r)
	switch {
	case err != nil:
		return err
	case sealed && id == k.Current:
		k.count(func(t *Rekeyed) { t.Under[id]++ })
		return nil
	case !sealed && !k.SealPlaintext:
		k.count(func(t *Rekeyed) { t.Plain++ })
		return fmt.Errorf("%w: it is no envelope; with accept_plaintext, --seal-plaintext seals it", crypto.ErrCorrupt)
	case k.DryRun:
		k.count(func(t *Rekeyed) {
			t.Resealed++
			if sealed {
				t.Under[id]++
			} else {
				t.Plain++
			}
		})
		return nil
	}
	if err := k.Wait(ctx, r); err != nil {
		return err
	}
	if err := k.Store.Reseal(ctx, r, !sealed); err != nil {
		if sealed && !errors.Is(err, backends.ErrChanged) {
			k.count(func(t *Rekeyed) { t.Under[id]++ })
		}
		return err
	}
	k.count(func(t *Rekeyed) {
		t.Resealed++
		t.Under[k.Current]++
	})
	return nil
}

// Left returns how many attachments are under other keys than the current one.
func (t Rekeyed) Left(current uint32) map[uint32]int64 {
	left := maps.Clone(t.Under)
	delete(left, current)
	return left
}
