package main

import (
	"context"
	"fmt"

	"orthanc-bucketfs/crypto"
)

func keygenCommand() command {
	return command{
		name:     "keygen",
		operands: []string{"FILE"},
		summary:  "write a new master key to FILE, which must not exist",
		details: `FILE gets mode 0600 and the base64 text of 32 random bytes. Keep a copy of it in
a safe place, apart from the bucket: what is sealed with a lost key is lost.`,
		run: keygen,
	}
}

func keygen(_ context.Context, c *call) error {
	operands, err := c.parse(c.flagSet())
	if err != nil {
		return err
	}
	if err := crypto.GenerateKeyFile(operands[0]); err != nil {
		return fmt.Errorf("keygen: %w", err)
	}
	return nil
}
