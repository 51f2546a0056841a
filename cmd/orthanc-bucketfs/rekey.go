package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/time/rate"

	"orthanc-bucketfs/fs/archive"
	"orthanc-bucketfs/fs/attachment"
)

// shardVariable is what Kubernetes sets in the pods of an Indexed Job.
const shardVariable = "JOB_COMPLETION_INDEX"

func rekeyCommand() command {
	return command{
		name:    "rekey",
		summary: "seal again what is not under the current master key",
		details: `Looks at the master key id of every object. What is under another key is
fetched, verified, sealed with a fresh data key and nonce, put in the place of the
version it was, and read back. A file that is deleted meanwhile stays deleted. A
daemon may serve the bucket meanwhile, with the same keys. Nothing is kept between
two runs: a run that was ended, however, is begun again. Prints how many objects
are under which key in the end. Exits with 1 if an object could not be sealed.`,
		run: rekey,
	}
}

var errNotAllSealed = errors.New("rekey: not every object could be sealed again")

func rekey(ctx context.Context, c *call) error {
	flags := c.flagSet()
	common := addArchiveFlags(flags)
	dry := flags.Bool("dry-run", false, "change nothing, and print what would be")
	plain := flags.Bool("seal-plaintext", false, "seal also what is no envelope; needs encryption.accept_plaintext")
	shard := flags.String("shard", "", "do part `I/N` of the work, with I from 0 to N-1; with /N alone, I is the environment variable "+shardVariable)
	perSecond := flags.Float64("rate", 0, "seal at most `N` objects a second; by default as many as it can")
	if _, err := c.parse(flags); err != nil {
		return err
	}
	scope, err := common.scope(c)
	if err != nil {
		return err
	}
	if scope.Shard, scope.Shards, err = parseShard(*shard, c.lookupEnv); err != nil {
		return usagef("rekey: --shard %q: %w", *shard, err)
	}
	if *perSecond < 0 {
		return usagef("rekey: --rate must not be negative")
	}
	return c.archive(ctx, common, func(ctx context.Context, a *archiving) error {
		if err := a.mayRekey(*plain); err != nil {
			return err
		}
		return a.rekey(ctx, archive.Rekeyer{Scope: scope, DryRun: *dry, SealPlaintext: *plain, Wait: waiter(*perSecond)})
	})
}

func (a *archiving) mayRekey(plain bool) error {
	switch {
	case a.stack.keys.Load() == nil:
		return a.cfg.fault("encryption.enable", errors.New("is false, so there is no key to seal with"), "set it to true and configure master_key")
	case a.cfg.ReadOnly:
		return a.cfg.fault("read_only", errors.New("rekey has to store objects"), "use a configuration without it")
	case plain && !a.cfg.Encryption.AcceptPlaintext:
		return a.cfg.fault("encryption.accept_plaintext", errors.New("is not set, so --seal-plaintext finds nothing to seal"),
			"set it to true, or leave the flag out")
	}
	return nil
}

func (a *archiving) rekey(ctx context.Context, k archive.Rekeyer) error {
	k.Store, k.Current = a.stack.store, a.stack.keys.Load().Current().ID()
	k.Failed, k.Done = a.failed, a.done
	total, err := k.Run(ctx)
	under := map[string]int64{}
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(total.Under)) {
		under[strconv.FormatUint(uint64(id), 10)] = total.Under[id]
		lines = append(lines, fmt.Sprintf("under key %d: %d\n", id, total.Under[id]))
	}
	a.summary(map[string]any{
		"under": under, "plaintext": total.Plain, "resealed": total.Resealed,
		"gone": total.Gone, "failed": total.Failed, "foreign": total.Foreign, "dry_run": k.DryRun,
	}, "%s%s%d no envelopes, %d deleted meanwhile, %d failed; %d other objects\n%s",
		strings.Join(lines, ""), resealed(total, k.DryRun), total.Plain, total.Gone, total.Failed, total.Foreign, a.verdict(k, total, err))
	if err == nil && total.Failed > 0 {
		err = errNotAllSealed
	}
	return err
}

func resealed(t archive.Rekeyed, dry bool) string {
	if dry {
		return fmt.Sprintf("%d would be sealed again; nothing was changed\n", t.Resealed)
	}
	return fmt.Sprintf("%d sealed again\n", t.Resealed)
}

// verdict says which keys are not needed any more, if this run can tell.
func (a *archiving) verdict(k archive.Rekeyer, t archive.Rekeyed, err error) string {
	if err != nil || k.DryRun || t.Failed > 0 || t.Plain > 0 || len(t.Left(k.Current)) > 0 {
		return ""
	}
	part := "in this bucket"
	if k.Scope.Shards > 1 || k.Scope.Prefix != "" {
		part = "in this part of the bucket"
	}
	text := fmt.Sprintf("No attachment %s is under another key than %d. In a bucket that keeps old versions, these still open with the "+
		"old key until a lifecycle rule for noncurrent versions removes them.\n", part, k.Current)
	if t.Foreign > 0 {
		text += "The other objects were not looked at: if some are attachments in another layout, set layout, and run it again.\n"
	}
	return text
}

// waiter returns a function that lets at most perSecond calls a second pass; 0
// is no limit.
func waiter(perSecond float64) func(context.Context, attachment.Record) error {
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	limiter := rate.NewLimiter(limit, 1)
	return func(ctx context.Context, _ attachment.Record) error { return limiter.Wait(ctx) }
}

// parseShard reads I/N, or /N with I from the environment.
func parseShard(text string, lookupEnv func(string) (string, bool)) (shard, shards int, err error) {
	if text == "" {
		return 0, 0, nil
	}
	index, count, ok := strings.Cut(text, "/")
	if index == "" {
		index, _ = lookupEnv(shardVariable)
	}
	shard, indexErr := strconv.Atoi(index)
	shards, countErr := strconv.Atoi(count)
	if !ok || indexErr != nil || countErr != nil || shards < 1 || shard < 0 || shard >= shards {
		return 0, 0, errors.New("write I/N, with I from 0 to N-1; or /N where " + shardVariable + " is set")
	}
	return shard, shards, nil
}
