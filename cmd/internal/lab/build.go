package lab

import (
	"context"
	"fmt"
	"os/exec"
)

// Build compiles the daemon into the file out. The working directory has to
// be inside the module. Extra flags go to go build, as in "-race".
func Build(ctx context.Context, out string, flags ...string) error {
	args := append([]string{"build", "-buildvcs=false", "-o", out}, flags...)
	text, err := exec.CommandContext(ctx, "go", append(args, "orthanc-bucketfs/cmd/orthanc-bucketfs")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the daemon: %w:\n%s", err, text)
	}
	return nil
}
