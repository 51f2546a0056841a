package memory

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Limit is a number of bytes, and who sets it.
type Limit struct {
	Bytes  int64
	Source string
}

// Facts are what is known of the memory of this process.
type Facts struct {
	Bound     Limit    // what it can have; no Source if nothing is known
	Available int64    // what is free on the machine, or can be made so; 0 if that is not known
	Unknown   []string // files that could not be read
}

// Read reads the facts from root, which is "/" of the machine.
func Read(root fs.FS) Facts {
	r := reader{root: root}
	total, available := r.meminfo()
	r.found.Available = available
	r.limit(total, "MemTotal of the machine")
	for _, group := range r.groups() {
		r.nested(group)
	}
	return r.found
}

// reader reads files as long as they can be read.
type reader struct {
	root  fs.FS
	found Facts
}

// text returns a file; what is not there is empty.
func (r *reader) text(file string) string {
	text, err := fs.ReadFile(r.root, strings.TrimPrefix(file, "/"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.found.Unknown = append(r.found.Unknown, file)
	}
	return string(text)
}

// limit takes a limit into account. 0 is none.
func (r *reader) limit(n int64, source string) {
	if n > 0 && (r.found.Bound.Source == "" || n < r.found.Bound.Bytes) {
		r.found.Bound = Limit{n, source}
	}
}

func (r *reader) meminfo() (total, available int64) {
	for line := range strings.Lines(r.text("/proc/meminfo")) {
		var name string
		var kib int64
		if n, _ := fmt.Sscanf(line, "%s %d kB", &name, &kib); n != 2 {
			continue
		}
		switch name {
		case "MemTotal:":
			total = kib << 10
		case "MemAvailable:":
			available = kib << 10
		}
	}
	return total, available
}

// nested looks at a group and those it is nested in.
func (r *reader) nested(g group) {
	r.limit(r.hierarchical(g), path.Join(g.dir, "memory.stat"))
	for dir := g.dir; ; dir = path.Dir(dir) {
		for _, name := range g.files() {
			file := path.Join(dir, name)
			r.limit(number(r.text(file)), file)
		}
		if dir == g.top || dir == "/" {
			return
		}
	}
}

// hierarchical returns the least limit of a group of cgroup v1 and all that it is
// nested in, also those that cannot be seen.
func (r *reader) hierarchical(g group) int64 {
	if !g.v1 {
		return 0
	}
	for line := range strings.Lines(r.text(path.Join(g.dir, "memory.stat"))) {
		if n, ok := strings.CutPrefix(line, "hierarchical_memory_limit "); ok {
			return number(n)
		}
	}
	return 0
}

// number reads what stands in a limit's file. Neither "max" nor what cgroup v1
// has for it, the largest number of whole pages, is a limit.
func number(text string) int64 {
	const none = 1 << 62
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n >= none {
		return 0
	}
	return n
}
