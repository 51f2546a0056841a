package lab

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestBucket(t *testing.T) {
	const object, other = "01/02/01020304-0506-0708-090a-0b0c0d0e0f10", "ff/ee/ffee0304-0506-0708-090a-0b0c0d0e0f10"
	b := Bucket{Dir: t.TempDir()}
	for name, content := range map[string]string{
		object:                      "A1 and noise",
		other:                       "DICM Lestrade^G",
		".temporary/half":           "A1",
		"01/02/Lestrade^G.dcm":      "A1",
		"01/02/" + object[6:] + "x": "",
	} {
		if err := os.MkdirAll(filepath.Dir(b.Path(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(b.Path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, want ...string) func([]string, error) {
		return func(got []string, err error) {
			t.Helper()
			slices.Sort(want)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q, error %v", what, got, want, err)
			}
		}
	}
	expect("objects", object, other)(b.Objects())
	expect("files", object, other, ".temporary/half", "01/02/Lestrade^G.dcm", object+"x")(b.Files())
	expect("not sealed", other, object+"x")(b.NotSealed())
	expect("containing", other, "01/02/Lestrade^G.dcm")(b.Containing([]string{"nobody", "Lestrade^G"}))
}

func TestPatientWords(t *testing.T) {
	got := PatientWords([]Patient{{"Test^S R", "ID1"}, {"", "642341"}, {"Test^S R", "642341"}})
	if want := []string{"642341", "Test^S R"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
