package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// writeLicences writes a list of the modules, and each text once.
func writeLicences(out io.Writer, p program) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "%s is made of the modules below, beside its own source, whose licence is in the file copyright.\n\n", p.name)
	of := map[string][]string{} // text -> where it is
	var texts []string
	for _, m := range p.modules {
		fmt.Fprintf(w, "%s %s  %s\n", m.path, m.version, strings.Join(identifiers(m), ", "))
		for _, file := range m.files {
			if of[file.text] == nil {
				texts = append(texts, file.text)
			}
			of[file.text] = append(of[file.text], m.path+"/"+file.name)
		}
	}
	for _, text := range texts {
		fmt.Fprintf(w, "\n%s\n%s\n\n%s\n", strings.Repeat("-", 80), strings.Join(of[text], "\n"), text)
	}
	return w.Flush()
}

// identifiers returns the SPDX names of a module's licences, as far as they are
// of the usual ones.
func identifiers(m module) (names []string) {
	for _, file := range m.files {
		if name := identify(file.text); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func identify(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	switch {
	case strings.Contains(text, "Apache License Version 2.0"):
		return "Apache-2.0"
	case strings.Contains(text, "Mozilla Public License"):
		return "MPL-2.0"
	case strings.Contains(text, "Permission is hereby granted, free of charge"):
		return "MIT"
	case strings.Contains(text, "Permission to use, copy, modify, and/or distribute this software"),
		strings.Contains(text, "Permission to use, copy, modify, and distribute this software"):
		return "ISC"
	case strings.Contains(text, "Redistribution and use in source and binary forms") && strings.Contains(text, "may be used to endorse"):
		return "BSD-3-Clause"
	case strings.Contains(text, "Redistribution and use in source and binary forms"):
		return "BSD-2-Clause"
	}
	return ""
}
