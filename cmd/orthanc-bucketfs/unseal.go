package main

import (
	"context"
	"errors"
	"fmt"

	"orthanc-bucketfs/crypto"
)

func unsealCommand() command {
	return command{
		name:    "unseal",
		summary: "verify and open one sealed file, from standard input to standard output",
		details: `The id inside the sealed file selects the key among those of the configuration,
or those given with --key, which may be repeated. Nothing is written unless the
whole file is genuine.
The file is held in memory as a whole; max_concurrent_input_mib limits its size.`,
		run: unseal,
	}
}

func unseal(_ context.Context, c *call) error {
	flags := c.flagSet()
	source := addKeySource(flags)
	if _, err := c.parse(flags); err != nil {
		return err
	}
	keys, limit, err := source.open(c)
	if err != nil {
		return err
	}
	limit.overhead = crypto.Overhead
	sealed, err := readInput(c.stdin, limit, 0, 0)
	if err != nil {
		return fmt.Errorf("unseal: %w", err)
	}
	plain, err := keys.Open(unnamedFile(), sealed)
	if errors.Is(err, crypto.ErrUnknownKey) && len(source.keys) > 0 {
		return fmt.Errorf("unseal: standard input: %w, here with one more --key ID=FILE", err)
	}
	if err != nil {
		return fmt.Errorf("unseal: standard input: %w", err)
	}
	return writeOutput(c.stdout, plain)
}
