package lab

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// Bucket is a directory of objects, as the backend "dir" lays it out. Its
// methods name files relative to Dir.
type Bucket struct{ Dir string }

// Files names all files below the bucket, objects or not.
func (b Bucket) Files() ([]string, error) {
	var files []string
	err := fs.WalkDir(os.DirFS(b.Dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, name)
		}
		return err
	})
	return files, err
}

// Objects names the files that are objects: AA/BB/<uuid>.
func (b Bucket) Objects() ([]string, error) {
	object := regexp.MustCompile(`^[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	return b.filter(func(name string, _ []byte) bool { return object.MatchString(name) })
}

// NotSealed names the files that do not begin as an A1 envelope does.
func (b Bucket) NotSealed() ([]string, error) {
	return b.filter(func(_ string, content []byte) bool { return !bytes.HasPrefix(content, []byte("A1")) })
}

// Containing names the files that have any of the words in their content or
// in their name.
func (b Bucket) Containing(words []string) ([]string, error) {
	return b.filter(func(name string, content []byte) bool {
		return ContainsAny(content, words) || ContainsAny([]byte(name), words)
	})
}

// Path returns where a file of the bucket is.
func (b Bucket) Path(name string) string { return filepath.Join(b.Dir, name) }

// ContainsAny says whether content holds any of the words.
func ContainsAny(content []byte, words []string) bool {
	for _, word := range words {
		if bytes.Contains(content, []byte(word)) {
			return true
		}
	}
	return false
}

func (b Bucket) filter(keep func(name string, content []byte) bool) ([]string, error) {
	files, err := b.Files()
	if err != nil {
		return nil, err
	}
	var kept []string
	for _, name := range files {
		content, err := os.ReadFile(b.Path(name))
		if err != nil {
			return nil, err
		}
		if keep(name, content) {
			kept = append(kept, name)
		}
	}
	return kept, nil
}
