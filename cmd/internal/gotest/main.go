// Command gotest is go test for CI: it takes the same arguments, is silent
// about what passes, and with CI=true counts a skipped test as failed.
//
//	go run ./cmd/internal/gotest -race ./...
//
// With -v it prints what passing tests have logged, too.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
)

func main() {
	r := &report{out: os.Stdout, verbose: slices.Contains(os.Args[1:], "-v")}
	err := run(os.Args[1:], r)
	if err == nil && os.Getenv("CI") == "true" {
		err = r.refuseSkips()
	}
	var status *exec.ExitError
	switch {
	case errors.As(err, &status):
		os.Exit(status.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, r *report) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := r.read(out)
	if readErr != nil {
		io.Copy(io.Discard, out)
	}
	return errors.Join(readErr, cmd.Wait())
}
