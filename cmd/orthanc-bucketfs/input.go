package main

import (
	"bytes"
	"fmt"
	"io"
)

// sizeLimit bounds a file that has to be held in memory.
type sizeLimit struct {
	mib      int64  // of plaintext
	overhead int64  // bytes that the input may have beyond its plaintext
	remedy   string // what to do about a file that is larger
}

func (l sizeLimit) bytes() int64 { return l.mib<<20 + l.overhead }

// readInput returns all of r, with headroom bytes before and tailroom bytes
// after it.
func readInput(r io.Reader, limit sizeLimit, headroom, tailroom int) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, headroom))
	n, err := buf.ReadFrom(io.LimitReader(r, limit.bytes()+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if n > limit.bytes() {
		return nil, fmt.Errorf("standard input is larger than %d MiB: %s", limit.mib, limit.remedy)
	}
	return append(buf.Bytes(), make([]byte, tailroom)...), nil
}

func writeOutput(w io.Writer, p []byte) error {
	if _, err := w.Write(p); err != nil {
		return fmt.Errorf("write standard output: %w: what was written is incomplete, do not use it", err)
	}
	return nil
}
