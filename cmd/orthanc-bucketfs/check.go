package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

func checkCommand() command {
	return command{
		name:    "check",
		summary: "verify everything that mount needs, and mount nothing",
		details: `Prints a checklist, one line an item. It stores, reads and deletes an object of
its own in the bucket, and opens a few existing ones. Exits with 1 if any item fails.`,
		run: check,
	}
}

// errCheckFailed is all that is left to say after the checklist.
var errCheckFailed = errors.New("check: not everything is in order")

func check(ctx context.Context, c *call) error {
	flags := c.flagSet()
	file := addConfigFlag(flags)
	if _, err := c.parse(flags); err != nil {
		return err
	}
	findings := examine(ctx, *file, c.lookupEnv)
	for _, f := range findings {
		if err := printFinding(c.stdout, f); err != nil {
			return err
		}
	}
	if failures(findings) != nil {
		return errCheckFailed
	}
	return nil
}

// examine goes as far as what it has found allows.
func examine(ctx context.Context, file string, lookupEnv func(string) (string, bool)) []finding {
	cfg, err := loadConfig(file, lookupEnv)
	findings := []finding{{"configuration", file, err}}
	if err != nil {
		return findings
	}
	_, keys, err := openCodec(cfg)
	if err != nil {
		return append(findings, finding{"encryption", "", err})
	}
	findings = append(findings, finding{"encryption", describeKeys(keys), nil})
	s, err := openStack(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return append(findings, finding{"bucket", "", err})
	}
	findings = append(findings, preflight(ctx, cfg, s)...)
	if err := s.close(); err != nil {
		findings = append(findings, finding{"bucket", "", err})
	}
	return findings
}

func printFinding(w io.Writer, f finding) error {
	if f.err == nil {
		_, err := fmt.Fprintf(w, "ok    %s: %s\n", f.item, f.detail)
		return err
	}
	for line := range strings.Lines(f.err.Error()) {
		if _, err := fmt.Fprintf(w, "FAIL  %s: %s\n", f.item, strings.TrimSuffix(line, "\n")); err != nil {
			return err
		}
	}
	return nil
}
