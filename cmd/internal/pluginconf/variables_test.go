package pluginconf

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// Variables are replaced in strings and between them, and not in comments; what
// a value holds cannot end its string.
func TestReadReplacesVariables(t *testing.T) {
	file := filepath.Join(t.TempDir(), "orthanc.json")
	text := "\xef\xbb\xbf{ // ${QUOTE\n" + `"a": "x${QUOTE}y", "b": ${NUMBER}, "c": "${NONE:-https://h}/p", "d": ${NONE:-true},
		"e": "${EMPTY:-unused}", "f": "\"${NUMBER}\\", /* "g": ${NONE} */ "h": ${NONE}, "i": "$NUMBER $ {NUMBER} }", "${NUMBER}": "<&>",
	}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{"QUOTE": `"\ <`, "NUMBER": "42", "EMPTY": ""}
	doc, err := Read(file, func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	var faults []error
	root := doc.root(&faults)
	if n, ok := root.number("b"); n != 42 || !ok || !root.flag("d", false) || root.has("h") || root.has("g") {
		t.Errorf("outside of strings: %v", doc.values)
	}
	want := map[string]string{"a": `x"\ <y`, "c": "https://h/p", "e": "", "f": `"42\`, "i": "$NUMBER $ {NUMBER} }", "42": "<&>"}
	got := map[string]string{}
	for option := range want {
		got[option] = root.text(option)
	}
	if !reflect.DeepEqual(got, want) || len(faults) > 0 {
		t.Errorf("got %q, faults %v", got, faults)
	}
}
