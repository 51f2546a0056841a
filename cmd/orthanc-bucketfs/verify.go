package main

import (
	"context"
	"errors"
	"time"

	"orthanc-bucketfs/fs/archive"
)

func verifyCommand() command {
	return command{
		name:    "verify",
		summary: "fetch and authenticate every object of the bucket",
		details: `Prints a line for every object that does not open under the configured keys
(bad), or cannot be fetched (unreachable), and a summary. Objects that are no
attachments are counted, no more. A daemon may serve the bucket meanwhile. Exits
with 1 if any object is bad or unreachable.`,
		run: verify,
	}
}

var errNotAllGood = errors.New("verify: not every object is good")

func verify(ctx context.Context, c *call) error {
	flags := c.flagSet()
	common := addArchiveFlags(flags)
	newer := flags.String("newer-than", "", "only objects stored after `TIME`, as in 2026-01-31T00:00:00Z, or in the last TIME, as in 24h")
	if _, err := c.parse(flags); err != nil {
		return err
	}
	scope, err := common.scope(c)
	if err != nil {
		return err
	}
	if scope.NewerThan, err = parseNewer(*newer, time.Now()); err != nil {
		return usagef("verify: --newer-than %q: write a time as in 2026-01-31T00:00:00Z, or a duration as in 24h", *newer)
	}
	return c.archive(ctx, common, func(ctx context.Context, a *archiving) error {
		found, err := archive.Verifier{Store: a.stack.store, Scope: scope, Failed: a.failed, Done: a.done}.Run(ctx)
		a.summary(map[string]int64{
			"good": found.Good, "bad": found.Bad, "unreachable": found.Unreachable,
			"gone": found.Gone, "foreign": found.Foreign, "bytes": found.Bytes,
		}, "%d good (%d bytes), %d bad, %d unreachable, %d deleted meanwhile; %d other objects\n",
			found.Good, found.Bytes, found.Bad, found.Unreachable, found.Gone, found.Foreign)
		if err == nil && found.Bad+found.Unreachable > 0 {
			err = errNotAllGood
		}
		return err
	})
}

// parseNewer returns the time that text means; the zero time if it is empty.
func parseNewer(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	return time.Parse(time.RFC3339, text)
}
