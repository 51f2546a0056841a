package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// program is what a program is made of.
type program struct {
	name    string
	modules []module // in order of their paths, the standard library last
}

// module is one that is linked.
type module struct {
	path, version, sum string
	files              []licence
}

// licence is the text of one file.
type licence struct{ name, text string }

func read(file string) (program, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return program{}, err
	}
	p := program{name: info.Main.Path}
	packages, err := linked(info)
	if err != nil {
		return program{}, err
	}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			return program{}, fmt.Errorf("%s is replaced: name what it is replaced by here", dep.Path)
		}
		m := module{path: dep.Path, version: dep.Version, sum: dep.Sum}
		if m.files, err = licencesOf(packages[dep.Path]); err != nil {
			return program{}, fmt.Errorf("%s: %w", dep.Path, err)
		}
		p.modules = append(p.modules, m)
	}
	std, err := standardLibrary(info.GoVersion)
	p.modules = append(p.modules, std)
	return p, err
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// linked returns the directories of the packages that are linked, by module: the
// module's own first.
func linked(info *debug.BuildInfo) (map[string][]string, error) {
	list := exec.Command("go", "list", "-deps", "-json=Dir,Module", info.Path)
	list.Env = append(os.Environ(), "GOOS="+setting(info, "GOOS"), "GOARCH="+setting(info, "GOARCH"), "CGO_ENABLED="+setting(info, "CGO_ENABLED"))
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	dirs := map[string][]string{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			Dir    string
			Module *struct{ Path, Dir string }
		}
		err := decoder.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			return dirs, nil
		}
		if err != nil {
			return nil, err
		}
		if m := pkg.Module; m != nil {
			dirs[m.Path] = append(dirs[m.Path], upTo(m.Dir, pkg.Dir)...)
		}
	}
}

// upTo returns root and all directories from there to dir.
func upTo(root, dir string) []string {
	dirs := []string{root}
	for ; len(dir) > len(root); dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
	}
	return dirs
}

// licencesOf returns the licences in directories, the first of which is a
// module's own.
func licencesOf(dirs []string) ([]licence, error) {
	if len(dirs) == 0 {
		return nil, errors.New("no package of it is linked: build the program anew")
	}
	isLicence := regexp.MustCompile(`(?i)^(licen[cs]e|copying|copyright|notice|patents|unlicense)([.-].*)?$`)
	root := dirs[0]
	slices.Sort(dirs)
	var found []licence
	for _, dir := range slices.Compact(dirs) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if !entry.Type().IsRegular() || !isLicence.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			if err != nil {
				return nil, err
			}
			name, err := filepath.Rel(root, filepath.Join(dir, entry.Name()))
			if err != nil {
				return nil, err
			}
			found = append(found, licence{name, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n"))})
		}
	}
	if len(found) == 0 {
		return nil, errors.New("there is no licence in it: it must not be linked")
	}
	return found, nil
}

func standardLibrary(version string) (module, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return module{}, fmt.Errorf("go env: %w", err)
	}
	files, err := licencesOf([]string{strings.TrimSpace(string(root))})
	return module{path: "std", version: strings.TrimPrefix(version, "go"), files: files}, err
}
