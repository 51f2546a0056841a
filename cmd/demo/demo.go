package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"orthanc-bucketfs/cmd/internal/lab"
)

// demo is what has been started so far.
type demo struct {
	settings
	out     io.Writer
	site    *lab.Site
	daemon  *lab.Process
	orthanc *lab.Orthanc
	images  []lab.Image
}

const (
	budgetMiB = 64
	goodbye   = 2 * time.Minute // for what is under way when the demo ends
)

func run(ctx context.Context) (err error) {
	if missing := lab.Missing(); len(missing) > 0 {
		return fmt.Errorf("this machine lacks %s; 'make demo' installs what Debian has", strings.Join(missing, ", "))
	}
	s, err := newSettings()
	if err != nil {
		return err
	}
	d := &demo{settings: s, out: os.Stdout}
	defer func() { err = errors.Join(err, d.cleanUp()) }()
	d.print("\northanc-bucketfs: a stock Orthanc keeps its images in a sealed bucket\n")
	if err := d.show(ctx); err != nil {
		d.explain()
		return err
	}
	if d.once {
		return nil
	}
	return d.stay(ctx)
}

// show takes the steps until one fails.
func (d *demo) show(ctx context.Context) error {
	steps := []struct {
		title string
		take  func(context.Context) error
	}{
		{"Make a key and an empty bucket", d.prepare},
		{"Mount the bucket", d.mount},
		{"Start a stock Orthanc on the mount", d.startOrthanc},
		{"Send real DICOM files, as modalities and viewers do", d.send},
		{"Read every one back and compare hashes", d.readBack},
		{"Look into the bucket", d.lookInside},
		{"Search the bucket for the patients", d.search},
	}
	for n, step := range steps {
		d.print("\n%d/%d  %s\n", n+1, len(steps), step.title)
		if err := step.take(ctx); err != nil {
			return fmt.Errorf("step %d: %w", n+1, err)
		}
	}
	return nil
}

// stay waits for Ctrl-C, or for something to die.
func (d *demo) stay(ctx context.Context) error {
	d.print(`
All is well, and stays up until you press Ctrl-C:

     Orthanc    %s/app/explorer.html
     C-STORE    storescu 127.0.0.1 %d FILE.dcm
     mount      %s
     bucket     %s
`, d.orthanc.URL, d.orthanc.DICOMPort, d.site.Mountpoint(), d.site.Bucket().Dir)
	select {
	case <-ctx.Done():
		return nil
	case <-d.daemon.Done():
		d.explain()
		return fmt.Errorf("the daemon has ended: %v", d.daemon.Err())
	case <-d.orthanc.Done():
		d.explain()
		return fmt.Errorf("the server has ended: %v", d.orthanc.Err())
	}
}

// cleanUp ends what runs and removes the directory, unless something is still
// mounted in it.
func (d *demo) cleanUp() error {
	d.print("\nCleaning up\n")
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	var errs []error
	if d.orthanc != nil {
		errs = append(errs, d.orthanc.Stop(ctx))
	}
	if d.daemon != nil {
		errs = append(errs, d.daemon.Stop(ctx))
	}
	if d.site != nil {
		if err := d.site.Detach(); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	errs = append(errs, os.RemoveAll(d.dir))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	d.print("     Orthanc and the daemon have ended, nothing is mounted, %s is gone\n", d.dir)
	return nil
}

// explain prints how the logs end.
func (d *demo) explain() {
	if d.orthanc != nil {
		d.print("\nOrthanc's log ends with:\n%s\n", d.orthanc.Log.Tail(15))
	}
	if d.daemon != nil {
		d.print("\nThe daemon's log ends with:\n%s\n", d.daemon.Log.Tail(15))
	}
}

func (d *demo) print(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }

// result prints what a step has come to.
func (d *demo) result(format string, args ...any) { d.print("     "+format+"\n", args...) }

func (d *demo) binary() string { return filepath.Join(d.dir, "orthanc-bucketfs") }
