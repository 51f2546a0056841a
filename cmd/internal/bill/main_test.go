package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mit = "Permission is hereby granted, free of charge"

func TestLicencesOf(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"LICENSE": mit + "\r\n", "README": "x", "licence.go": "package x", "a/COPYING.txt": "Mozilla Public License", "b/NOTICE": "not linked",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := licencesOf(append(upTo(root, filepath.Join(root, "a")), root))
	if err != nil || len(files) != 2 || files[0] != (licence{"LICENSE", mit}) || files[1].name != "a/COPYING.txt" {
		t.Errorf("got %q, error %v", files, err)
	}
	if files, err := licencesOf([]string{t.TempDir()}); err == nil {
		t.Errorf("a module without a licence: %q", files)
	}
	if files, err := licencesOf(nil); err == nil {
		t.Errorf("a module of which nothing is linked: %q", files)
	}
}

func TestDocuments(t *testing.T) {
	p := program{name: "p", modules: []module{
		{"m/one", "v1.0.0", "h1:x", []licence{{"LICENSE", mit}}},
		{"m/two", "v2.0.0", "", []licence{{"LICENSE", mit}, {"x/COPYING", "a licence of their own"}}},
	}}
	var licences, sbom bytes.Buffer
	if err := writeLicences(&licences, p); err != nil {
		t.Fatal(err)
	}
	text := licences.String()
	for want, n := range map[string]int{mit: 1, "a licence of their own": 1, "m/one v1.0.0  MIT\n": 1, "m/two v2.0.0  MIT\n": 1, "m/one/LICENSE\nm/two/LICENSE\n": 1} {
		if got := strings.Count(text, want); got != n {
			t.Errorf("%q is there %d times:\n%s", want, got, text)
		}
	}
	if err := writeSBOM(&sbom, p, "1.2.3", "abc"); err != nil {
		t.Fatal(err)
	}
	var got bom
	if err := json.Unmarshal(sbom.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Components) != 2 || got.Components[1].PURL != "pkg:golang/m/two@v2.0.0" || got.Metadata.Component.Version != "1.2.3" ||
		got.Components[0].Properties[0] != (property{"go.sum", "h1:x"}) {
		t.Errorf("got %+v", got)
	}
}
