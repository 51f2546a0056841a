package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"orthanc-bucketfs/fs/archive"
)

// importQuiet is how long ago a file must have been modified to be imported.
const importQuiet = 5 * time.Second

func importCommand() command {
	return command{
		name:     "import",
		operands: []string{"DIR"},
		summary:  "bring a plain storage directory of Orthanc into the bucket",
		details: `DIR holds files as AA/BB/uuid. Each is sealed, stored, fetched again and compared,
and counts only then; one that is in the bucket already is compared, too. Prints a
line for every file that differs from what is in the bucket, was modified in the
last seconds (left), was deleted after it had been stored (deleted), or could not
be moved. Other files are counted, no more; symbolic links are not followed.
Nothing is overwritten, and nothing is kept between two runs: one that was ended,
however, is begun again. A daemon may serve the bucket meanwhile, with DIR as its
fallback_dir. Exits with 1 if a file is not in the bucket as it is in DIR.`,
		run: importDir,
	}
}

// checkSoleWriter refuses to store beside a mount that would not find the files.
func checkSoleWriter(cfg Config) error {
	if !cfg.SoleWriter {
		return nil
	}
	served, err := isServed(cfg.Mountpoint)
	if err == nil && served {
		err = cfg.fault("sole_writer", fmt.Errorf("the daemon on %s takes itself for the only one that stores", cfg.Mountpoint),
			"stop it until the import is done, or remove the setting and restart it")
	}
	return err
}

func importDir(ctx context.Context, c *call) error {
	flags := c.flagSet()
	common := addArchiveFlags(flags)
	remove := flags.Bool("remove-source", false, "remove each file that this run has compared with the bucket and found to be identical")
	operands, err := c.parse(flags)
	if err != nil {
		return err
	}
	scope, cfg, err := common.moving(c)
	if err != nil {
		return err
	}
	if cfg.ReadOnly {
		return cfg.fault("read_only", errors.New("import has to store objects"), "use a configuration without it")
	}
	if err := checkSoleWriter(cfg); err != nil {
		return err
	}
	return c.move(ctx, cfg, common, operands[0], func(ctx context.Context, a *archiving, root *os.Root) error {
		t, err := archive.Importer{
			Store: a.stack.store, Root: root, Scope: scope, Quiet: importQuiet, Remove: *remove, Failed: a.failed, Done: a.done,
		}.Run(ctx)
		a.summary(map[string]int64{
			"stored": t.Stored, "identical": t.Identical, "bytes": t.Bytes, "removed": t.Removed, "gone": t.Gone,
			"left": t.Unsettled, "different": t.Different, "failed": t.Failed, "foreign": t.Foreign,
		}, "%d stored, %d were there (%d bytes), %d removed from DIR, %d deleted meanwhile, %d left, %d different, %d failed; %d other files\n",
			t.Stored, t.Identical, t.Bytes, t.Removed, t.Gone, t.Unsettled, t.Different, t.Failed, t.Foreign)
		return a.moved(err, t.Unsettled+t.Different+t.Failed)
	})
}
