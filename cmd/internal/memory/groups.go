package memory

import (
	"path"
	"slices"
	"strings"
)

// group is a control group that limits memory.
type group struct {
	dir, top string // its directory, and that of the outermost group that can be seen
	v1       bool
}

// files returns the names of those that hold its limits.
func (g group) files() []string {
	if g.v1 {
		return []string{"memory.limit_in_bytes"}
	}
	return []string{"memory.max", "memory.high"}
}

// groups returns those of this process, by proc(5), cgroups(7).
func (r *reader) groups() []group {
	mounts := strings.Split(r.text("/proc/self/mountinfo"), "\n")
	var groups []group
	for line := range strings.Lines(r.text("/proc/self/cgroup")) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		v1 := slices.Contains(strings.Split(fields[1], ","), "memory")
		var h hierarchy
		switch {
		case v1:
			h = findMount(mounts, "cgroup", "memory")
		case fields[1] == "":
			h = findMount(mounts, "cgroup2", "")
		}
		if h.point != "" {
			groups = append(groups, group{dir: h.directory(fields[2]), top: h.point, v1: v1})
		}
	}
	return groups
}

// hierarchy is where control groups are mounted, and which of them is at the
// top there: in a container not the outermost one.
type hierarchy struct{ point, root string }

// findMount finds a hierarchy among the lines of mountinfo.
func findMount(mounts []string, kind, controller string) hierarchy {
	for _, line := range mounts {
		mount, super, ok := strings.Cut(line, " - ")
		fields, options := strings.Fields(mount), strings.Fields(super)
		if !ok || len(fields) < 5 || len(options) < 3 || options[0] != kind {
			continue
		}
		if controller == "" || slices.Contains(strings.Split(options[2], ","), controller) {
			return hierarchy{point: fields[4], root: fields[3]}
		}
	}
	return hierarchy{}
}

// directory returns where the group with a path is. A group that is not below
// the top that is mounted cannot be seen; then that is looked at.
func (h hierarchy) directory(group string) string {
	below, ok := strings.CutPrefix(group, strings.TrimSuffix(h.root, "/"))
	if !ok || strings.Contains(group, "/..") || below != "" && below[0] != '/' {
		return h.point
	}
	return path.Join(h.point, below)
}
