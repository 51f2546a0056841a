package backendtest

import (
	"slices"
	"strings"

	"orthanc-bucketfs/backends"
)

func invalidKeys(p probe) {
	for _, key := range []string{
		"", ".", "..", "/", "/a", "a/", "a//b", "//", "./a", "../a", "a/.", "a/..", "a/../b", "a/./b", "a\xff",
	} {
		ctx := p.Context()
		_, err := p.bucket.Stat(ctx, key)
		p.wantErr("Stat of invalid key "+key, err, backends.ErrInvalidKey)
		n, _, err := p.bucket.Read(ctx, key, "", make([]byte, 1), 0)
		p.wantErr("Read of invalid key "+key, err, backends.ErrInvalidKey)
		if n != 0 {
			p.Errorf("Read of invalid key %q: got %d bytes", key, n)
		}
		_, err = p.bucket.Create(ctx, key, newBody(1, 100))
		p.wantErr("Create of invalid key "+key, err, backends.ErrInvalidKey)
		err = p.bucket.Delete(ctx, key, "")
		p.wantErr("Delete of invalid key "+key, err, backends.ErrInvalidKey)
	}
}

func awkwardKeys(p probe) {
	names := []string{
		"with space", "100%", "%2F", "%41", "a+b", "a b", "#hash", "?query=1&b=2", "a;b,c", "quote'\"`",
		"(brackets)", "[x]", "{y}", "<z>", "a:b", "a=b@c$d!e*f|g^h~", ".hidden", "..hidden", "a..b", "-dash",
		"Ümlaut", "\u00e9", "e\u0301", "日本語", "😀", "case", "CASE",
		strings.Repeat("x", 200), strings.Repeat("y", 200) + "/" + strings.Repeat("z", 200),
		"%2e%2e/a", "a a/b b", "d/e/e/p/l/y",
	}
	slices.Sort(names)
	for i, name := range names {
		obj := p.create(name, newBody(uint64(i), 100))
		if obj.Key != p.key(name) {
			p.Errorf("Create %q: Key is %q", name, obj.Key)
		}
	}
	for i, name := range names {
		p.wantBody(name, newBody(uint64(i), 100))
	}
	if got, _ := p.list(backends.ListOptions{}); !slices.Equal(got, names) {
		p.Errorf("List: got  %q\nwant %q", got, names)
	}
	for _, name := range names {
		if got, _ := p.list(backends.ListOptions{Prefix: name}); !slices.Equal(got, []string{name}) {
			p.Errorf("List with prefix %q: got %q", name, got)
		}
	}
	for _, name := range names {
		p.delete(name)
		p.wantMissing(name)
	}
}
