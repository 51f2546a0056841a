// Command demo shows orthanc-bucketfs at work with a stock Orthanc: it seals
// real DICOM files into a bucket (a directory), reads them back through
// Orthanc, and looks for patient names in the bucket.
//
// Everything is below one directory that is removed at the end. Environment:
//
//	ONCE=1       end after the checks, with status 0 if all held, else 1
//	HTTP_PORT    of Orthanc's web pages and REST; default: a free one
//	DICOM_PORT   of Orthanc's C-STORE; default: a free one
//	DEMO_DIR     an empty or new directory; default: a new temporary one
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "\nThe demo failed: %v\n", err)
		os.Exit(1)
	}
}
