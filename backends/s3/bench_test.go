package s3

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"

	"orthanc-bucketfs/backends/backendtest/server"
)

const benchSize = 1 << 30

// BenchmarkTransfer stores and reads a file of 1 GiB, by turns with this
// package and with the transfer manager of the SDK, in its own settings, on one
// server. The ratios are of throughputs: above 1 this package is the faster.
func BenchmarkTransfer(b *testing.B) {
	s := server.Versity(b)
	bucket := open(b, configFor(s))
	manager := transfermanager.New(bucket.client)
	body, got := pattern(benchSize), make([]byte, benchSize)
	var ours, theirs transfer
	turns := []func(){
		func() {
			ours.measure(b, bucket, body, got,
				func(ctx context.Context) error { _, err := bucket.Create(ctx, "x", body); return err },
				func(ctx context.Context) error { return readInRanges(ctx, bucket, got) })
		},
		func() {
			theirs.measure(b, bucket, body, got,
				func(ctx context.Context) error {
					_, err := manager.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &s.Bucket, Key: new("x"), Body: bytes.NewReader(body)})
					return err
				},
				func(ctx context.Context) error {
					_, err := manager.DownloadObject(ctx, &transfermanager.DownloadObjectInput{Bucket: &s.Bucket, Key: new("x"), WriterAt: memory(got)})
					return err
				})
		},
	}
	for b.Loop() {
		for _, turn := range turns {
			turn()
		}
		slices.Reverse(turns) // who comes second finds the disk busy
	}
	const mib = float64(benchSize >> 20)
	n := float64(b.N)
	b.ReportMetric(n*mib/ours.up.Seconds(), "up-MiB/s")
	b.ReportMetric(n*mib/ours.down.Seconds(), "down-MiB/s")
	b.ReportMetric(theirs.up.Seconds()/ours.up.Seconds(), "up-ratio")
	b.ReportMetric(theirs.down.Seconds()/ours.down.Seconds(), "down-ratio")
}

// transfer has the times of both directions.
type transfer struct{ up, down time.Duration }

func (t *transfer) measure(b *testing.B, bucket *Bucket, body, got []byte, up, down func(context.Context) error) {
	b.Helper()
	clear(got)
	begin := time.Now()
	if err := up(b.Context()); err != nil {
		b.Fatal(err)
	}
	stored := time.Now()
	if err := down(b.Context()); err != nil {
		b.Fatal(err)
	}
	t.up += stored.Sub(begin)
	t.down += time.Since(stored)
	if !bytes.Equal(got, body) {
		b.Fatal("got another file")
	}
	if err := bucket.Delete(b.Context(), "x", ""); err != nil {
		b.Fatal(err)
	}
}

// readInRanges reads an object as package attachment does: the first range
// alone, which tells the version, then four at a time.
func readInRanges(ctx context.Context, bucket *Bucket, p []byte) error {
	const rangeSize, workers = 8 << 20, 4
	_, obj, err := bucket.Read(ctx, "x", "", p[:rangeSize], 0)
	if err != nil {
		return err
	}
	offsets := make(chan int, len(p)/rangeSize)
	for off := rangeSize; off < len(p); off += rangeSize {
		offsets <- off
	}
	close(offsets)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for off := range offsets {
				if _, _, err := bucket.Read(ctx, "x", obj.Version, p[off:min(off+rangeSize, len(p))], int64(off)); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// memory is a file in memory.
type memory []byte

func (m memory) WriteAt(p []byte, off int64) (int, error) { return copy(m[off:], p), nil }
