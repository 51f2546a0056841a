package main

import (
	"context"
	"os"

	"orthanc-bucketfs/fs/archive"
)

func exportCommand() command {
	return command{
		name:     "export",
		operands: []string{"DIR"},
		summary:  "take the bucket out to a plain storage directory of Orthanc",
		details: `Every object is fetched, unsealed, verified and written to DIR as AA/BB/uuid, mode
0600; a file that is there already is compared. Prints a line for every object
that differs from its file, does not open (bad), or could not be moved. DIR must
exist. Nothing is overwritten, and nothing is kept between two runs: one that was
ended, however, is begun again. What is in fallback_dir is plain already, and is
not exported. Exits with 1 if an object is not in DIR as it is in the bucket.`,
		run: export,
	}
}

func export(ctx context.Context, c *call) error {
	flags := c.flagSet()
	common := addArchiveFlags(flags)
	operands, err := c.parse(flags)
	if err != nil {
		return err
	}
	scope, cfg, err := common.moving(c)
	if err != nil {
		return err
	}
	cfg.ReadOnly = true // nothing is stored in the bucket, not even to try it
	return c.move(ctx, cfg, common, operands[0], func(ctx context.Context, a *archiving, root *os.Root) error {
		t, err := archive.Exporter{Store: a.stack.store, Root: root, Scope: scope, Failed: a.failed, Done: a.done}.Run(ctx)
		a.summary(map[string]int64{
			"written": t.Written, "identical": t.Identical, "bytes": t.Bytes, "gone": t.Gone,
			"different": t.Different, "failed": t.Failed, "foreign": t.Foreign,
		}, "%d written, %d were there (%d bytes), %d deleted meanwhile, %d different, %d failed; %d other objects\n",
			t.Written, t.Identical, t.Bytes, t.Gone, t.Different, t.Failed, t.Foreign)
		return a.moved(err, t.Different+t.Failed)
	})
}
