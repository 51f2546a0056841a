package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/wire"
	"orthanc-bucketfs/cmd/internal/access"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

const (
	stormWorkers = 64
	deletedSoon  = 0.2 // of the acknowledged files
)

// TestRetryStorm stores as Orthanc 1.12.7 does, which repeats a failed store
// under the same name within milliseconds, while answers are lost, and PUT and
// DELETE arrive after their clients have gone. In the end every acknowledged file
// is the very version that was acknowledged, and what is left besides was reported.
func TestRetryStorm(t *testing.T) {
	stores, seed := number(t, "FAULTS_STORES", 300), number(t, "FAULTS_SEED", 3)
	for name, start := range map[string]func(*testing.T) provider{"s3": onS3, "minio": onMinIO, "azure": onAzure, "gcs": onGCS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			s := newStorm(t, p, seed)
			s.blow(t.Context(), int(stores), seed)
			s.settle(t)
			s.check(t.Context())
			for _, err := range s.errors {
				t.Error(err)
			}
			t.Log(s.summary())
		})
	}
}

// storm is a bucket in which everything arrives late, and those who store there.
type storm struct {
	proxy    *wire.Proxy
	faults   *wire.Storm
	machines []*machine
	homes    []*machine // the same without faults

	mu     sync.Mutex // guards the fields below
	files  []*stormFile
	errors []error

	lost, wrong, left int
}

// stormFile is one that somebody has tried to store.
type stormFile struct {
	uuid           attachment.UUID
	size           int
	machine, home  *machine
	version        string // that was acknowledged; empty if none was
	tries          int
	deleted, doubt bool // a delete has succeeded, or failed
}

// stormOptions are what may make a difference to a machine.
type stormOptions struct {
	retries   int
	sole      bool
	plaintext bool
}

func newStorm(t *testing.T, p provider, seed uint64) *storm {
	t.Helper()
	s := &storm{proxy: wire.New(t, p.url), faults: wire.NewStorm(seed, wire.Odds{
		LoseUpload: 0.3, LateUpload: 0.25, LoseDelete: 0.2, LateDelete: 0.4, CutRead: 0.4,
		Silent: 0.05, Latest: 2 * time.Second,
	})}
	for i, o := range []stormOptions{
		{retries: 3}, {retries: 1}, {retries: 3, sole: true}, {retries: 1, sole: true}, {retries: 1, plaintext: true},
	} {
		root := fmt.Sprintf("machine-%d", i)
		through, beside := p.bucket(t, s.proxy.URL, o.retries), p.bucket(t, p.url, 3)
		inspect(t, through)
		s.machines = append(s.machines, newStormMachine(t, backends.WithPrefix(through, root), o))
		o.sole = false // it does not store
		s.homes = append(s.homes, newStormMachine(t, backends.WithPrefix(beside, root), o))
	}
	s.proxy.Inject(s.faults.Choose)
	return s
}

// inspect has the bucket find out what its store can do.
func inspect(t *testing.T, b backends.Bucket) {
	t.Helper()
	for _, f := range b.(backends.Inspector).Inspect(t.Context(), "probe-") {
		if f.Err != nil {
			t.Fatal(f.Item, f.Err)
		}
	}
}

// newStormMachine returns one that looks for uploads for longer than requests are
// late.
func newStormMachine(t *testing.T, b backends.Bucket, o stormOptions) *machine {
	t.Helper()
	codec := attachment.Sealed(ring(t))
	if o.plaintext {
		codec = attachment.Plain()
	}
	log := &logbook{reported: map[string]bool{}}
	timing := attachment.DefaultTiming()
	timing.Looks = []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}
	timing.Late = 8 * time.Second
	m := &machine{log: log, Store: attachment.NewStore(attachment.Options{
		Bucket: b, Codec: codec, SoleWriter: o.sole, Budget: budget.New(256<<20, time.Minute), Log: slog.New(log), Timing: timing,
	})}
	t.Cleanup(m.Close)
	m.LearnNames(t.Context())
	return m
}

// blow stores files while the faults last.
func (s *storm) blow(ctx context.Context, stores int, seed uint64) {
	var wg sync.WaitGroup
	for i := range stormWorkers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)+1))
			for n := i; n < stores; n += stormWorkers {
				f := &stormFile{uuid: newUUID(), size: rng.IntN(60000), machine: s.machines[n%len(s.machines)], home: s.homes[n%len(s.homes)]}
				f.store(ctx)
				if f.version != "" && rng.Float64() < deletedSoon {
					f.remove(ctx)
				}
				s.mu.Lock()
				s.files = append(s.files, f)
				s.mu.Unlock()
			}
		})
	}
	wg.Wait()
	s.proxy.Inject(nil)
	s.faults.End()
	s.proxy.Wait()
}

// store stores the file as Orthanc does.
func (f *stormFile) store(ctx context.Context) {
	if _, err := f.machine.Stat(ctx, f.uuid); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	f.tries, _ = access.Repeatedly(func() error {
		w := f.machine.Create(f.uuid)
		defer w.Discard()
		if err := w.WriteAt(ctx, content(f.uuid, f.size), 0); err != nil {
			return err
		}
		info, err := w.Commit(ctx)
		if err == nil {
			f.version = info.Version
			w.Told()
		}
		return err
	})
}

func (f *stormFile) remove(ctx context.Context) {
	_, _ = f.machine.Stat(ctx, f.uuid)
	err := f.machine.Delete(ctx, f.uuid)
	f.deleted, f.doubt = err == nil, err != nil
}

// settle waits until no upload has an open outcome.
func (s *storm) settle(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); s.unsettled() > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d uploads are not settled", s.unsettled())
		}
	}
}

func (s *storm) unsettled() (n int64) {
	for _, m := range s.machines {
		n += m.Counters.Unsettled.Load()
	}
	return n
}

func (s *storm) check(ctx context.Context) {
	for _, f := range s.files {
		if err := s.checkFile(ctx, f); err != nil {
			s.errors = append(s.errors, fmt.Errorf("%s after %d tries, on machine %d: %w", f.uuid.Key(), f.tries, s.number(f), err))
		}
	}
}

func (s *storm) number(f *stormFile) int {
	for i, m := range s.machines {
		if m == f.machine {
			return i
		}
	}
	return -1
}

// checkFile looks at a file as a machine does that starts now.
func (s *storm) checkFile(ctx context.Context, f *stormFile) error {
	info, err := f.home.Stat(ctx, f.uuid)
	absent := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !absent:
		return err
	case f.version == "" || f.deleted || f.doubt:
		if !absent && !f.machine.log.has(f.uuid) {
			s.left++
			return fmt.Errorf("it is in the bucket, and nobody was told; refused: %v, deleted: %v, or only asked to: %v", f.version == "", f.deleted, f.doubt)
		}
		return nil
	case absent:
		s.lost++
		return errors.New("it was acknowledged, and is lost")
	}
	got, err := f.home.open(ctx, info)
	if err != nil || info.Version != f.version || !bytes.Equal(got, content(f.uuid, f.size)) {
		s.wrong++
		return fmt.Errorf("version %s was acknowledged, there is %s, error %w", f.version, info.Version, err)
	}
	return nil
}

func (s *storm) summary() string {
	var acked, repeated, deleted, doubt int
	for _, f := range s.files {
		if f.version != "" {
			acked++
			repeated += min(f.tries-1, 1)
		}
		if f.deleted {
			deleted++
		}
		if f.doubt {
			doubt++
		}
	}
	var settled, gone, left int64
	for _, m := range s.machines {
		settled += m.Counters.Settled.Load()
		gone += m.Counters.OrphansGone.Load()
		left += m.Counters.OrphansLeft.Load()
	}
	return fmt.Sprintf("%d stores in %d requests: %d acknowledged, %d of them after a repetition, %d deleted, %d deletes failed; lost %d, wrong %d, left unreported %d; uploads settled %d, orphans deleted %d, reported %d",
		len(s.files), s.proxy.Requests(), acked, repeated, deleted, doubt, s.lost, s.wrong, s.left, settled, gone, left)
}
