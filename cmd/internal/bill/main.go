// Command bill says what a built program consists of: the modules that are
// linked into it, their versions, and their licences.
//
//	go run ./cmd/internal/bill licences PROGRAM >LICENSES
//	go run ./cmd/internal/bill sbom PROGRAM VERSION COMMIT >sbom.cdx.json
//
// The modules are those that the program names itself; the licences are the
// files beside the packages that it is made of. A module without one is an error.
// The second is CycloneDX 1.5. The same program gives the same bytes.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bill:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	isSBOM := len(args) == 4 && args[0] == "sbom"
	if !isSBOM && (len(args) != 2 || args[0] != "licences") {
		return errors.New("usage: bill licences PROGRAM, or bill sbom PROGRAM VERSION COMMIT")
	}
	p, err := read(args[1])
	if err != nil {
		return err
	}
	if isSBOM {
		return writeSBOM(out, p, args[2], args[3])
	}
	return writeLicences(out, p)
}
