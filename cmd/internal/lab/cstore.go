package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNoAssociation reports that a DICOM server did not accept the connection.
var ErrNoAssociation = errors.New("no DICOM association")

// CStore sends the instances in one association with dcmtk's storescu, each in
// the transfer syntax it has, and says for each whether the server answered
// Success. An instance that was refused is no error; what storescu printed is
// returned for the curious.
func CStore(ctx context.Context, port int, instances []Instance) (acknowledged []bool, output string, err error) {
	dir, err := os.MkdirTemp("", "storescu-")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(dir)
	files, err := writeInstances(dir, instances)
	if err != nil {
		return nil, "", err
	}
	profile := filepath.Join(dir, "profile.cfg")
	if err := os.WriteFile(profile, storescuProfile(instances), 0o600); err != nil {
		return nil, "", err
	}
	args := append([]string{"-v", "-nh", "-xf", profile, "All", "127.0.0.1", strconv.Itoa(port)}, files...)
	cmd := exec.CommandContext(ctx, "storescu", args...)
	cmd.Env = append(os.Environ(), noDelay)
	out, err := cmd.CombinedOutput()
	acknowledged, begun := storeResponses(out, files)
	if !begun {
		return acknowledged, string(out), fmt.Errorf("%w (%v):\n%s", ErrNoAssociation, err, out)
	}
	return acknowledged, string(out), ctx.Err()
}

// CEcho asks a DICOM server whether it is there, with dcmtk's echoscu.
func CEcho(ctx context.Context, port int) error {
	out, err := exec.CommandContext(ctx, "echoscu", "127.0.0.1", strconv.Itoa(port)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("echoscu: %w:\n%s", err, out)
	}
	return nil
}

func writeInstances(dir string, instances []Instance) ([]string, error) {
	files := make([]string, len(instances))
	for n, instance := range instances {
		files[n] = filepath.Join(dir, fmt.Sprintf("%04d.dcm", n))
		if err := os.WriteFile(files[n], instance.Data, 0o600); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// storescuProfile proposes one presentation context for each pair of SOP class
// and transfer syntax (format: dcmtk's asconfig.txt). The options of storescu
// would propose one compressed syntax at a time.
func storescuProfile(instances []Instance) []byte {
	var syntaxes, contexts []string
	for _, i := range instances {
		n := slices.Index(syntaxes, i.TransferSyntax)
		if n < 0 {
			n = len(syntaxes)
			syntaxes = append(syntaxes, i.TransferSyntax)
		}
		if pair := fmt.Sprintf(`%s\TS%d`, i.SOPClass, n); !slices.Contains(contexts, pair) {
			contexts = append(contexts, pair)
		}
	}
	profile := []byte("[[TransferSyntaxes]]\n")
	for n, syntax := range syntaxes {
		profile = fmt.Appendf(profile, "[TS%d]\nTransferSyntax1 = %s\n", n, syntax)
	}
	profile = append(profile, "[[PresentationContexts]]\n[Proposed]\n"...)
	for n, pair := range contexts {
		profile = fmt.Appendf(profile, "PresentationContext%d = %s\n", n+1, pair)
	}
	return append(profile, "[[Profiles]]\n[All]\nPresentationContexts = Proposed\n"...)
}

// storeResponses finds the answer to each file in what storescu -v prints, and
// whether an association was accepted at all.
func storeResponses(output []byte, files []string) (success []bool, begun bool) {
	success = make([]bool, len(files))
	current := -1
	lines := bufio.NewScanner(bytes.NewReader(output))
	for lines.Scan() {
		line := strings.TrimPrefix(lines.Text(), "I: ")
		switch {
		case strings.HasPrefix(line, "Association Accepted"):
			begun = true
		case strings.HasPrefix(line, "Sending file: "):
			current = slices.Index(files, strings.TrimPrefix(line, "Sending file: "))
		case line == "Received Store Response (Success)" && current >= 0:
			success[current] = true
		}
	}
	return success, begun
}
