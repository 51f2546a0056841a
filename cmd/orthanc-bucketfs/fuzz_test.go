package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// Whatever is in a configuration, it is taken, or refused with the line.
func FuzzConfig(f *testing.F) {
	f.Add(required)
	f.Add(awkwardTOML)
	f.Add("owner = 1979-05-27\n[encryption]\nprevious_master_keys = [ { id = 1, path = '$X' }, 7 ]")
	f.Add("[[s3]]\nsecret_key = 'x'\n[\"\u009b2J\"]\n'\\n' = 1")
	for _, line := range mistakes("owner") {
		f.Add(line + "\n" + required)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := decodeConfig("c.toml", text)
		if err == nil {
			err = cfg.Validate(noEnvironment)
		}
		for _, err := range separate(err) {
			var fault *configError
			if !errors.As(err, &fault) || fault.line < 0 || fault.line > 2+strings.Count(text, "\n") {
				t.Fatalf("line of %v", err)
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q", err)
			}
		}
	})
}

// What comes out of convert-config is a configuration.
func FuzzConvertConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/plugin/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"AwsS3Storage":{"BucketName":"b\u009b\"","Region":"r\n","Tags":{"a.b":"\u0000","":"x"},"${A:-B}":[]}}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		file := filepath.Join(dir, "orthanc.json")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := convert(file, pluginEnvironment)
		if err != nil {
			return
		}
		if _, err := decodeConfig("c.toml", got); err != nil {
			t.Errorf("%v:\n%s", err, got)
		}
	})
}
