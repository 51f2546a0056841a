// Command orthanc-bucketfs keeps the files of an Orthanc server in an
// encrypted bucket.
//
// Every command exits with 0 when it is done, with 1 when the work found or
// met a failure, and with 2 for wrong usage or configuration. Nothing but the
// result goes to standard output; errors go to standard error, and say what is
// wrong, where, and what to do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/cmd/internal/privileged"
)

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

const program = "orthanc-bucketfs"

func main() {
	if privileged.Hold() {
		return
	}
	if err := harden(); err != nil {
		printError(os.Stderr, err)
		os.Exit(exitFailed)
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// commands is the table of everything the program can do, in the order in
// which the usage text shows it.
func commands() []command {
	return []command{
		mountCommand(),
		checkCommand(),
		keygenCommand(),
		sealCommand(),
		unsealCommand(),
		convertConfigCommand(),
		verifyCommand(),
		rekeyCommand(),
		importCommand(),
		exportCommand(),
		benchCommand(),
		helperCommand(),
		versionCommand(),
		helpCommand(),
	}
}

// run does what args ask for and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &call{stdin: stdin, stdout: stdout, stderr: stderr, lookupEnv: os.LookupEnv}
	if len(args) == 0 {
		printProgramUsage(stderr)
		return exitUsage
	}
	err := c.dispatch(ctx, args[0], args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		printError(c.stderr, err)
	}
	c.flushStderr()
	return exitCode(err)
}

// printError prefixes every line, because one error may hold several findings.
func printError(stderr io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(stderr, "%s: %s\n", program, backends.Printable(strings.TrimSuffix(line, "\n")))
	}
}

func exitCode(err error) int {
	var usage *usageError
	var config *configError
	var refusal *privileged.Refusal
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.As(err, &usage), errors.As(err, &config):
		return exitUsage
	case errors.As(err, &refusal) && refusal.Code == exitUsage:
		return exitUsage
	}
	return exitFailed
}
