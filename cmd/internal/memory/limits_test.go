package memory

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"testing"
	"testing/fstest"
)

const (
	mib = 1 << 20

	// What cgroup v1 says where there is no limit.
	unlimited = "9223372036854771712\n"

	mountV1 = "35 31 0:32 %s /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	mountV2 = "38 31 0:38 %s /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
	hybrid  = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
		"32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n" +
		"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n" +
		"38 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
)

// machine is a tree of files with 8 GiB of memory, 3 GiB of them free.
func machine(files map[string]string) fstest.MapFS {
	tree := fstest.MapFS{"proc/meminfo": {Data: []byte("MemTotal:        8388608 kB\nMemFree:  1 kB\nMemAvailable:    3145728 kB\nHugePages_Total:   0\n")}}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return tree
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  Limit
	}{
		{"no control groups", nil, Limit{8192 * mib, "MemTotal of the machine"}},
		{"v2", map[string]string{
			"proc/self/cgroup":    "0::/system.slice/orthanc-bucketfs.service\n",
			"proc/self/mountinfo": fmt.Sprintf(mountV2, "/"),
			"sys/fs/cgroup/system.slice/orthanc-bucketfs.service/memory.max":  "419430400\n",
			"sys/fs/cgroup/system.slice/orthanc-bucketfs.service/memory.high": "max\n",
			"sys/fs/cgroup/system.slice/memory.max":                           "max\n",
		}, Limit{400 * mib, "/sys/fs/cgroup/system.slice/orthanc-bucketfs.service/memory.max"}},
		{"v2, the outer one is less", map[string]string{
			"proc/self/cgroup":               "0::/a/b/c\n",
			"proc/self/mountinfo":            fmt.Sprintf(mountV2, "/"),
			"sys/fs/cgroup/a/memory.max":     "314572800\n",
			"sys/fs/cgroup/a/b/memory.max":   "max\n",
			"sys/fs/cgroup/a/b/c/memory.max": "419430400\n",
		}, Limit{300 * mib, "/sys/fs/cgroup/a/memory.max"}},
		{"v2, slowed down before the limit", map[string]string{
			"proc/self/cgroup":            "0::/a\n",
			"proc/self/mountinfo":         fmt.Sprintf(mountV2, "/"),
			"sys/fs/cgroup/a/memory.max":  "419430400\n",
			"sys/fs/cgroup/a/memory.high": "209715200\n",
		}, Limit{200 * mib, "/sys/fs/cgroup/a/memory.high"}},
		{"v2, a container with a namespace of its own", map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"proc/self/mountinfo":      fmt.Sprintf(mountV2, "/"),
			"sys/fs/cgroup/memory.max": "419430400\n",
		}, Limit{400 * mib, "/sys/fs/cgroup/memory.max"}},
		{"v2, outside of what is mounted", map[string]string{
			"proc/self/cgroup":         "0::/../other\n",
			"proc/self/mountinfo":      fmt.Sprintf(mountV2, "/"),
			"sys/fs/cgroup/memory.max": "419430400\n",
		}, Limit{400 * mib, "/sys/fs/cgroup/memory.max"}},
		{"v1", map[string]string{
			"proc/self/cgroup":                                                  "9:name=systemd:/\n4:cpu,memory:/system.slice/a.service\n1:cpuset:/x\n",
			"proc/self/mountinfo":                                               fmt.Sprintf(mountV1, "/"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes":                        unlimited,
			"sys/fs/cgroup/memory/system.slice/memory.limit_in_bytes":           "838860800\n",
			"sys/fs/cgroup/memory/system.slice/a.service/memory.limit_in_bytes": "419430400\n",
		}, Limit{400 * mib, "/sys/fs/cgroup/memory/system.slice/a.service/memory.limit_in_bytes"}},
		{"v1, unlimited", map[string]string{
			"proc/self/cgroup":                           "4:memory:/\n",
			"proc/self/mountinfo":                        fmt.Sprintf(mountV1, "/"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": unlimited,
			"sys/fs/cgroup/memory/memory.stat":           "cache 0\nhierarchical_memory_limit " + unlimited,
		}, Limit{8192 * mib, "MemTotal of the machine"}},
		{"v1, a container: the group is the top that is mounted", map[string]string{
			"proc/self/cgroup":                           "4:memory:/docker/0123\n",
			"proc/self/mountinfo":                        fmt.Sprintf(mountV1, "/docker/0123"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "419430400\n",
		}, Limit{400 * mib, "/sys/fs/cgroup/memory/memory.limit_in_bytes"}},
		{"v1, a limit that cannot be seen", map[string]string{
			"proc/self/cgroup":                           "4:memory:/docker/0123\n",
			"proc/self/mountinfo":                        fmt.Sprintf(mountV1, "/docker/0123"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": unlimited,
			"sys/fs/cgroup/memory/memory.stat":           "cache 0\nhierarchical_memory_limit 314572800\nrss 0\n",
		}, Limit{300 * mib, "/sys/fs/cgroup/memory/memory.stat"}},
		{"hybrid, v1 limits", map[string]string{
			"proc/self/cgroup":                             "4:memory:/a\n0::/b\n",
			"proc/self/mountinfo":                          hybrid,
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "419430400\n",
		}, Limit{400 * mib, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes"}},
		{"hybrid, v2 limits", map[string]string{
			"proc/self/cgroup":                           "4:memory:/\n0::/b\n",
			"proc/self/mountinfo":                        hybrid,
			"sys/fs/cgroup/memory/memory.limit_in_bytes": unlimited,
			"sys/fs/cgroup/unified/b/memory.max":         "419430400\n",
		}, Limit{400 * mib, "/sys/fs/cgroup/unified/b/memory.max"}},
		{"more than the machine has", map[string]string{
			"proc/self/cgroup":           "0::/a\n",
			"proc/self/mountinfo":        fmt.Sprintf(mountV2, "/"),
			"sys/fs/cgroup/a/memory.max": "17179869184\n",
		}, Limit{8192 * mib, "MemTotal of the machine"}},
		{"no memory controller", map[string]string{
			"proc/self/cgroup":    "1:cpuset:/x\nnonsense\n",
			"proc/self/mountinfo": hybrid + "nonsense\n",
		}, Limit{8192 * mib, "MemTotal of the machine"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Read(machine(c.files))
			if got.Bound != c.want || got.Available != 3072*mib || len(got.Unknown) > 0 {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestReadWithoutAnything(t *testing.T) {
	if got := Read(fstest.MapFS{}); got.Bound != (Limit{}) || got.Available != 0 {
		t.Errorf("got %+v", got)
	}
	tree := machine(map[string]string{
		"proc/self/cgroup":                           "4:memory:/\n",
		"proc/self/mountinfo":                        fmt.Sprintf(mountV1, "/"),
		"sys/fs/cgroup/memory/memory.limit_in_bytes": unlimited,
	})
	delete(tree, "proc/meminfo")
	if got := Read(tree); got.Bound != (Limit{}) {
		t.Errorf("no limit is taken for one: %+v", got)
	}
}

// locked refuses one file.
type locked struct {
	fs.FS
	name string
}

func (l locked) Open(name string) (fs.File, error) {
	if name == l.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return l.FS.Open(name)
}

// What cannot be read sets no limit, and is told.
func TestReadWithoutPermission(t *testing.T) {
	tree := machine(map[string]string{
		"proc/self/cgroup":           "0::/a\n",
		"proc/self/mountinfo":        fmt.Sprintf(mountV2, "/"),
		"sys/fs/cgroup/a/memory.max": "1048576\n",
	})
	got := Read(locked{tree, "sys/fs/cgroup/a/memory.max"})
	if got.Bound.Bytes != 8192*mib || !slices.Equal(got.Unknown, []string{"/sys/fs/cgroup/a/memory.max"}) {
		t.Errorf("got %+v", got)
	}
}

// This machine has memory, and tells everybody how much.
func TestReadThisMachine(t *testing.T) {
	got := Read(os.DirFS("/"))
	if got.Bound.Bytes < 64*mib || got.Bound.Source == "" || got.Available < mib {
		t.Errorf("got %+v", got)
	}
	t.Logf("%+v", got)
}
