package backendtest

import (
	"fmt"
	"slices"
	"strings"

	"orthanc-bucketfs/backends"
)

// treeNames are in byte order. A slash sorts after "!", "-" and "." but
// before "0", so a walk in the order of file names gets them wrong.
func treeNames() []string {
	return []string{
		"a!", "a-b", "a.b", "a/b", "a/c", "a0", "aa/x", "ab",
		"b!/x", "b-", "b./x", "b./y", "b/x-/1", "b/x/1", "b/x/2", "b0/x", "c",
	}
}

func (p probe) createTree() {
	p.Helper()
	names := treeNames()
	for i := range names {
		name := names[(i*7+3)%len(names)]
		p.create(name, newBody(uint64(i), 100))
	}
}

func listOrder(p probe) {
	p.createTree()
	want := treeNames()
	for _, limit := range []int{0, 1, 2, 3, len(want) - 1, len(want), len(want) + 1} {
		got, prefixes := p.list(backends.ListOptions{Limit: limit})
		if !slices.Equal(got, want) || len(prefixes) > 0 {
			p.Errorf("List with limit %d: got  %q and prefixes %q\nwant %q", limit, got, prefixes, want)
		}
	}
	var all []string
	for obj, err := range backends.All(p.Context(), p.bucket, p.key("")) {
		if err != nil {
			p.Fatalf("All: %v", err)
		}
		all = append(all, p.name(obj.Key))
	}
	if !slices.Equal(all, want) {
		p.Errorf("All: got  %q\nwant %q", all, want)
	}
}

func listPrefix(p probe) {
	p.createTree()
	for _, c := range []struct {
		prefix string
		want   []string
	}{
		{"a", []string{"a!", "a-b", "a.b", "a/b", "a/c", "a0", "aa/x", "ab"}},
		{"a/", []string{"a/b", "a/c"}},
		{"a/b", []string{"a/b"}},
		{"aa", []string{"aa/x"}},
		{"b.", []string{"b./x", "b./y"}},
		{"b/x", []string{"b/x-/1", "b/x/1", "b/x/2"}},
		{"b/x/", []string{"b/x/1", "b/x/2"}},
		{"c", []string{"c"}},
		{"a/b/", nil},
		{"a/b/c", nil},
		{"a//", nil},
		{"a/./", nil},
		{"./", nil},
		{"../", nil},
		{"a/../a", nil},
		{"/", nil},
		{"d", nil},
		{"A", nil},
	} {
		for _, limit := range []int{0, 1, 2} {
			got, _ := p.list(backends.ListOptions{Prefix: c.prefix, Limit: limit})
			if !slices.Equal(got, c.want) {
				p.Errorf("List with prefix %q, limit %d: got %q, want %q", c.prefix, limit, got, c.want)
			}
		}
	}
	page, err := p.bucket.List(p.Context(), backends.ListOptions{Prefix: p.dir[:len(p.dir)-1]})
	if err != nil || len(page.Objects) != len(treeNames()) {
		p.Errorf("List with a prefix that ends within a name: got %d objects, error %v", len(page.Objects), err)
	}
}

func listShallow(p probe) {
	p.createTree()
	p.create("gone/x/y", nil)
	p.delete("gone/x/y")
	for _, c := range []struct {
		prefix            string
		objects, prefixes []string
	}{
		{"", []string{"a!", "a-b", "a.b", "a0", "ab", "b-", "c"}, []string{"a/", "aa/", "b!/", "b./", "b/", "b0/"}},
		{"a", []string{"a!", "a-b", "a.b", "a0", "ab"}, []string{"a/", "aa/"}},
		{"a/", []string{"a/b", "a/c"}, nil},
		{"b", []string{"b-"}, []string{"b!/", "b./", "b/", "b0/"}},
		{"b/", nil, []string{"b/x-/", "b/x/"}},
		{"b/x", nil, []string{"b/x-/", "b/x/"}},
		{"b/x/", []string{"b/x/1", "b/x/2"}, nil},
		{"b.", nil, []string{"b./"}},
		{"c", []string{"c"}, nil},
		{"c/", nil, nil},
		{"gone", nil, nil},
		{"gone/", nil, nil},
	} {
		for _, limit := range []int{0, 1, 2, 3} {
			objects, prefixes := p.list(backends.ListOptions{Prefix: c.prefix, Shallow: true, Limit: limit})
			if !slices.Equal(objects, c.objects) || !slices.Equal(prefixes, c.prefixes) {
				p.Errorf("shallow List with prefix %q, limit %d:\ngot  %q and %q\nwant %q and %q",
					c.prefix, limit, objects, prefixes, c.objects, c.prefixes)
			}
		}
	}
}

// listChanging deletes and creates objects before and after the end of a page,
// the last object of the page among them.
func listChanging(p probe) {
	for i := range 10 {
		p.create(fmt.Sprintf("d/k%d", i), newBody(uint64(i), 100))
	}
	opts := backends.ListOptions{Prefix: p.key(""), Limit: 3}
	page, err := p.bucket.List(p.Context(), opts)
	if err != nil || len(page.Objects) == 0 || page.Next == "" {
		p.Fatalf("List: %d objects, next %q, error %v", len(page.Objects), page.Next, err)
	}
	var got []string
	for _, obj := range page.Objects {
		got = append(got, strings.TrimPrefix(obj.Key, p.key("d/")))
	}
	for _, name := range []string{"k0", got[len(got)-1], "k6"} {
		p.delete("d/" + name)
	}
	p.create("d/k0-new", newBody(20, 100))
	p.create("d/k6-new", newBody(21, 100))
	for page.Next != "" && len(got) < 20 {
		opts.Token = page.Next
		if page, err = p.bucket.List(p.Context(), opts); err != nil {
			p.Fatalf("List: %v", err)
		}
		for _, obj := range page.Objects {
			got = append(got, strings.TrimPrefix(obj.Key, p.key("d/")))
		}
	}
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		p.Errorf("keys are not ascending: %q", got)
	}
	for _, name := range []string{"k0", "k1", "k2", "k3", "k4", "k5", "k7", "k8", "k9"} {
		if !slices.Contains(got, name) {
			p.Errorf("%s is not listed: %q", name, got)
		}
	}
}
