package backendtest

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
)

// Run holds buckets to the promises of package backends, one subtest each.
// It calls open for every subtest. The bucket may be the same each time and
// may hold other objects: a subtest uses keys below a fresh random name alone,
// and deletes what it has created.
//
// A promise that a server is known to break is named in broken, and left out:
// whoever does that says what comes of it where users read it.
func Run(t *testing.T, open func(t *testing.T) backends.Bucket, broken ...string) {
	for _, name := range broken {
		if !slices.ContainsFunc(checks(), func(c check) bool { return c.name == name }) {
			t.Errorf("there is no promise %q", name)
		}
	}
	for _, c := range checks() {
		if slices.Contains(broken, c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			p := newProbe(t, open(t))
			t.Cleanup(func() { clean(t, p) })
			c.run(p)
		})
	}
}

// T is what a check needs of *testing.T.
type T interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// check proves one promise.
type check struct {
	name string
	run  func(probe)
}

func checks() []check {
	return []check{
		{"objects are described alike everywhere", describedAlike},
		{"reads give the range asked for", ranges},
		{"empty objects are objects", empty},
		{"reads of a version give that or ErrChanged", versionPin},
		{"create never overwrites", neverOverwrites},
		{"one of many creates wins", oneWins},
		{"replace takes the place of one version", replaces},
		{"replace never touches another version", replacesNothingElse},
		{"one of many replaces wins", oneReplaces},
		{"what is deleted stays deleted", staysDeleted},
		{"replaced as a whole, or not at all", neverMixed},
		{"no part of an object is ever visible", neverPartial},
		{"bodies belong to the caller", callersBody},
		{"missing objects are ErrNotExist", missing},
		{"delete removes, and succeeds without an object", deletes},
		{"delete of a version removes that one", deletesVersion},
		{"delete of a version never touches another", deletesNothingElse},
		{"a replace or a delete of one version wins", replacedOrDeleted},
		{"what is stored after a delete of another version stays", storedStays},
		{"invalid keys are refused", invalidKeys},
		{"awkward keys are kept as they are", awkwardKeys},
		{"errors tell the call and the key", errorContext},
		{"listings are in key order across pages", listOrder},
		{"listings keep to the prefix", listPrefix},
		{"shallow listings fold what is below", listShallow},
		{"listings survive changes between pages", listChanging},
		{"cancelled calls fail and leave nothing", cancelled},
		{"calls past their deadline fail and leave nothing", pastDeadline},
		{"creates cancelled under way leave all or nothing", cancelledUnderWay},
		{"calls may be concurrent", concurrent},
		{"large objects can be read in parallel ranges", large},
	}
}

func clean(t *testing.T, p probe) {
	ctx := context.Background()
	for obj, err := range backends.All(ctx, p.bucket, p.dir+"/") {
		if err == nil {
			err = p.bucket.Delete(ctx, obj.Key, "")
		}
		if err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	}
}

// probe is a check's view of a bucket: keys below dir are its own.
type probe struct {
	T
	bucket backends.Bucket
	dir    string
}

func newProbe(t T, b backends.Bucket) probe {
	return probe{t, b, "backendtest-" + rand.Text()}
}

func (p probe) key(name string) string { return p.dir + "/" + name }

func (p probe) name(key string) string { return strings.TrimPrefix(key, p.dir+"/") }
