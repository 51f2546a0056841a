package main

import (
	"errors"
	"strings"
	"testing"

	"orthanc-bucketfs/cmd/internal/memory"
)

func TestFitMemory(t *testing.T) {
	for _, c := range []struct {
		name          string
		budget, bound int64 // MiB
		free          int64
		want          int64 // the budget that results
		state, text   string
	}{
		{"fits", 1024, 2176, 0, 1024, stateOK, "takes up to 2176 MiB (2 x 1024 + 128) of 2176 MiB (here)"},
		{"one less", 1024, 2175, 0, 1023, stateWarn, "reduced to 1023"},
		{"a small container", 1024, 400, 0, 136, stateWarn, "takes up to 2176 MiB (2 x 1024 + 128) of 400 MiB (here): it is reduced to 136"},
		{"the least", 1024, 256, 0, 64, stateWarn, "reduced to 64"},
		{"less than that", 1024, 255, 0, 1024, stateFail, "at least 256 MiB, and better 2176"},
		{"tiny", 1024, 100, 0, 1024, stateFail, "of 100 MiB (here)"},
		{"a small budget where it fits", 32, 200, 0, 32, stateOK, "(2 x 32 + 128) of 200"},
		{"a small budget where it does not", 32, 191, 0, 32, stateFail, "takes up to 192 MiB"},
		{"not free at the moment", 1024, 4096, 2000, 1024, stateWarn, "only 2000 MiB are free"},
		{"free at the moment", 1024, 4096, 2176, 1024, stateOK, "2176 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := validConfig()
			cfg.Encryption.MaxConcurrentInputMiB = c.budget
			got, found := fitMemory(cfg, memory.Facts{Bound: memory.Limit{Bytes: c.bound * mib, Source: "here"}, Available: c.free * mib})
			state, text := stateOf(found)
			if state != c.state || !strings.Contains(text, c.text) || got.Encryption.MaxConcurrentInputMiB != c.want {
				t.Errorf("got %d, %s %s", got.Encryption.MaxConcurrentInputMiB, state, text)
			}
			var fault *configError
			if found.Err != nil && !errors.As(found.Err, &fault) {
				t.Errorf("%v is no fault of the configuration", found.Err)
			}
		})
	}
}

// What cannot be found out does not stop the start, and is told.
func TestFitMemoryThatIsUnknown(t *testing.T) {
	cfg := validConfig()
	got, found := fitMemory(cfg, memory.Facts{Unknown: []string{"/proc/meminfo"}})
	if state, text := stateOf(found); state != stateWarn || !strings.Contains(text, "/proc/meminfo, which cannot be read") {
		t.Errorf("got %s %s", state, text)
	}
	if got.Encryption.MaxConcurrentInputMiB != cfg.Encryption.MaxConcurrentInputMiB {
		t.Errorf("got %d", got.Encryption.MaxConcurrentInputMiB)
	}
	_, found = fitMemory(cfg, memory.Facts{Bound: memory.Limit{Bytes: 1 << 40, Source: "here"}, Unknown: []string{"/sys/x"}})
	if state, text := stateOf(found); state != stateOK || !strings.Contains(text, "(here, without /sys/x, which cannot be read)") {
		t.Errorf("got %s %s", state, text)
	}
}
