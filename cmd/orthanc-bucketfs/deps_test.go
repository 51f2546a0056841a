package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "orthanc-bucketfs"

// directions tells what the packages of each part may import of this module.
// A part that is not here may not be there.
func directions() map[string][]string {
	return map[string][]string{
		"cmd":      {"cmd/internal/...", "fs", "fs/...", "crypto", "backends", "backends/..."},
		"fs":       {"fs", "fs/...", "crypto", "backends"},
		"backends": {"backends", "backends/internal/..."},
		"crypto":   {"crypto", "crypto/..."},
	}
}

// testsOnly is for tests to import, of every part that knows backends.
const testsOnly = "backends/backendtest"

// laboratory starts what tests and the demo need. It may import what is for
// tests; the program that is shipped may not import it.
const laboratory = "cmd/internal/lab"

// allowed tells whether pkg may import imported; both are relative to the
// module.
func allowed(pkg, imported string, inTest bool) bool {
	part, _, _ := strings.Cut(pkg, "/")
	rules := directions()[part]
	if imported == testsOnly || strings.HasPrefix(imported, testsOnly+"/") {
		return (inTest || pkg == laboratory) && slices.Contains(rules, "backends")
	}
	if imported == laboratory && pkg == "cmd/"+program {
		return inTest
	}
	if imported == pkg {
		return inTest // an external test of the package
	}
	return slices.ContainsFunc(rules, func(rule string) bool {
		parent, below := strings.CutSuffix(rule, "...")
		return imported == rule || below && strings.HasPrefix(imported, parent)
	})
}

func TestAllowed(t *testing.T) {
	tests := []struct {
		pkg, imported string
		code, test    bool
	}{
		{"cmd/orthanc-bucketfs", "fs", true, true},
		{"cmd/orthanc-bucketfs", "fs/budget", true, true},
		{"cmd/orthanc-bucketfs", "crypto", true, true},
		{"cmd/orthanc-bucketfs", "backends/dir", true, true},
		{"cmd/orthanc-bucketfs", "backends/backendtest", false, true},
		{"cmd/orthanc-bucketfs", "cmd/internal/other", true, true},
		{"cmd/orthanc-bucketfs", "cmd/other", false, false},
		{"cmd/orthanc-bucketfs", "cmd/internal/lab", false, true},
		{"cmd/internal/lab", "backends/backendtest/server", true, true},
		{"cmd/demo", "cmd/internal/lab", true, true},
		{"fs", "fs/attachment", true, true},
		{"fs/attachment", "backends", true, true},
		{"fs/attachment", "crypto", true, true},
		{"fs/attachment", "fs/attachment", false, true},
		{"fs", "backends/dir", false, false},
		{"fs", "backends/backendtest", false, true},
		{"fs", "cmd/orthanc-bucketfs", false, false},
		{"fs", "cmd/internal/other", false, false},
		{"backends/dir", "backends", true, true},
		{"backends/dir", "backends/s3", false, false},
		{"backends/dir", "crypto", false, false},
		{"backends/dir", "fs", false, false},
		{"backends/dir", "backends/backendtest", false, true},
		{"backends", "backends/dir", false, false},
		{"backends", "backends/backendtest", false, true},
		{"backends/backendtest", "backends", true, true},
		{"backends/s3", "backends/backendtest/server", false, true},
		{"backends/s3", "backends/internal/httpconn", true, true},
		{"fs/attachment", "backends/internal/httpconn", false, false},
		{"cmd/e2e", "backends/backendtest/server", false, true},
		{"crypto", "backends", false, false},
		{"crypto", "backends/backendtest", false, false},
		{"crypto", "fs", false, false},
		{"crypto", "cmd/orthanc-bucketfs", false, false},
		{"util", "crypto", false, false},
	}
	for _, test := range tests {
		if got := allowed(test.pkg, test.imported, false); got != test.code {
			t.Errorf("%s -> %s: %v", test.pkg, test.imported, got)
		}
		if got := allowed(test.pkg, test.imported, true); got != test.test {
			t.Errorf("tests of %s -> %s: %v", test.pkg, test.imported, got)
		}
	}
}

// listedPackage is what 'go list -json' tells of a package.
type listedPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func TestImportsKeepTheirDirection(t *testing.T) {
	packages := listPackages(t)
	for _, pkg := range packages {
		name := strings.TrimPrefix(pkg.ImportPath, module+"/")
		if part, _, _ := strings.Cut(name, "/"); directions()[part] == nil {
			t.Errorf("package %s belongs to no part", name)
		}
		checkImports(t, name, pkg.Imports, false)
		checkImports(t, name, pkg.TestImports, true)
		checkImports(t, name, pkg.XTestImports, true)
	}
	here := slices.IndexFunc(packages, func(p listedPackage) bool { return p.ImportPath == module+"/cmd/"+program })
	if here < 0 || !slices.Contains(packages[here].Imports, module+"/crypto") {
		t.Errorf("this package and its imports are not among the %d listed", len(packages))
	}
}

func checkImports(t *testing.T, pkg string, imports []string, inTest bool) {
	t.Helper()
	for _, path := range imports {
		imported, ours := strings.CutPrefix(path, module+"/")
		if ours && !allowed(pkg, imported, inTest) {
			t.Errorf("%s imports %s (in a test: %v), against the direction", pkg, imported, inTest)
		}
	}
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	var packages []listedPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg listedPackage
		err := decoder.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, pkg)
	}
}
