package e2e_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"orthanc-bucketfs/cmd/internal/lab"
)

// enough acknowledgements to make the middle of a burst.
const enough = 60

// TestKillDuringBurst kills the daemon while it writes an object for one of
// eight clients: what Orthanc has acknowledged is there afterwards, what it has
// refused is not.
func TestKillDuringBurst(t *testing.T) {
	kinds := map[string]options{
		"SyncStorageArea=true":  {sync: true},
		"SyncStorageArea=false": {},
		"with all rights":       {sync: true, allRights: true},
	}
	for _, suite := range otherDebians() {
		kinds[suite] = options{sync: true, suite: suite, plugins: []string{lab.DICOMweb}}
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPACS(t, kind)
			all := p.killDuringBurst()
			// The kernel may answer stat from what it remembers of the dead.
			if err := syscall.Statfs(p.site.Mountpoint(), new(syscall.Statfs_t)); err != syscall.ENOTCONN {
				t.Errorf("a mount without daemon answers %v", err)
			}
			p.mount()
			p.replaceOrthanc()
			p.checkAftermath(all)
		})
	}
}

// killDuringBurst returns all that was sent. Some of it was in the daemon's
// hands when it was killed, by construction.
func (p *pacs) killDuringBurst() []sent { return p.killInBurst((*burst).freezeInCommit) }

// killInBurst kills the daemon when it has served for a while and then reached
// the moment.
func (p *pacs) killInBurst(reach func(*burst) error) []sent {
	p.Helper()
	b := startBurst(p, 6, 2)
	err := b.awaitAcks(p.ctx, enough)
	if err == nil {
		err = reach(b)
	}
	if refused := b.refusals(); refused > 0 {
		p.Errorf("%d refused while the daemon was well", refused)
	}
	err = errors.Join(err, p.daemon.Kill())
	all := b.end()
	if err != nil {
		p.Fatal(err)
	}
	return all
}

// replaceOrthanc ends the one whose file descriptors are dead. It would spend
// a minute on every association that the daemon's end has interrupted.
func (p *pacs) replaceOrthanc() {
	p.Helper()
	if err := p.orthanc.Kill(); err != nil {
		p.Fatal(err)
	}
	p.startOrthanc()
}

// checkAftermath compares what was sent with what is there, and sees that
// nothing in the bucket is partial.
func (p *pacs) checkAftermath(all []sent) {
	p.Helper()
	count := map[fate]int{}
	for _, s := range all {
		count[s.fate]++
	}
	p.Logf("%d acknowledged, %d interrupted, %d sent to a dead daemon", count[acknowledged], count[interrupted], count[late])
	if count[acknowledged] < enough || count[interrupted] == 0 || count[late] == 0 {
		p.Error("the daemon was not killed in the middle of the burst")
	}
	if err := lab.Each(4, all, p.checkFate); err != nil {
		p.Error(err)
	}
	files, objects := p.list()
	if len(files) != len(objects) {
		p.Errorf("bucket has %d files, but %d objects", len(files), len(objects))
	}
	p.checkEnvelopes(objects)
}

// checkFate looks for one instance. An interrupted one may have been stored
// without anybody hearing of it; then it must be whole.
func (p *pacs) checkFate(s sent) error {
	found, err := p.orthanc.Find(p.ctx, s.UID)
	switch {
	case err != nil:
		return err
	case s.fate != acknowledged && len(found) == 0:
		return nil
	case s.fate == late:
		return fmt.Errorf("%s was refused, but Orthanc has it", s.Name)
	}
	stored, err := p.orthanc.Lookup(p.ctx, s.Instance)
	if err == nil && s.sum != "" && s.sum != stored.Sums[lab.DICOM] {
		err = fmt.Errorf("%s: Orthanc has MD5 %s, sent was %s", s.Name, stored.Sums[lab.DICOM], s.sum)
	}
	if err != nil {
		return err
	}
	return p.check(stored)
}
