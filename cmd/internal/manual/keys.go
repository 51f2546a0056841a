package main

import (
	"fmt"
	"strings"
)

// keys returns a list of all keys of an example configuration, each with the
// comment above it and its line.
func keys(example string) string {
	var page strings.Builder
	page.WriteString(".Bl -tag -width Ds\n")
	var table, comment string
	for line := range strings.Lines(example) {
		line = strings.TrimSpace(line)
		switch key, _, assigned := strings.Cut(line, "="); {
		case line == "":
			comment = ""
		case line[0] == '#':
			comment += strings.TrimSpace(line[1:]) + "\n"
		case line[0] == '[':
			table, comment = strings.Trim(line, "[]")+".", ""
		case assigned:
			fmt.Fprintf(&page, ".It Sy %s\n%s.Bd -literal -compact\n%s\n.Ed\n",
				table+strings.TrimSpace(key), escape(comment), escape(line))
			comment = ""
		}
	}
	page.WriteString(".El\n")
	return page.String()
}
