package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

const awkwardTOML = `# comment = "no key"
a = "# no comment" # b = 1
dotted . "quoted key".'lit.eral' = 1
"esc\u0061pe" = 'C:\'
text = """
fake = 1
[fake]
\""" still inside ""\
"""""
raw = '''
other_fake = { x = 1 }
it''s'''
list = [ # one
	1, 2,

	[ 'a]', "b\"]" ],
]
inline = { x = 1, y = { z = [ { w = "}" }, { w = 2 } ] } }
date = 1979-05-27 07:32:00Z

[table.sub]
k = -1.5e3
[table]
k = true
[[things]]
id = 1
[[things]]
id = 2
[things.part]
id = 3
[[things.parts]]
id = 4
[[things.parts]] # more
`

func TestKeyLines(t *testing.T) {
	want := map[string]int{
		"a":      2,
		"dotted": 3, `dotted."quoted key"`: 3, `dotted."quoted key"."lit.eral"`: 3,
		"escape": 4,
		"text":   5,
		"raw":    10,
		"list":   13, "list[0]": 14, "list[1]": 14, "list[2]": 16, "list[2][0]": 16, "list[2][1]": 16,
		"inline": 18, "inline.x": 18, "inline.y": 18, "inline.y.z": 18, "inline.y.z[0]": 18,
		"inline.y.z[0].w": 18, "inline.y.z[1]": 18, "inline.y.z[1].w": 18,
		"date":      19,
		"table.sub": 21, "table.sub.k": 22,
		"table": 23, "table.k": 24,
		"things": 25, "things[0]": 25, "things[0].id": 26,
		"things[1]": 27, "things[1].id": 28,
		"things[1].part": 29, "things[1].part.id": 30,
		"things[1].parts": 31, "things[1].parts[0]": 31, "things[1].parts[0].id": 32,
		"things[1].parts[1]": 33,
	}
	got := keyLines(awkwardTOML)
	for path, line := range want {
		if got[path] != line {
			t.Errorf("%s: line %d, want %d", path, got[path], line)
		}
	}
	for path, line := range got {
		if _, ok := want[path]; !ok {
			t.Errorf("found %s in line %d, which is not there", path, line)
		}
	}
}

func TestKeyLinesOfArrayOverSeveralLines(t *testing.T) {
	got := keyLines("keys = [\r\n  { id = 1 },\r\n  { id = 2 },\r\n]\r\nlast = 1\r\n")
	want := map[string]int{"keys": 1, "keys[0]": 2, "keys[0].id": 2, "keys[1]": 3, "keys[1].id": 3, "last": 5}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// FuzzKeyLines holds keyLines to the decoder: for whatever the decoder accepts
// it finds the very same keys, and for anything else it ends.
func FuzzKeyLines(f *testing.F) {
	f.Add(awkwardTOML)
	f.Add("\xef\xbb\xbfa=1")
	f.Add("a = [[{b=1}, {'c d'=[]}], []]\n[b]\n[b.c.d]\n[b.c]")
	f.Add("x = {\n a = 1, # c }\n b.c = 2,\n}")
	f.Add(`"" = {"" = "", '"' = '\'}`)
	f.Add("[[a.b]]\n[a]\nb.c = 1") // the decoder takes it, against the standard
	f.Add("a = [")
	f.Add("[a\n]]\n= } ]")
	f.Fuzz(func(t *testing.T, text string) {
		got := keyLines(text)
		var tree map[string]any
		if _, err := toml.Decode(text, &tree); err != nil {
			return
		}
		want := make(map[string]bool)
		addPaths(want, "", tree)
		for path := range want {
			if line := got[path]; line < 1 || line > 1+strings.Count(text, "\n") {
				t.Errorf("%s: line %d of %q", path, line, text)
			}
			delete(got, path)
		}
		if len(got) > 0 {
			t.Errorf("found what is not there: %v in %q", got, text)
		}
	})
}

func addPaths(paths map[string]bool, path string, value any) {
	if path != "" {
		paths[path] = true
	}
	switch v := value.(type) {
	case map[string]any:
		for key, element := range v {
			addPaths(paths, joinKey(path, key), element)
		}
	case []map[string]any:
		for i, element := range v {
			addPaths(paths, joinIndex(path, i), element)
		}
	case []any:
		for i, element := range v {
			addPaths(paths, joinIndex(path, i), element)
		}
	}
}
