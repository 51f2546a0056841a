package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the linker: -ldflags "-X main.version=1.2.3 -X main.commit=0123abc".
var (
	version = "devel"
	commit  = ""
)

func versionCommand() command {
	return command{
		name:    "version",
		summary: "print version, commit and Go version",
		run:     printVersion,
	}
}

func printVersion(_ context.Context, c *call) error {
	if _, err := c.parse(c.flagSet()); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "%s %s\ncommit %s\n%s\n", program, version, buildCommit(), runtime.Version())
	return err
}

// buildCommit returns the commit the program was built from: the linker's, else
// the one the go command found in the checkout, marked when files differed.
func buildCommit() string {
	if commit != "" {
		return commit
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return vcsCommit(info.Settings)
}

func vcsCommit(settings []debug.BuildSetting) string {
	revision, suffix := "unknown", ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			suffix = " (modified)"
		}
	}
	return revision + suffix
}
