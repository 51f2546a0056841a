package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"syscall"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
)

func benchCommand() command {
	return command{
		name:    "bench",
		summary: "measure the mount against the bucket alone",
		details: `Stores files through a mount as Orthanc does (stat, create, writes of 4,096
bytes, fdatasync, close) and reads them back, does the same with objects of the
same size straight on the bucket, and prints both and the ratio: it tells whether
the cloud is slow, or the daemon.

The mount is a temporary one, with the configuration's bucket and keys. All that
is stored lies below a name of its own under root_path, and is deleted at the
end, also after Ctrl-C. With --mount the files go through a mount that is being
served instead, under fresh UUIDs; it is then Orthanc's own, its requests are not
counted, and its first reads follow the stores.`,
		run: bench,
	}
}

// benchPlan is what to measure.
type benchPlan struct {
	files, size, threads int
	mount                string // of a daemon that runs; empty for one of bench's own
	config               string // file
}

func bench(ctx context.Context, c *call) error {
	flags := c.flagSet()
	var p benchPlan
	config := addConfigFlag(flags)
	flags.IntVar(&p.files, "files", 300, "store `N` files; by default 300")
	flags.IntVar(&p.size, "size", 512<<10, "`BYTES` in each; by default 524288, as in a CT image")
	flags.IntVar(&p.threads, "threads", 8, "work on `N` files at a time; by default 8")
	flags.StringVar(&p.mount, "mount", "", "use the mount at `DIR`, which a daemon serves")
	asJSON := flags.Bool("json", false, "print one JSON object instead of a table")
	serve := flags.String("serve", "", "serve the temporary mount at `DIR`: bench starts itself with it")
	scratch := flags.String("scratch", "", "the `PREFIX` under root_path of that mount")
	if _, err := c.parse(flags); err != nil {
		return err
	}
	p.config = *config
	if p.files < 1 || p.threads < 1 || p.size < 1 {
		return usagef("bench: --files, --size and --threads must be at least 1")
	}
	cfg, err := loadConfig(p.config, c.lookupEnv)
	if err != nil {
		return err
	}
	if cfg.ReadOnly {
		return cfg.fault("read_only", errors.New("bench has to store files"), "use a configuration without it")
	}
	if *serve != "" {
		return serveBench(ctx, c, cfg, *serve, *scratch)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	report, err := runBench(ctx, c, cfg, p)
	if err != nil {
		return err
	}
	if *asJSON {
		return report.printJSON(c.stdout)
	}
	return report.printTable(c.stdout)
}

// runBench measures, and deletes what it has stored, whatever happens.
func runBench(ctx context.Context, c *call, cfg Config, p benchPlan) (report benchReport, err error) {
	if err := p.checkMount(); err != nil {
		return report, err
	}
	count := new(requestCounter)
	bucket, closer, err := openBucket(ctx, cfg, count.observe)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return report, err
	}
	scratch := path.Join(cfg.RootPath, "bench-"+hex.EncodeToString(random[:]))
	defer func() { err = errors.Join(err, removeScratch(context.WithoutCancel(ctx), cfg, bucket, scratch)) }()

	report = benchReport{Bucket: bucket.String(), Files: p.files, Size: p.size, Threads: p.threads}
	direct := &directTarget{bucket: backends.WithPrefix(bucket, path.Join(scratch, "direct")), count: count}
	mount := &mountTarget{call: c, plan: p, scratch: path.Join(scratch, "mount"), dir: p.mount}
	defer func() { err = errors.Join(err, mount.end()) }()
	for _, phase := range []string{"store", "read"} {
		for _, target := range []benchTarget{direct, mount} {
			result, err := measure(ctx, c.stderr, p, phase, target)
			if err != nil {
				return report, fmt.Errorf("bench: %s, %s: %w", phase, target, err)
			}
			report.Results = append(report.Results, result)
		}
	}
	return report, nil
}

// checkMount refuses a directory that would be filled in a mount's place.
func (p benchPlan) checkMount() error {
	if p.mount == "" {
		return nil
	}
	dir, err := filepath.Abs(p.mount)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return usagef("bench: --mount: %w", err)
	}
	served, err := isServed(dir)
	if err == nil && !served {
		err = usagef("bench: --mount: no bucket is mounted there: name the mount point of a daemon that runs")
	}
	return err
}

// removeScratch deletes the objects of this run, and tells where they are if it
// cannot.
func removeScratch(ctx context.Context, cfg Config, bucket backends.Bucket, scratch string) error {
	for obj, err := range backends.All(ctx, bucket, scratch+"/") {
		if err == nil {
			err = bucket.Delete(ctx, obj.Key, "")
		}
		if err != nil {
			return fmt.Errorf("bench: deleting what was stored below %s: %w: delete it yourself", scratch, err)
		}
	}
	if cfg.Backend == "dir" { // which keeps empty directories
		return os.RemoveAll(path.Join(cfg.Dir.Path, scratch))
	}
	return nil
}

// sealedSize is how many bytes the object of a file has.
func sealedSize(file int) int { return file + crypto.HeaderSize + crypto.TagSize }
