package pluginconf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tidwall/jsonc"
)

// Document is an Orthanc configuration.
type Document struct {
	name   string         // of the file or directory, as it was given
	dir    string         // absolute; what relative paths are relative to
	values map[string]any // by option
}

// Read reads the configuration in a file, or in all files *.json of a
// directory. As in Orthanc, no option may be in two of them.
func Read(path string, lookupEnv func(string) (string, bool)) (Document, error) {
	files, dir, err := configFiles(path)
	if err != nil {
		return Document{}, err
	}
	d := Document{name: path, dir: dir, values: map[string]any{}}
	from := map[string]string{}
	for _, file := range files {
		values, err := readFile(file, lookupEnv)
		if err != nil {
			return Document{}, err
		}
		for option, value := range values {
			if from[option] != "" {
				return Document{}, fmt.Errorf("%s: %s is in %s, too: remove one of the two", file, option, from[option])
			}
			d.values[option], from[option] = value, file
		}
	}
	return d, nil
}

func configFiles(path string) (files []string, dir string, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", fmt.Errorf("%w: name an Orthanc configuration, a file or a directory", err)
	}
	if !info.IsDir() {
		return []string{path}, filepath.Dir(path), nil
	}
	entries, err := os.ReadDir(path)
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) == ".json" {
			files = append(files, filepath.Join(path, entry.Name()))
		}
	}
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s holds no file *.json: name the directory of an Orthanc configuration", path)
	}
	slices.Sort(files)
	return files, path, err
}

func readFile(file string, lookupEnv func(string) (string, bool)) (map[string]any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: check the path and the permissions", err)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	text = substitute(jsonc.ToJSON(text), lookupEnv)
	var values map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		return nil, fmt.Errorf("%s:%d: not valid JSON: %w", file, errorLine(text, err), err)
	}
	return values, nil
}

// errorLine returns the line, from 1, that err is about. Comments keep theirs.
func errorLine(text []byte, err error) int {
	end := len(text)
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		end = int(syntax.Offset)
	case errors.As(err, &typed):
		end = int(typed.Offset)
	}
	return 1 + bytes.Count(text[:min(end, len(text))], []byte("\n"))
}
