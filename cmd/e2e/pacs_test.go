package e2e_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/cmd/internal/lab"
)

// patience bounds everything that must not hang.
const patience = 3 * time.Minute

// options say what kind of PACS a test wants.
type options struct {
	sync, compress bool
	budgetMiB      int    // 64 if zero
	binary         string // the one with the race detector if empty
	cloud          cloud  // where the bucket is; a directory if zero
	apart          bool   // the index is not on the mount, so that the kernel gathers writes
	alone          bool   // nothing else stores into the bucket
	plugins        []string
	more           map[string]any // further settings of Orthanc
	allRights      bool           // the daemon keeps all of root's rights
	suite          string         // of the Debian whose Orthanc it is; this machine's if empty
	longer         time.Duration  // than patience, the test may last
}

// pacs is an Orthanc whose storage and index are on a mount.
type pacs struct {
	*testing.T
	ctx     context.Context
	options options
	site    *lab.Site
	daemon  *lab.Process
	orthanc *lab.Orthanc
	remote  backends.Bucket // what objects are to be fetched from; nil if they are files
}

func newPACS(t *testing.T, opts options) *pacs {
	t.Helper()
	require(t)
	if opts.budgetMiB == 0 {
		opts.budgetMiB = 64
	}
	if opts.binary == "" {
		opts.binary = shared.raced
	}
	ctx := patientContext(t, opts.longer)
	site, err := lab.NewSite(ctx, opts.binary, t.TempDir(), opts.budgetMiB)
	if err != nil {
		t.Fatal(err)
	}
	p := &pacs{T: t, ctx: ctx, options: opts, site: site}
	if opts.allRights {
		if err := site.KeepAllRights(); err != nil {
			t.Fatal(err)
		}
	}
	if opts.apart {
		if err := site.KeepIndexApart(opts.budgetMiB); err != nil {
			t.Fatal(err)
		}
	}
	if opts.alone {
		if err := site.StoreAlone(opts.budgetMiB); err != nil {
			t.Fatal(err)
		}
	}
	if opts.cloud.backend != "" {
		p.use(opts.cloud)
	}
	t.Cleanup(p.close)
	p.mount()
	p.startOrthanc()
	return p
}

func (p *pacs) mount() {
	p.Helper()
	daemon, err := p.site.Mount(p.ctx)
	if err != nil {
		p.Fatal(err)
	}
	p.daemon = daemon
}

// unmount stops the daemon in order.
func (p *pacs) unmount(ctx context.Context) {
	p.Helper()
	if err := p.daemon.Stop(ctx); err != nil {
		p.Errorf("%v:\n%s", err, p.daemon.Log.Tail(20))
	}
	if mounted, err := p.site.Mounted(); err != nil || mounted {
		p.Errorf("after the daemon's end: mounted %v, error %v", mounted, err)
	}
	p.inspectLog()
}

// inspectLog fails the test for what the daemon must never print.
func (p *pacs) inspectLog() {
	p.Helper()
	for _, alarm := range []string{"panic", "fatal error", "DATA RACE"} {
		if text := p.daemon.Log.String(); strings.Contains(text, alarm) {
			p.Errorf("the daemon's log has %q:\n%s", alarm, text)
		}
	}
}

func (p *pacs) startOrthanc() {
	p.Helper()
	p.orthanc = startOrthanc(p.ctx, p.T, p.site.Mountpoint(), p.site.Index(), p.options)
}

func (p *pacs) stopOrthanc() {
	p.Helper()
	if err := p.orthanc.Stop(p.ctx); err != nil {
		p.Fatalf("%v:\n%s", err, p.orthanc.Log.Tail(20))
	}
}

func (p *pacs) restartOrthanc() {
	p.Helper()
	p.stopOrthanc()
	p.startOrthanc()
}

func (p *pacs) restartAll() {
	p.Helper()
	p.stopOrthanc()
	p.unmount(p.ctx)
	p.mount()
	p.startOrthanc()
}

// close ends what runs, and sees that the daemon was alive until now.
func (p *pacs) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if p.daemon != nil {
		p.closeDaemon(ctx)
	}
	if err := p.site.Detach(); err != nil {
		p.Error(err)
	}
	if p.Failed() && p.daemon != nil {
		p.Logf("end of the daemon's log:\n%s", p.daemon.Log.Tail(40))
	}
}

func (p *pacs) closeDaemon(ctx context.Context) {
	if p.orthanc != nil {
		if err := p.orthanc.Kill(); err != nil {
			p.Error(err)
		}
	}
	select {
	case <-p.daemon.Done():
		p.Errorf("the daemon died: %v", p.daemon.Err())
		p.inspectLog()
	default:
		p.unmount(ctx)
	}
}

// startOrthanc starts one that ends with the test.
func startOrthanc(ctx context.Context, t *testing.T, storage, index string, opts options) *lab.Orthanc {
	t.Helper()
	http, err := shared.ports.Free()
	if err != nil {
		t.Fatal(err)
	}
	dicom, err := shared.ports.Free()
	if err != nil {
		t.Fatal(err)
	}
	orthanc, err := lab.StartOrthanc(ctx, lab.OrthancConfig{
		Dir: t.TempDir(), Storage: storage, Index: index,
		HTTPPort: http, DICOMPort: dicom, Sync: opts.sync, Compress: opts.compress,
		Root: debian(t, opts.suite), Plugins: opts.plugins, More: opts.more,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of Orthanc's log:\n%s", orthanc.Log.Tail(20))
		}
		if err := orthanc.Kill(); err != nil {
			t.Error(err)
		}
	})
	return orthanc
}
