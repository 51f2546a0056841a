package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"orthanc-bucketfs/cmd/internal/logqueue"
)

// command is one entry of the table.
type command struct {
	name     string
	operands []string // what follows the flags, by the names the usage text gives them
	summary  string   // one line, for the list of commands
	details  string   // what the usage text of the command says beyond the summary
	run      func(context.Context, *call) error
}

// call is one use of a command.
type call struct {
	command
	args           []string // what follows the command's name
	stdin          io.Reader
	stdout, stderr io.Writer
	lookupEnv      func(string) (string, bool)

	queue    *logqueue.Queue // in front of standard error, once queueStderr was called
	patience time.Duration   // with it at the end
	journal  bool            // it leads to systemd's journal
}

// usageError is a command line that asks for nothing the program can do.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

func (c *call) dispatch(ctx context.Context, name string, args []string) error {
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	}
	cmd, err := findCommand(name)
	if err != nil {
		return err
	}
	c.command, c.args = cmd, args
	return cmd.run(ctx, c)
}

func findCommand(name string) (command, error) {
	for _, cmd := range commands() {
		if cmd.name == name {
			return cmd, nil
		}
	}
	if len(name) > 0 && name[0] == '-' {
		return command{}, usagef("flag %s stands before the command; write '%s COMMAND [flags]'", shownWord(name), program)
	}
	return command{}, usagef("unknown command %s; '%s help' lists the commands", shownWord(name), program)
}

// shownWord quotes an argument that looks like a word or the name of a file.
// Another may be a secret.
func shownWord(s string) string {
	if len(s) <= 16 && strings.Trim(s, ".-abcdefghijklmnopqrstuvwxyz") == "" {
		return strconv.Quote(s)
	}
	return "(which is not shown)"
}

// flagSet returns the set a command adds its flags to before it calls parse.
func (c *call) flagSet() *flag.FlagSet {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // parse reports what is wrong, in one line
	return flags
}

// parse reads the command's arguments into flags and returns the operands,
// exactly as many as the command names. When asked for help it prints the
// usage text and returns flag.ErrHelp.
func (c *call) parse(flags *flag.FlagSet) ([]string, error) {
	err := flags.Parse(c.args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil, cmp.Or(c.printUsage(flags), err)
	case err != nil:
		return nil, usagef("%s: %w; see '%s %s -h'", c.name, err, program, c.name)
	case flags.NArg() < len(c.operands):
		return nil, usagef("%s: %s is missing; see '%s %s -h'", c.name, c.operands[flags.NArg()], program, c.name)
	case flags.NArg() > len(c.operands):
		return nil, usagef("%s: unexpected argument %s; see '%s %s -h'", c.name, shownWord(flags.Arg(len(c.operands))), program, c.name)
	}
	return flags.Args(), nil
}
