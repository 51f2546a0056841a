package main

import (
	"context"
	"fmt"

	"orthanc-bucketfs/crypto"
)

func sealCommand() command {
	return command{
		name:    "seal",
		summary: "seal one file, from standard input to standard output",
		details: `The key is the current one of the configuration, or the one given with --key.
The file is held in memory as a whole; max_concurrent_input_mib limits its size.`,
		run: seal,
	}
}

func seal(_ context.Context, c *call) error {
	flags := c.flagSet()
	source := addKeySource(flags)
	if _, err := c.parse(flags); err != nil {
		return err
	}
	if len(source.keys) > 1 {
		return usagef("seal: --key is given %d times; a file is sealed with one key", len(source.keys))
	}
	keys, limit, err := source.open(c)
	if err != nil {
		return err
	}
	buf, err := readInput(c.stdin, limit, crypto.HeaderSize, crypto.TagSize)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	if err := keys.Seal(unnamedFile(), buf); err != nil {
		return err
	}
	return writeOutput(c.stdout, buf)
}

// unnamedFile is the UUID of what comes through standard input. The envelope
// does not bind the UUID, so any attachment can be opened with it.
func unnamedFile() [16]byte { return [16]byte{} }
