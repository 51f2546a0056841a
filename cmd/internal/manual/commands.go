package main

import (
	"errors"
	"fmt"
	"strings"
)

// commands returns a subsection for every command, from the usage texts.
func commands(usage func(command ...string) (string, error)) (string, error) {
	overview, err := usage()
	if err != nil {
		return "", err
	}
	_, list, found := strings.Cut(overview, "\nCommands:\n")
	list, _, ended := strings.Cut(list, "\n\n")
	if !found || !ended {
		return "", errors.New("the usage text has no list of commands")
	}
	var page strings.Builder
	for line := range strings.Lines(list) {
		name := strings.Fields(line)[0]
		text, err := usage(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&page, ".Ss %s\n%s", name, describe(text))
	}
	return page.String(), nil
}

// describe turns the usage text of a command into mdoc: its first paragraph is
// how to call it, those that are indented are flags.
func describe(usage string) string {
	synopsis, rest, _ := strings.Cut(usage, "\n\n")
	var page strings.Builder
	fmt.Fprintf(&page, ".Bd -literal -compact\n%s\n.Ed\n", escape(strings.TrimPrefix(synopsis, "Usage: ")))
	inList := false
	for paragraph := range strings.SplitSeq(strings.TrimRight(rest, "\n"), "\n\n") {
		flag, text, isFlag := strings.Cut(paragraph, "\n")
		if isFlag = isFlag && strings.HasPrefix(flag, "  --"); !isFlag {
			fmt.Fprintf(&page, ".Pp\n%s\n", escape(paragraph))
			continue
		}
		if !inList {
			page.WriteString(".Bl -tag -width Ds\n")
			inList = true
		}
		fmt.Fprintf(&page, ".It Sy \"%s\"\n%s\n", escape(strings.TrimSpace(flag)), escape(strings.TrimSpace(text)))
	}
	if inList {
		page.WriteString(".El\n")
	}
	return page.String()
}
