package systemdtest

import (
	"compress/gzip"
	"debug/buildinfo"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// unpacked returns a directory with what is in the Debian package.
func unpacked(t *testing.T) string {
	t.Helper()
	require(t)
	dir := t.TempDir()
	if out, err := exec.Command("dpkg-deb", "--extract", built(t, firstVersion, "deb"), dir).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v: %s", err, out)
	}
	return dir
}

// commandsOf returns the names of all commands of a program that was unpacked.
func commandsOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	usage, err := exec.Command(filepath.Join(dir, "usr/bin/orthanc-bucketfs"), "help").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(usage), "Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		names = append(names, strings.Fields(line)[0])
	}
	if !slices.Contains(names, "mount") || !slices.Contains(names, "help") {
		t.Fatalf("commands %v", names)
	}
	return names
}

func manPage(t *testing.T, dir, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "usr/share/man", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestManPages sees that the pages name every command and every key.
func TestManPages(t *testing.T) {
	t.Parallel()
	dir := unpacked(t)
	page := manPage(t, dir, "man1/orthanc-bucketfs.1.gz")
	for _, name := range commandsOf(t, dir) {
		if !strings.Contains(page, "\n.Ss "+name+"\n") {
			t.Errorf("orthanc-bucketfs.1 has nothing about %s", name)
		}
	}
	var example map[string]any
	meta, err := toml.DecodeFile("../../config.toml.example", &example)
	if err != nil {
		t.Fatal(err)
	}
	page = manPage(t, dir, "man5/orthanc-bucketfs.toml.5.gz")
	for _, key := range meta.Keys() {
		table := len(key) == 1 && meta.Type(key...) == "Hash"
		inline := len(key) > 2 // a part of the value of a key
		if !table && !inline && !strings.Contains(page, "\n.It Sy "+key.String()+"\n") {
			t.Errorf("orthanc-bucketfs.toml.5 has nothing about %s", key)
		}
	}
	if left := regexp.MustCompile(`@[A-Z]+@`).FindString(page); left != "" {
		t.Errorf("%s was not replaced", left)
	}
}

// TestLicencesAndSBOM compares what the package says its program is made of with
// what the program says, and with what go list says would be linked.
func TestLicencesAndSBOM(t *testing.T) {
	t.Parallel()
	dir := unpacked(t)
	doc := filepath.Join(dir, "usr/share/doc/orthanc-bucketfs")
	want := linkedModules(t)
	info, err := buildinfo.ReadFile(filepath.Join(dir, "usr/bin/orthanc-bucketfs"))
	if err != nil {
		t.Fatal(err)
	}
	var linked []string
	for _, dep := range info.Deps {
		linked = append(linked, dep.Path+" "+dep.Version)
	}
	if slices.Sort(linked); !slices.Equal(linked, want) {
		t.Errorf("the program has the modules %q, go list %q", linked, want)
	}
	want = append(want, "std "+strings.TrimPrefix(info.GoVersion, "go"))

	text, err := os.ReadFile(filepath.Join(doc, "LICENSES"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "\n\n")
	list, _, _ = strings.Cut(list, "\n\n")
	var licensed []string
	for line := range strings.Lines(list) {
		name, identifiers, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if licensed = append(licensed, name); identifiers == "" {
			t.Errorf("%s: its licence is none of the usual ones: look whether it may be linked", name)
		}
	}
	if slices.Sort(licensed); !slices.Equal(licensed, slices.Sorted(slices.Values(want))) {
		t.Errorf("LICENSES has %q, want %q", licensed, want)
	}

	var sbom struct {
		BOMFormat  string
		Metadata   struct{ Component struct{ Version string } }
		Components []struct{ Name, Version, PURL string }
	}
	if text, err = os.ReadFile(filepath.Join(doc, "sbom.cdx.json")); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &sbom); err != nil || sbom.BOMFormat != "CycloneDX" || sbom.Metadata.Component.Version != firstVersion {
		t.Errorf("format %q, version %q, error %v", sbom.BOMFormat, sbom.Metadata.Component.Version, err)
	}
	var components []string
	for _, c := range sbom.Components {
		components = append(components, c.Name+" "+c.Version)
	}
	if slices.Sort(components); !slices.Equal(components, slices.Sorted(slices.Values(want))) {
		t.Errorf("the SBOM has %q, want %q", components, want)
	}
}

// linkedModules returns the modules that the program needs, with their versions.
func linkedModules(t *testing.T) []string {
	t.Helper()
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", "orthanc-bucketfs/cmd/orthanc-bucketfs")
	list.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := slices.DeleteFunc(strings.Split(string(out), "\n"), func(s string) bool { return s == "" })
	slices.Sort(modules)
	return slices.Compact(modules)
}

// TestMonitoringFiles sees that what the README offers for Prometheus and Grafana
// is where it says, for everybody to read.
func TestMonitoringFiles(t *testing.T) {
	t.Parallel()
	dir := unpacked(t)
	readme, err := os.ReadFile(filepath.Join(dir, "usr/share/doc/orthanc-bucketfs/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	const monitoring = "/usr/share/orthanc-bucketfs/monitoring"
	for _, name := range []string{"alerts.yaml", "dashboard.json"} {
		if !strings.Contains(string(readme), monitoring) || !strings.Contains(string(readme), name) {
			t.Errorf("README.md does not say where %s is", name)
		}
		if info, err := os.Stat(filepath.Join(dir, monitoring, name)); err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// TestCompletions asks each shell what it offers.
func TestCompletions(t *testing.T) {
	t.Parallel()
	dir := unpacked(t)
	commands := commandsOf(t, dir)
	shells := []struct{ name, file, commands, flags string }{
		{"bash", "bash-completion/completions/orthanc-bucketfs",
			`source "$FILE"; COMP_WORDS=(orthanc-bucketfs ''); COMP_CWORD=1; _orthanc_bucketfs; printf '%s\n' "${COMPREPLY[@]}"`,
			`source "$FILE"; COMP_WORDS=(orthanc-bucketfs mount --c); COMP_CWORD=2; _orthanc_bucketfs; printf '%s\n' "${COMPREPLY[@]}"`},
		{"zsh", "zsh/vendor-completions/_orthanc-bucketfs",
			`compadd() { print -l -- ${(P)2} }; words=(orthanc-bucketfs ''); CURRENT=2; PREFIX=; source "$FILE"`,
			`compadd() { print -l -- ${(P)2} }; words=(orthanc-bucketfs mount --c); CURRENT=3; PREFIX=--c; source "$FILE"`},
		{"fish", "fish/vendor_completions.d/orthanc-bucketfs.fish",
			`source "$FILE"; complete -C 'orthanc-bucketfs '`,
			`source "$FILE"; complete -C 'orthanc-bucketfs mount --c'`},
	}
	for _, shell := range shells {
		t.Run(shell.name, func(t *testing.T) {
			offers := func(script string) []string {
				cmd := exec.CommandContext(t.Context(), shell.name, "-c", script)
				cmd.Env = []string{"FILE=" + filepath.Join(dir, "usr/share", shell.file), "HOME=" + t.TempDir(), "TERM=dumb",
					"PATH=" + filepath.Join(dir, "usr/bin") + ":" + os.Getenv("PATH")}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v:\n%s", err, out)
				}
				return strings.Fields(string(out))
			}
			if got := offers(shell.commands); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(commands))) {
				t.Errorf("offers the commands %v of %v", got, commands)
			}
			if got := offers(shell.flags); !slices.Equal(got, []string{"--config"}) {
				t.Errorf("offers the flags %v", got)
			}
		})
	}
}
