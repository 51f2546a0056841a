package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
)

func helpCommand() command {
	return command{
		name:    "help",
		summary: "print this text, or that of the command that follows",
		run:     help,
	}
}

func help(ctx context.Context, c *call) error {
	if len(c.args) == 1 && !strings.HasPrefix(c.args[0], "-") {
		return c.dispatch(ctx, c.args[0], []string{"-h"})
	}
	if _, err := c.parse(c.flagSet()); err != nil {
		return err
	}
	return printProgramUsage(c.stdout)
}

func printProgramUsage(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "Keeps the files of an Orthanc server in an encrypted bucket.\n\n")
	fmt.Fprintf(&text, "Usage: %s COMMAND [flags]\n\nCommands:\n", program)
	for _, cmd := range commands() {
		fmt.Fprintf(&text, "  %-13s %s\n", strings.Join(append([]string{cmd.name}, cmd.operands...), " "), cmd.summary)
	}
	fmt.Fprintf(&text, "\n'%s COMMAND -h' describes a command and its flags.\n", program)
	fmt.Fprintf(&text, "Exit codes: 0 done, 1 the work found or met a failure, 2 wrong usage or configuration.\n")
	_, err := io.WriteString(w, text.String())
	return err
}

func (c *call) printUsage(flags *flag.FlagSet) error {
	var text strings.Builder
	fmt.Fprintf(&text, "Usage: %s %s", program, c.name)
	flags.VisitAll(func(f *flag.Flag) {
		fmt.Fprintf(&text, " [%s]", flagForm(f))
	})
	for _, operand := range c.operands {
		fmt.Fprintf(&text, " %s", operand)
	}
	fmt.Fprintf(&text, "\n\n%s\n", strings.ToUpper(c.summary[:1])+c.summary[1:]+".")
	if c.details != "" {
		fmt.Fprintf(&text, "%s\n", c.details)
	}
	flags.VisitAll(func(f *flag.Flag) {
		_, description := flag.UnquoteUsage(f)
		fmt.Fprintf(&text, "\n  %s\n        %s\n", flagForm(f), description)
	})
	_, err := io.WriteString(c.stdout, text.String())
	return err
}

// flagForm shows how to write f, as in "--config FILE".
func flagForm(f *flag.Flag) string {
	argument, _ := flag.UnquoteUsage(f)
	return strings.TrimSuffix("--"+f.Name+" "+argument, " ")
}
