// Command manual completes the man pages of the package, so that they name
// every command, flag and key there is: a line @COMMANDS@ of a page becomes what
// the program says about its commands, a line @KEYS@ what config.toml.example
// says about its keys.
//
//	go run ./cmd/internal/manual EXAMPLE <page.in >page
//
// It asks the program as it is in the checkout.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: manual EXAMPLE <page.in >page")
	}
	lists := map[string]func() (string, error){
		"@COMMANDS@": func() (string, error) { return commands(usageOf) },
		"@KEYS@":     func() (string, error) { return keysOf(args[0]) },
	}
	w := bufio.NewWriter(out)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		text := lines.Text() + "\n"
		if list, ok := lists[lines.Text()]; ok {
			var err error
			if text, err = list(); err != nil {
				return err
			}
		}
		w.WriteString(text)
	}
	return errors.Join(lines.Err(), w.Flush())
}

// usageOf returns the usage text of a command, or that of the program for none.
func usageOf(command ...string) (string, error) {
	argv := append([]string{"run", "-buildvcs=false", "orthanc-bucketfs/cmd/orthanc-bucketfs", "help"}, command...)
	text, err := exec.Command("go", argv...).Output()
	if err != nil {
		return "", fmt.Errorf("orthanc-bucketfs help: %w", err)
	}
	return string(text), nil
}

func keysOf(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return keys(string(text)), nil
}

// escape makes text that is for people a line, or lines, of a man page.
func escape(text string) string {
	text = strings.ReplaceAll(text, `\`, `\e`)
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines.WriteString(`\&`)
		}
		lines.WriteString(line)
	}
	return lines.String()
}
