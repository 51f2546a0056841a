package main

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strings"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/cmd/internal/memory"
)

const (
	itemMemory = "memory"

	mib = 1 << 20
	// worstCase is how many times the budget there may be in memory at the very
	// worst, by the contract of fs/budget.
	worstCase = 2
	// besides is for everything but the contents of files, in MiB: 30 for a
	// daemon that idles, and connections, listings, inodes, and what is not yet
	// collected.
	besides = 128
	// leastBudget is what a budget may be reduced to, in MiB: with less, images
	// that are common would be refused.
	leastBudget = 64
	// headroom is what the kernel counts as ours and Go does not, in MiB.
	headroom = 64
)

// machineMemory is what this machine, and this process's place in it, has.
func machineMemory() memory.Facts { return memory.Read(os.DirFS("/")) }

// fitMemory returns cfg with a budget that fits into what there is, and what is
// to be said about it. One that does not fit is reduced: the kernel would end
// the daemon in the middle of a burst. It never depends on what is free at the
// moment: a file that was stored before a restart must be readable after it.
func fitMemory(cfg Config, facts memory.Facts) (Config, backends.Finding) {
	found := backends.Finding{Item: itemMemory}
	budget, bound := cfg.Encryption.MaxConcurrentInputMiB, facts.Bound.Bytes/mib
	need := worstCase*budget + besides
	text := fmt.Sprintf("max_concurrent_input_mib = %d takes up to %d MiB (%d x %d + %d)", budget, need, worstCase, budget, besides)
	if facts.Bound.Source == "" {
		found.Warning = text + ", and how much there is cannot be found out" + unread(facts)
		return cfg, found
	}
	text += fmt.Sprintf(" of %d MiB (%s%s)", bound, facts.Bound.Source, unread(facts))
	fitting := (bound - besides) / worstCase
	switch {
	case need <= bound:
		found.Detail = text
		if free := facts.Available / mib; facts.Available > 0 && need > free {
			found.Warning = fmt.Sprintf("only %d MiB are free at the moment: see that other programs leave it enough", free)
		}
	case fitting >= leastBudget:
		cfg.Encryption.MaxConcurrentInputMiB = fitting
		found.Warning = fmt.Sprintf("%s: it is reduced to %d, and larger files are refused; allow more memory, or set that number", text, fitting)
	default:
		found.Err = cfg.fault("encryption.max_concurrent_input_mib", fmt.Errorf("%s", text),
			fmt.Sprintf("allow this program at least %d MiB, and better %d", worstCase*leastBudget+besides, need))
	}
	return cfg, found
}

// unread names what could not be read and might have set a limit.
func unread(facts memory.Facts) string {
	if len(facts.Unknown) == 0 {
		return ""
	}
	return ", without " + strings.Join(facts.Unknown, ", ") + ", which cannot be read"
}

// collectBefore makes Go collect garbage before it comes near the bound, and not
// only when there is as much of it as of contents. GOMEMLIMIT is left alone.
func collectBefore(bound memory.Limit) {
	if limit := bound.Bytes - headroom*mib; limit > 0 && debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(limit)
	}
}
