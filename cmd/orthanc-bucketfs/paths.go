package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

const credentialsVariable = "CREDENTIALS_DIRECTORY"

// place is a usable path of the configuration. The zero place is none.
type place struct {
	key      string // where it stands
	path     string
	resolved string // without symbolic links
}

// expandPath expands and checks the path in *value. If there is nothing wrong
// with it, it sets *value and returns the place.
func (f *faults) expandPath(key string, value *string, lookupEnv func(string) (string, bool)) place {
	path, err := expand(*value, lookupEnv)
	if err != nil {
		f.add(key, "", "%w", err)
		return place{}
	}
	switch {
	case path == "":
		f.add(key, "write an absolute path", "is not set")
	case !filepath.IsAbs(path):
		f.add(key, "write an absolute path, from / on", "is no absolute path")
	case strings.ContainsRune(path, 0):
		f.add(key, "remove it", "holds a NUL character")
	case filepath.Clean(path) != path:
		f.add(key, "write it without empty parts, . and .., and without / at its end", "is not in its shortest form")
	case path == "/":
		f.add(key, "name a directory of its own", "is the root of the file system")
	default:
		*value = path
		return place{key: key, path: path, resolved: resolve(path)}
	}
	return place{}
}

var (
	errNoCredentials = errors.New("$" + credentialsVariable + " is not set: systemd sets it for a unit with " +
		"LoadCredential=; start the program from there, or write the path itself")
	errOtherVariable = errors.New("only $" + credentialsVariable + " is expanded in a path: write the path itself, without other $")
)

// expand replaces $CREDENTIALS_DIRECTORY and ${CREDENTIALS_DIRECTORY}, and
// refuses any other dollar sign.
func expand(path string, lookupEnv func(string) (string, bool)) (string, error) {
	var expanded strings.Builder
	for {
		before, after, found := strings.Cut(path, "$")
		expanded.WriteString(before)
		if !found {
			return expanded.String(), nil
		}
		rest, ok := cutCredentials(after)
		if !ok {
			return "", errOtherVariable
		}
		dir, ok := lookupEnv(credentialsVariable)
		if !ok || dir == "" {
			return "", errNoCredentials
		}
		expanded.WriteString(dir)
		path = rest
	}
}

// cutCredentials returns what follows the variable's name in s.
func cutCredentials(s string) (rest string, ok bool) {
	if rest, ok := strings.CutPrefix(s, "{"+credentialsVariable+"}"); ok {
		return rest, true
	}
	rest, ok = strings.CutPrefix(s, credentialsVariable)
	return rest, ok && (rest == "" || !isNameByte(rest[0]))
}

func isNameByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// resolve follows the symbolic links in path as far as it exists.
func resolve(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(resolve(parent), filepath.Base(path))
}

// shownPath is how an error begins that is about path, a file that holds a
// secret: with the path if there is something, or might be, and with nothing if
// it may be the secret itself.
func shownPath(path string) string {
	_, err := os.Lstat(path)
	if dir := filepath.Dir(path); err != nil && filepath.IsAbs(path) && dir != "/" {
		_, err = os.Stat(dir)
	}
	if err != nil {
		return ""
	}
	return path + ": "
}

// keepApart reports a that is b, is inside of b, or contains b.
func (f *faults) keepApart(a, b place, why string) {
	if relation := a.relation(b); relation != "" {
		f.add(a.key, "choose a directory apart from it", "%s %s, and %s", relation, b.key, why)
	}
}

// keepOut reports a file that is inside of dir.
func (f *faults) keepOut(file, dir place, why string) {
	if file.relation(dir) == isInside {
		f.add(file.key, "move it to a directory that only the daemon can read", "%s %s, and %s", isInside, dir.key, why)
	}
}

const (
	isSame   = "is the same directory as"
	isInside = "is inside of"
	contains = "contains"
)

// relation compares two places both as they are written and without symbolic
// links, because a link inside of a mount is as unreachable as its target.
func (p place) relation(other place) string {
	if p == (place{}) || other == (place{}) {
		return ""
	}
	for _, a := range []string{p.path, p.resolved} {
		for _, b := range []string{other.path, other.resolved} {
			switch {
			case a == b:
				return isSame
			case strings.HasPrefix(a, b+"/"):
				return isInside
			case strings.HasPrefix(b, a+"/"):
				return contains
			}
		}
	}
	return ""
}
