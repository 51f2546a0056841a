package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"orthanc-bucketfs/cmd/internal/lab"
)

const mib = 1 << 20

// TestSmallBudget sends and reads far more at once than the daemon may hold in
// memory: requests wait, none fails. What can never fit is refused.
func TestSmallBudget(t *testing.T) {
	t.Parallel()
	const budget, clients, size = 16 * mib, 16, 10 * mib
	p := newPACS(t, options{sync: true, budgetMiB: budget / mib, binary: shared.plain})
	instances := []lab.Instance{large(clients, budget)}
	for n := range clients - 1 {
		instances = append(instances, large(n, size))
	}
	images := p.uploadAll(instances...)
	if err := lab.Each(clients, images, p.check); err != nil {
		t.Error(err)
	}
	tooLarge := large(clients+1, budget+2)
	if _, err := p.orthanc.Upload(p.ctx, tooLarge.Data); !lab.IsRefused(err) {
		t.Errorf("a file above the budget: %v", err)
	}
	if found, err := p.orthanc.Find(p.ctx, tooLarge.UID); err != nil || len(found) > 0 {
		t.Errorf("it was refused, but Orthanc has it: %v, error %v", found, err)
	}
	p.checkBucket(clients)
	// At the very worst files take twice the budget; the rest is the process.
	peak := p.peakMemory()
	t.Logf("the daemon used %d MiB at most", peak/mib)
	if peak > 2*budget+64*mib {
		t.Errorf("with a budget of %d MiB the daemon used %d MiB", budget/mib, peak/mib)
	}
}

// peakMemory returns the most bytes of memory the daemon ever had (VmHWM,
// proc(5)).
func (p *pacs) peakMemory() (bytes int) {
	p.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.daemon.Pid()))
	if err != nil {
		p.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	p.Fatal("no VmHWM")
	return 0
}
