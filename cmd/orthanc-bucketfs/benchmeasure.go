package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"orthanc-bucketfs/cmd/internal/progress"
)

// benchReport is what was measured.
type benchReport struct {
	Bucket  string        `json:"bucket"`
	Files   int           `json:"files"`
	Size    int           `json:"size"`
	Threads int           `json:"threads"`
	Results []benchResult `json:"results"`
}

// benchResult is one phase on one target.
type benchResult struct {
	Phase     string  `json:"phase"`
	Target    string  `json:"target"`
	PerSecond float64 `json:"files_per_second"`
	MBPerSec  float64 `json:"mb_per_second"`
	P50       float64 `json:"p50_ms"`
	P95       float64 `json:"p95_ms"`
	P99       float64 `json:"p99_ms"`
	Requests  int64   `json:"requests"` // -1 if they could not be counted
}

// measure runs a phase on a target. The files of a target have the same names
// in all phases, and are removed after the last one, or when it fails.
func measure(ctx context.Context, stderr io.Writer, p benchPlan, phase string, t benchTarget) (r benchResult, err error) {
	files, err := t.files(p.files)
	if err != nil {
		return r, err
	}
	if err := t.begin(ctx); err != nil {
		return r, err
	}
	bar := progress.New(stderr, fmt.Sprintf("%-5s %-6s", phase, t), "files", int64(p.files))
	begin := time.Now()
	times, err := workOn(ctx, p, files, phase, t, bar)
	took := time.Since(begin)
	bar.End()
	requests := t.requests()
	if err != nil || phase == "read" {
		err = errors.Join(err, removeAll(context.WithoutCancel(ctx), files, t))
	}
	if err = errors.Join(err, t.end()); err != nil {
		return r, err
	}
	perSecond := float64(p.files) / took.Seconds()
	if requests < 0 {
		requests = t.requests() // the child has told it at its end
	}
	return benchResult{
		Phase: phase, Target: t.String(), PerSecond: perSecond, MBPerSec: perSecond * float64(p.size) / 1e6,
		P50: quantile(times, 50), P95: quantile(times, 95), P99: quantile(times, 99), Requests: requests,
	}, nil
}

// workOn does phase with every file, and returns how long each took.
func workOn(ctx context.Context, p benchPlan, files []string, phase string, t benchTarget, bar *progress.Bar) ([]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int, len(files))
	for i := range files {
		next <- i
	}
	close(next)
	times := make([]time.Duration, len(files))
	var workers sync.WaitGroup
	for range min(p.threads, len(files)) {
		workers.Go(func() {
			buf := make([]byte, sealedSize(p.size))
			for i := range next {
				if ctx.Err() != nil {
					return
				}
				_, _ = rand.Read(buf[:64]) // no two files are the same
				begin := time.Now()
				err := do(ctx, phase, t, files[i], buf)
				times[i] = time.Since(begin)
				if err != nil {
					cancel(err)
					return
				}
				bar.Add(1)
			}
		})
	}
	workers.Wait()
	return times, context.Cause(ctx)
}

func do(ctx context.Context, phase string, t benchTarget, name string, buf []byte) error {
	if phase == "store" {
		return t.store(ctx, name, buf)
	}
	return t.read(ctx, name, buf)
}

func removeAll(ctx context.Context, files []string, t benchTarget) error {
	var errs []error
	for _, name := range files {
		errs = append(errs, t.remove(ctx, name))
	}
	return errors.Join(errs...)
}

// quantile returns the time in ms within which so many percent were done.
func quantile(times []time.Duration, percent int) float64 {
	sorted := slices.Sorted(slices.Values(times))
	return float64(sorted[(len(sorted)-1)*percent/100].Microseconds()) / 1000
}

// ratio returns what share of the bucket's speed the mount reaches in a phase.
func (r benchReport) ratio(phase string) float64 {
	speed := map[string]float64{}
	for _, res := range r.Results {
		if res.Phase == phase {
			speed[res.Target] = res.PerSecond
		}
	}
	return speed["mount"] / speed["bucket"]
}

func (r benchReport) printJSON(w io.Writer) error {
	return json.NewEncoder(w).Encode(struct {
		benchReport
		Store float64 `json:"store_ratio"`
		Read  float64 `json:"read_ratio"`
	}{r, r.ratio("store"), r.ratio("read")})
}

func (r benchReport) printTable(w io.Writer) error {
	fmt.Fprintf(w, "%s: %d files of %d bytes, %d at a time\n\n", r.Bucket, r.Files, r.Size, r.Threads)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tfiles/s\tMB/s\tp50 ms\tp95 ms\tp99 ms\trequests\t")
	for _, res := range r.Results {
		requests := "unknown"
		if res.Requests >= 0 {
			requests = fmt.Sprint(res.Requests)
		}
		fmt.Fprintf(table, "%s %s\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%s\t\n",
			res.Phase, res.Target, res.PerSecond, res.MBPerSec, res.P50, res.P95, res.P99, requests)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nThe mount stores at %.2f and reads at %.2f of the bucket's speed.\n", r.ratio("store"), r.ratio("read"))
	return err
}
